package browser

import (
	"context"
	"fmt"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/tallywire/tallywire/gateway/admin"
	"github.com/tallywire/tallywire/gateway/auth"
)

// TestConsole drives the console as a person does. With CONSOLE_SHOTS it leaves pictures in that folder.
func TestConsole(t *testing.T) {
	browser := chromium(t)
	c := newCluster(t)
	for n, user := range []string{"alice", "bob", "erin", "frank@example.com", "grace"} {
		require.NoError(t, c.join(user, n%2+n/4, "jobs:42", "matches:7", "metrics:latency", fmt.Sprintf("jobs:%d", n), "user:"+fmt.Sprint(n)))
	}
	for n := range 6 {
		c.publish("jobs:42", fmt.Sprintf(`{"type":"job.noted","subject":"job/42","source":"worker-3","data":{"n":%d}}`, n))
	}
	ctx, cancel := context.WithTimeout(t.Context(), 5*time.Minute)
	defer cancel()
	token := mint(t, "oncall@example.com", admin.DefaultAudience, time.Hour, time.Now(), auth.Permissions{Admin: true})
	config := map[string]any{
		"chromium": browser, "shots": shots(t, "CONSOLE_SHOTS"), "token": token,
		"bases":       []string{c.gateways[0].admin, c.gateways[1].admin, c.gateways[2].admin},
		"clientToken": mint(t, "mallory", "", time.Hour, time.Now(), auth.Permissions{Admin: true}),
		"powerless":   mint(t, "mallory", admin.DefaultAudience, time.Hour, time.Now(), auth.Permissions{}),
		"expired":     mint(t, "oncall@example.com", admin.DefaultAudience, time.Minute, time.Now().Add(-time.Hour), auth.Permissions{Admin: true}),
	}
	c.drive(ctx, "console.mjs", config)
	cancel()
}

// do does what the script asks for.
func (c *cluster) do(ctx context.Context, q request, config map[string]any) (answer map[string]any, err error) {
	answer = map[string]any{}
	switch q.Do {
	case "config":
		return config, nil
	case "traffic":
		c.traffic(ctx)
	case "publish":
		answer["cursor"] = c.publish(q.Channel, string(q.Event))
	case "delivered":
		answer["cursor"], err = c.delivered(q.User, q.Channel)
	case "join":
		err = c.join(q.User, q.Gateway, q.Channel)
	case "leave":
		err = c.leave(q.User)
	case "kill":
		c.gateways[q.Gateway].kill()
	case "start":
		c.gateways[q.Gateway].start()
	case "revoke":
		err = c.act(1, config["token"].(string), "/admin/v1/revocations", map[string]string{"user": "oncall@example.com"})
	default:
		err = fmt.Errorf("the script asks for %q", q.Do)
	}
	return answer, err
}
