package main

import (
	"encoding/json"
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/tallywire/tallywire/goclient"
)

// operator is a gateway with what an operator needs to look at it.
type operator struct {
	*running
	t       *testing.T
	environ []string
}

func newOperator(t *testing.T) *operator {
	t.Helper()
	g := serve(t, []string{"TALLYWIRE_AUTH_SECRET=" + secret}, "--gateway-id", "gw-1")
	o := &operator{running: g, t: t}
	o.environ = []string{"TALLYWIRE_ADMIN_URL=" + g.admin, "TALLYWIRE_ADMIN_TOKEN=" + o.mint("--user", "ops", "--admin")}
	require.Eventually(t, func() bool { return status(t, g.public+"/readyz") == http.StatusOK }, 10*time.Second, 5*time.Millisecond)
	return o
}

func (o *operator) mint(args ...string) string {
	o.t.Helper()
	out := command(o.t, nil, "", append([]string{"token", "--auth-secret", secret}, args...)...)
	require.Equal(o.t, exitDone, out.status, out.stderr)
	return strings.TrimSpace(out.stdout)
}

// run runs a command of the operator's to its good end.
func (o *operator) run(args ...string) outcome {
	o.t.Helper()
	out := command(o.t, o.environ, "", args...)
	require.Equal(o.t, exitDone, out.status, out.stderr)
	return out
}

// connect brings a user into a channel, and returns the cursor of an event that came there.
func (o *operator) connect(user, session, channel string) string {
	o.t.Helper()
	token := o.mint("--user", user, "--subscribe", "*", "--presence", "*")
	conn, err := goclient.DialWith(o.t.Context(), goclient.DialOptions{URL: o.public, Token: token, Session: session})
	require.NoError(o.t, err)
	o.t.Cleanup(conn.CloseNow)
	require.NoError(o.t, conn.SendRaw(o.t.Context(), fmt.Appendf(nil, `[{"type":"subscribe","id":2,"channel":%q},{"type":"presence","id":3,"channel":%q,"status":{"viewing":"match:42"}}]`, channel, channel)))
	published := ""
	for cursor := ""; cursor == ""; {
		frames, err := conn.Receive(o.t.Context())
		require.NoError(o.t, err)
		for _, f := range frames {
			switch f.Type {
			case "present": // the last of what was asked for
				out := command(o.t, nil, "", "publish", channel, "--type", "x.test", "--url", o.public, "--token", o.mint("--user", "worker", "--publish", "*"))
				require.Equal(o.t, exitDone, out.status, out.stderr)
				published = out.stdout
			case "event":
				cursor = f.Cursor.String()
				require.Contains(o.t, published, cursor)
				return cursor
			}
		}
	}
	return ""
}

func TestOperate(t *testing.T) {
	o := newOperator(t)
	cursor := o.connect("oidc|a/b", "tab-1", "jobs:42")

	out := o.run("gateways")
	require.Regexp(t, `(?m)^GATEWAY +STATE +CONNECTIONS`, out.stdout)
	require.Regexp(t, `(?m)^gw-1 +ready +1 `, out.stdout)

	out = o.run("channels", "--prefix", "jobs:")
	require.Regexp(t, `(?m)^jobs:42 +1 +2 .*`+cursor+` +gw-1:1$`, out.stdout)
	require.NotContains(t, o.run("channels", "--prefix", "matches:").stdout, "jobs")

	out = o.run("presence", "jobs:42")
	require.Regexp(t, `(?m)^oidc\|a/b +live +1 .*\{"viewing":"match:42"\}$`, out.stdout)
	require.Contains(t, out.stderr, "1 members with 1 sessions")
	out = o.run("presence", "--user", "oidc|a/b")
	require.Regexp(t, `(?m)^tab-1 +gw-1 +websocket .* jobs:42$`, out.stdout)
	out = o.run("presence", "--user", "nobody")
	require.Contains(t, out.stderr, "nobody is not connected")

	out = o.run("explain", "--user", "oidc|a/b", "--channel", "jobs:42", "--cursor", cursor)
	require.Contains(t, out.stdout, "Delivered: the event was written to a socket of oidc|a/b")
	require.Regexp(t, `(?m)^delivered +tab-1 +gw-1 `, out.stdout)

	out = o.run("top", "--once")
	require.Regexp(t, `^tallywire [0-9:]+  1 of 1 gateways answer  1 connections`, out.stdout)
	require.Contains(t, out.stdout, "jobs:42")
	require.NotContains(t, out.stdout, "\x1b", "no terminal, no sequences")
}

// TestOperateJSON: what programs get is the answer as it came.
func TestOperateJSON(t *testing.T) {
	o := newOperator(t)
	for member, args := range map[string][]string{
		"gateways": {"gateways"},
		"channels": {"channels"},
		"members":  {"presence", "jobs:42"},
		"sessions": {"presence", "--user", "alice"},
		"outcome":  {"explain", "--user", "alice", "--channel", "jobs:42", "--cursor", "2-2"},
	} {
		out := o.run(append(args, "--json")...)
		var v map[string]any
		require.NoError(t, json.Unmarshal([]byte(out.stdout), &v))
		require.Contains(t, v, member)
		require.Empty(t, out.stderr)
	}
}

// TestOperateRefused: a client's token, and no gateway, are told in words that lead on.
func TestOperateRefused(t *testing.T) {
	o := newOperator(t)
	client := o.mint("--user", "alice", "--subscribe", "*")
	out := command(t, o.environ[:1], "", "gateways", "--token", client)
	require.Equal(t, exitFailed, out.status)
	require.Contains(t, out.stderr, "(unauthorized)")
	require.Contains(t, out.stderr, "tallywire token --admin")
	require.NotContains(t, out.stderr, client)

	out = command(t, o.environ, "", "gateways", "--admin-url", "http://127.0.0.1:1")
	require.Equal(t, exitFailed, out.status)
	require.Contains(t, out.stderr, "no gateway answers at 127.0.0.1:1")
	out = command(t, o.environ, "", "gateways", "--admin-url", o.public)
	require.Equal(t, exitFailed, out.status, "the clients' listener is another one")
	require.NotEmpty(t, out.stderr)

	for name, c := range map[string]struct {
		args []string
		says string
	}{
		"no token":      {[]string{"gateways", "--admin-token", ""}, "admin-token: is needed"},
		"no address":    {[]string{"gateways", "--admin-url", "localhost:9090"}, "admin-url: must be"},
		"nobody":        {[]string{"presence"}, "name a channel, or a user"},
		"both":          {[]string{"presence", "jobs:42", "--user", "alice"}, "name a channel, or a user"},
		"no channel":    {[]string{"presence", "tw:{jobs}"}, "invalid channel name"},
		"no cursor":     {[]string{"explain", "--user", "a", "--channel", "b", "--cursor", "4"}, "cursor: must be"},
		"a great limit": {[]string{"channels", "--limit", "501"}, "limit: must be between"},
		"too often":     {[]string{"top", "--interval", "1ms"}, "interval: must be between"},
	} {
		environ := o.environ
		if name == "no token" {
			environ = o.environ[:1]
		}
		out := command(t, environ, "", c.args...)
		require.Equal(t, exitUsage, out.status, name)
		require.Contains(t, out.stderr, c.says, name)
	}
}
