package test

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/tallywire/tallywire/internal/redistest"
	"github.com/tallywire/tallywire/presence"
)

// TestPresenceOverHTTPOutlivesGateways: users who are present by commands over HTTP have no connection that would
// tell them that the gateway which took the command is gone. Whether it was stopped or killed, nobody sees them
// leave: their next repetition comes to another gateway.
func TestPresenceOverHTTPOutlivesGateways(t *testing.T) {
	x := startTrio(t, redistest.Start(t))
	const visitors = 40 // half of them at each of the gateways that end
	o := observe(t, "observer", x.a.addr, "room:1")
	for i := range visitors {
		visit(t, []*process{x.b, x.c}[i%2].addr, userName(i))
	}
	o.awaitMembers(visitors, visitors)
	o.take()
	x.b.stop()
	x.c.kill()
	awaitIncarnations(t, x.server, 1)
	o.eventually("all wait for their sessions", func() bool {
		n := 0
		for _, m := range o.rosters["room:1"].Members() {
			if m.State == presence.Grace {
				n++
			}
		}
		return n == visitors
	})
	for i := range visitors / 2 {
		visit(t, x.a.addr, userName(i))
	}
	// Whoever had been lost, or had only the room's grace, would leave before one who comes and goes now.
	zoe, err := openTab(t.Context(), x.a.addr, token(t, "zoe"), "zoe", "z", "room:1")
	require.NoError(t, err)
	zoe.close()
	o.eventually("zoe has left", func() bool { return tally(o.changes, presence.Leave)["zoe"] == 1 })
	changes := o.take()
	require.Equal(t, map[string]int{"zoe": 1}, tally(changes, presence.Join))
	require.Equal(t, map[string]int{"zoe": 1}, tally(changes, presence.Leave))
	o.awaitMembers(visitors, visitors)
	o.unbroken()
	o.mu.Lock()
	defer o.mu.Unlock()
	for _, m := range o.rosters["room:1"].Members() {
		want := presence.Grace
		if m.User < userName(visitors/2) {
			want = presence.Live
		}
		require.Equal(t, want, m.State, m.User)
		require.JSONEq(t, fmt.Sprintf("%q", m.User), string(m.Status), "the status came along")
	}
}

// visit says once, over HTTP, that a user is present in room:1.
func visit(t *testing.T, addr, user string) {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	body := fmt.Sprintf(`{"session":"s","frames":{"type":"presence","id":1,"channel":"room:1","status":%q}}`, user)
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, "http://"+addr+"/v1/commands", strings.NewReader(body))
	require.NoError(t, err)
	req.Header.Set("Authorization", "Bearer "+token(t, user))
	req.Header.Set("Content-Type", "application/json")
	resp, err := http.DefaultClient.Do(req)
	require.NoError(t, err)
	defer resp.Body.Close()
	text, err := io.ReadAll(resp.Body)
	require.NoError(t, err)
	require.Equal(t, http.StatusOK, resp.StatusCode, "%s", text)
	require.Contains(t, string(text), `"present"`)
}
