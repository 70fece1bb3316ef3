package admin_test

import (
	"context"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/coder/websocket"
	"github.com/rs/zerolog"
	"github.com/stretchr/testify/require"

	"github.com/tallywire/tallywire/broker/membroker"
	"github.com/tallywire/tallywire/events"
	"github.com/tallywire/tallywire/gateway"
	"github.com/tallywire/tallywire/gateway/admin"
	"github.com/tallywire/tallywire/gateway/auth"
	"github.com/tallywire/tallywire/gateway/wire"
	"github.com/tallywire/tallywire/namespace"
)

// realRig is the admin API of a running gateway.
type realRig struct {
	*rig
	public string
}

func newRealRig(t *testing.T) *realRig {
	t.Helper()
	table, err := namespace.NewTable(nil)
	require.NoError(t, err)
	registry, err := events.NewRegistry(events.Options{})
	require.NoError(t, err)
	clients, err := auth.New(auth.Options{Secret: secret})
	require.NoError(t, err)
	store := membroker.NewStore(membroker.Options{Namespaces: table})
	g, err := gateway.New(gateway.Options{
		ID: "gw-1", Broker: store.Broker(), Namespaces: table, Registry: registry, Auth: clients,
		Log: zerolog.Nop(), DrainWindow: 100 * time.Millisecond,
	})
	require.NoError(t, err)
	responder := admin.NewResponder(g, zerolog.Nop())
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 2)
	go func() { ended <- g.Run(ctx) }()
	go func() { ended <- responder.Run(ctx) }()
	public := httptest.NewServer(g.Handler())
	t.Cleanup(func() {
		cancel()
		require.NoError(t, <-ended)
		require.NoError(t, <-ended)
		public.Close()
	})
	r := newRig(t, rigOptions{cluster: admin.Alone(responder), store: store, change: func(o *admin.Options) { o.Client = g.Handler() }})
	require.Eventually(t, func() bool { ok, _ := g.Ready(); return ok }, patience, 2*time.Millisecond)
	return &realRig{r, public.URL}
}

// connect opens a session and subscribes it to a channel.
func (r *realRig) connect(base, token, session, channel string) *websocket.Conn {
	r.t.Helper()
	ctx, cancel := context.WithTimeout(r.t.Context(), patience)
	defer cancel()
	//nolint:bodyclose // the library takes the body on success
	ws, _, err := websocket.Dial(ctx, strings.Replace(base, "http", "ws", 1)+"/v1/ws", &websocket.DialOptions{
		Subprotocols: []string{wire.Subprotocol}, HTTPHeader: http.Header{"Origin": {base}, "User-Agent": {"test/1"}},
	})
	require.NoError(r.t, err)
	r.t.Cleanup(func() { _ = ws.CloseNow() })
	r.write(ws, `{"type":"connect","id":1,"token":%q,"session":%q}`, token, session)
	r.expect(ws, "connected")
	r.write(ws, `{"type":"subscribe","id":2,"channel":%q}`, channel)
	return ws
}

func (r *realRig) write(ws *websocket.Conn, format string, args ...any) {
	r.t.Helper()
	ctx, cancel := context.WithTimeout(r.t.Context(), patience)
	defer cancel()
	require.NoError(r.t, ws.Write(ctx, websocket.MessageText, fmt.Appendf(nil, format, args...)))
}

// expect reads until a frame of a type comes.
func (r *realRig) expect(ws *websocket.Conn, kind string) wire.Frame {
	r.t.Helper()
	ctx, cancel := context.WithTimeout(r.t.Context(), patience)
	defer cancel()
	for {
		_, raw, err := ws.Read(ctx)
		require.NoError(r.t, err, "waiting for %s", kind)
		frames, err := wire.Message(raw)
		require.NoError(r.t, err)
		for _, f := range frames {
			if f.Type == kind {
				return f
			}
		}
	}
}

func (r *realRig) client(user string) string {
	return r.mint(user, auth.DefaultAudience, auth.Permissions{Subscribe: []string{"*"}})
}

