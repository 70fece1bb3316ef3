package browser

import (
	"context"
	"testing"
	"time"

	"github.com/tallywire/tallywire/gateway/auth"
)

// A plain page in a browser gets by with the cookie: for fetch, WebSocket, and an EventSource that goes on by
// itself when its gateway dies.
func TestCookie(t *testing.T) {
	browser := chromium(t)
	c := newCluster(t)
	ctx, cancel := context.WithTimeout(t.Context(), 2*time.Minute)
	defer cancel()
	all := []string{"*"}
	config := map[string]any{
		"chromium": browser, "bases": []string{c.gateways[0].public, c.gateways[1].public},
		"token": mint(t, "alice", "", time.Hour, time.Now(), auth.Permissions{Subscribe: all, Publish: all}),
	}
	c.drive(ctx, "cookie.mjs", config)
}
