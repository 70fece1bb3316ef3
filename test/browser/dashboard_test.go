package browser

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/tallywire/tallywire/internal/haproxytest"
	"github.com/tallywire/tallywire/internal/redistest"
)

// workbench is what examples/dashboard is opened on: the demonstration at three gateways behind HAProxy.
type workbench struct {
	t        *testing.T
	log      *eventLog
	gateways []*gateway
	office   *haproxytest.Office
	config   map[string]any
}

// TestDashboard breaks everything under the workbench that can break between it and Redis, one after the other, and
// compares what the page has counted and shows with what is in Redis. It prints how long the page was behind. With
// DASHBOARD_SHOTS it leaves pictures in that folder.
func TestDashboard(t *testing.T) {
	w := &workbench{t: t, config: map[string]any{"chromium": chromium(t), "shots": shots(t, "DASHBOARD_SHOTS")}}
	redis := redistest.Start(t)
	w.log = &eventLog{redis: redis.Admin()}
	var addrs []string
	for n, mode := range []string{"--demo", "--demo-page", "--demo-page"} {
		g := newGateway(t, fmt.Sprintf("gw-%d", n+1), redis.URL(), mode, "--insecure", "--log-format", "json",
			"--drain-wait", "1500ms", "--drain-window", "1s")
		w.gateways, addrs = append(w.gateways, g), append(addrs, g.addr())
	}
	w.requireBuilt()
	w.office = haproxytest.StartOffice(t, addrs...)
	w.config["url"] = "http://" + w.office.Addr + "/"
	ctx, cancel := context.WithTimeout(t.Context(), 5*time.Minute)
	defer cancel()
	drive(ctx, t, "dashboard.mjs", w.do)
}

// requireBuilt skips the test where the program came without the workbench, or fails it where CI is set.
func (w *workbench) requireBuilt() {
	w.t.Helper()
	client := &http.Client{Timeout: patience, Transport: &http.Transport{DisableKeepAlives: true}}
	a, err := client.Get(w.gateways[0].public + "/")
	require.NoError(w.t, err)
	defer a.Body.Close()
	page, err := io.ReadAll(a.Body)
	require.NoError(w.t, err)
	if !strings.Contains(string(page), `"/assets/`) {
		missing(w.t, "the workbench is not built: see above why scripts/dashboard.sh did not")
	}
}

// do does what the script asks for.
func (w *workbench) do(ctx context.Context, q request) (answer map[string]any, err error) {
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	answer = map[string]any{"at": time.Now().UnixMilli()} // when it began
	switch q.Do {
	case "config":
		return w.config, nil
	case "kill":
		w.gateways[q.Gateway].kill()
	case "stop":
		err = w.gateways[q.Gateway].stop()
	case "start":
		w.gateways[q.Gateway].start()
		haproxytest.AwaitGateway(w.t, w.office.Addr, w.gateways[q.Gateway].id)
	case "avoid", "welcome":
		err = w.office.Avoid(ctx, w.gateways[q.Gateway].id, q.Do == "avoid")
	case "cut":
		err = w.office.Cut(ctx)
	case "block":
		err = w.office.Block(ctx, q.Paths...)
	case "unblock":
		err = w.office.Unblock(ctx)
	case "heads":
		answer["heads"], err = w.log.heads(ctx, q.Channels)
	case "grown":
		err = w.log.grown(ctx, q.Channels, q.By)
	case "audit":
		err = w.log.audit(ctx, q.Account)
	case "matches":
		answer["counts"], err = w.log.matches(ctx, q.Channel)
	default:
		err = fmt.Errorf("the script asks for %q", q.Do)
	}
	return answer, err
}