// TestRealGateway: a client connects, gets an event, misses another, and is disconnected; the API tells all of it.
func TestRealGateway(t *testing.T) {
	r := newRealRig(t)
	before := r.publish("jobs:1", `{"type":"x.test","id":"e0"}`)
	alice := r.connect(r.public, r.client("alice"), "tab-1", "jobs:1")
	r.expect(alice, "subscribed")
	got := r.publish("jobs:1", `{"type":"x.test","id":"e1"}`)
	require.Equal(t, got, *r.expect(alice, "event").Cursor)

	gateways := r.get("/admin/v1/gateways")
	require.Equal(t, true, gateways["complete"])
	require.InDelta(t, 1, gateways["totals"].(object)["connections"], 0)
	require.Equal(t, "ready", list(t, gateways, "gateways")[0]["state"])

	channel := list(t, r.get("/admin/v1/channels"), "channels")[0]
	require.Equal(t, "jobs:1", channel["channel"])
	require.InDelta(t, 1, channel["subscribers"], 0)
	require.Equal(t, got.String(), channel["stream"].(object)["head"])

	session := list(t, r.get("/admin/v1/users/alice/sessions"), "sessions")[0]
	require.Equal(t, "tab-1", session["session"])
	require.Equal(t, "test/1", session["user_agent"])
	require.Equal(t, got.String(), list(t, session, "subscriptions")[0]["cursor"])

	explain := func(user, channel, cursor string) object {
		return r.get("/admin/v1/explain?user=" + user + "&channel=" + channel + "&cursor=" + cursor)
	}
	require.Equal(t, "delivered", explain("alice", "jobs:1", got.String())["outcome"])
	require.Equal(t, "not_covered", explain("alice", "jobs:1", before.String())["outcome"])
	require.Equal(t, "not_connected", explain("bob", "jobs:1", got.String())["outcome"])
	other := r.publish("jobs:2", `{"type":"x.test"}`)
	require.Equal(t, "not_subscribed", explain("alice", "jobs:2", other.String())["outcome"])

	body := r.post("/admin/v1/sessions/disconnect", `{"user":"alice","session":"tab-1"}`)
	require.InDelta(t, 1, body["closed"], 0)
	require.Eventually(t, func() bool {
		return len(list(t, r.get("/admin/v1/users/alice/sessions"), "sessions")) == 0
	}, patience, 5*time.Millisecond)
	require.Equal(t, "delivered", explain("alice", "jobs:1", got.String())["outcome"], "it is remembered")
}

// TestTail: the console's own way to follow a channel: a token for that one, over the admin listener.
func TestTail(t *testing.T) {
	r := newRealRig(t)
	body := r.post("/admin/v1/tail-token", `{"channel":"jobs:1"}`)
	token := body["token"].(string)
	expires, err := time.Parse(time.RFC3339, body["expires"].(string))
	require.NoError(t, err)
	require.WithinDuration(t, time.Now().Add(5*time.Minute), expires, time.Minute)
	ws := r.connect(r.url, token, "console-1", "jobs:1")
	r.expect(ws, "subscribed")
	published := r.post("/admin/v1/publish", `{"channel":"jobs:1","event":{"type":"x.test","id":"e1"}}`)
	require.Equal(t, published["cursor"], r.expect(ws, "event").Cursor.String())

	r.write(ws, `{"type":"subscribe","id":3,"channel":"jobs:2"}`)
	require.Equal(t, wire.CodeForbidden, r.expect(ws, "error").Code)
	r.write(ws, `{"type":"publish","id":4,"channel":"jobs:1","event":{"type":"x.test"}}`)
	require.Equal(t, wire.CodeForbidden, r.expect(ws, "error").Code)
	status, _ := r.call(http.MethodGet, "/admin/v1/whoami", "", token)
	require.Equal(t, http.StatusUnauthorized, status, "it is a client's token")
}

// TestDrainsARealGateway: the API drains a gateway by name, refuses to do it twice, and takes it back.
func TestDrainsARealGateway(t *testing.T) {
	r := newRealRig(t)
	alice := r.connect(r.public, r.client("alice"), "tab-1", "jobs:1")
	body := r.post("/admin/v1/drain", `{"gateway":"gw-1","wait_ms":0,"window_ms":50}`)
	require.Equal(t, true, body["draining"])
	r.expect(alice, "moving")
	require.Equal(t, "draining", list(t, r.get("/admin/v1/gateways"), "gateways")[0]["state"])
	r.refused(409, "in_progress", http.MethodPost, "/admin/v1/drain", `{}`)
	status, body := r.call(http.MethodDelete, "/admin/v1/drain?gateway=gw-1", "", r.token)
	require.Equal(t, http.StatusOK, status)
	require.Equal(t, false, body["draining"])
	require.Equal(t, "ready", list(t, r.get("/admin/v1/gateways"), "gateways")[0]["state"])
	r.refused(404, "not_found", http.MethodPost, "/admin/v1/drain", `{"gateway":"gw-9"}`)
	r.refused(400, "invalid_request", http.MethodPost, "/admin/v1/drain", `{"window_ms":-1}`)
	r.refused(400, "invalid_request", http.MethodPost, "/admin/v1/drain", `{"wait_ms":600001}`)
}
