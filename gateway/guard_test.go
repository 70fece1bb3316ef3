package gateway_test

import (
	"net/http"
	"strings"
	"testing"

	"github.com/coder/websocket"
	"github.com/stretchr/testify/require"

	"github.com/tallywire/tallywire/gateway"
	"github.com/tallywire/tallywire/gateway/wire"
)

func TestHostAndOrigin(t *testing.T) {
	r := newRig(t, rigOptions{change: func(o *gateway.Options) {
		o.AllowedHosts = []string{"events.example.com", "*.internal.example:8443"}
		o.AllowedOrigins = []string{"app.example.com", "*.partner.example", "https://secure.example", "localhost:5173", "[::1]:3000"}
	}})
	const upgraded, misdirected, forbidden = http.StatusSwitchingProtocols, http.StatusMisdirectedRequest, http.StatusForbidden
	for _, c := range []struct {
		name, host, origin string
		want               int
	}{
		{"no origin: not a browser", "", "", upgraded},
		{"a page of the gateway itself", "events.example.com", "https://events.example.com", upgraded},
		{"a name rebound to the gateway's address", "evil.example", "http://evil.example", misdirected},
		{"a name rebound, with a port", "evil.example:8080", "http://evil.example:8080", misdirected},
		{"a host that ends like an allowed one", "evil-events.example.com", "", misdirected},
		{"a number that is an address to some", "2130706433", "", misdirected},
		{"an address", "127.0.0.1:8080", "http://127.0.0.1:8080", upgraded},
		{"an address of IPv6", "[::1]:8080", "http://[::1]:8080", upgraded},
		{"localhost", "localhost:8080", "http://localhost:8080", upgraded},
		{"a name of localhost", "tw.localhost", "", upgraded},
		{"a name that only begins with localhost", "localhost.evil.example", "", misdirected},
		{"capitals", "EVENTS.example.COM", "", upgraded},
		{"an allowed host on any port", "events.example.com:9999", "", upgraded},
		{"a pattern with its port", "a.internal.example:8443", "", upgraded},
		{"a pattern with another port", "a.internal.example:8444", "", misdirected},
		{"an allowed origin", "events.example.com", "https://app.example.com", upgraded},
		{"an allowed origin on any port", "events.example.com", "http://app.example.com:3000", upgraded},
		{"a pattern of origins", "events.example.com", "https://x.partner.example", upgraded},
		{"what the pattern does not cover", "events.example.com", "https://partner.example", forbidden},
		{"a suffix that is no label", "events.example.com", "https://evilpartner.example", forbidden},
		{"another origin", "events.example.com", "https://evil.example", forbidden},
		{"an allowed name as a part of another", "events.example.com", "https://app.example.com.evil.example", forbidden},
		{"a scheme that is asked for", "events.example.com", "https://secure.example", upgraded},
		{"another scheme", "events.example.com", "http://secure.example", forbidden},
		{"the port of a pattern", "localhost:8080", "http://localhost:5173", upgraded},
		{"another port of the gateway's host", "localhost:8080", "http://localhost:5174", forbidden},
		{"an origin of IPv6", "[::1]:8080", "http://[::1]:3000", upgraded},
		{"an opaque origin", "events.example.com", "null", forbidden},
		{"no origin at all", "events.example.com", "%zz", forbidden},
	} {
		t.Run(c.name, func(t *testing.T) {
			header := upgradeHeader()
			if c.host != "" {
				header.Set("Host", c.host)
			}
			if c.origin != "" {
				header.Set("Origin", c.origin)
			}
			resp := r.upgrade(header)
			require.Equal(t, c.want, resp.status, resp.body)
			switch c.want {
			case misdirected:
				require.Equal(t, wire.CodeHostNotAllowed, resp.problem(t).Code)
			case forbidden:
				require.Equal(t, wire.CodeOriginNotAllowed, resp.problem(t).Code)
			}
		})
	}
	// Publishing and history are guarded in the same way, the checks of an orchestrator are not.
	evil := http.Header{"Host": {"evil.example"}}
	require.Equal(t, misdirected, r.get("/v1/channels/jobs:1/events", r.token("alice", nil), evil).status)
	require.Equal(t, misdirected, r.request(http.MethodPost, "/v1/publish", r.token("alice", nil), evil, strings.NewReader(`{}`)).status)
	require.Equal(t, http.StatusOK, r.get("/healthz", "", evil).status)
	// A page that is allowed may read the answer.
	page := http.Header{"Host": {"events.example.com"}, "Origin": {"https://app.example.com"}}
	resp := r.get("/v1/channels/jobs:1/events", r.token("alice", nil), page)
	require.Equal(t, "https://app.example.com", resp.header.Get("Access-Control-Allow-Origin"))
	require.Equal(t, "Origin", resp.header.Get("Vary"))
}

func TestStarAllowsEverything(t *testing.T) {
	r := newRig(t, rigOptions{change: func(o *gateway.Options) {
		o.AllowedHosts, o.AllowedOrigins = []string{"*"}, []string{"*"}
	}})
	header := upgradeHeader()
	header.Set("Host", "any.example")
	header.Set("Origin", "null")
	require.Equal(t, http.StatusSwitchingProtocols, r.upgrade(header).status)
}

// The gateway never compresses, and answers with its subprotocol or with none.
func TestHandshake(t *testing.T) {
	r := newRig(t, rigOptions{})
	header := upgradeHeader()
	header.Set("Sec-WebSocket-Extensions", "permessage-deflate; client_max_window_bits")
	resp := r.upgrade(header)
	require.Equal(t, http.StatusSwitchingProtocols, resp.status)
	require.Empty(t, resp.header.Get("Sec-WebSocket-Extensions"))
	require.Empty(t, resp.header.Get("Sec-WebSocket-Protocol"))

	for _, c := range []struct{ offered, want string }{
		{"tallywire.v1", "tallywire.v1"}, {"mqtt, tallywire.v1", "tallywire.v1"}, {"mqtt", ""}, {"tallywire.v2", ""},
	} {
		header = upgradeHeader()
		header.Set("Sec-WebSocket-Protocol", c.offered)
		resp = r.upgrade(header)
		require.Equal(t, http.StatusSwitchingProtocols, resp.status)
		require.Equal(t, c.want, resp.header.Get("Sec-WebSocket-Protocol"), c.offered)
	}

	plain := r.get("/v1/ws", "", nil)
	require.Equal(t, http.StatusUpgradeRequired, plain.status)
	require.Equal(t, "websocket", plain.header.Get("Upgrade"))
	require.Equal(t, wire.CodeInvalidRequest, plain.problem(t).Code)
}

func TestTokenOfTheUpgradeRequest(t *testing.T) {
	r := newRig(t, rigOptions{})
	c := r.dial(http.Header{"Authorization": {"bearer " + r.token("alice", nil)}})
	c.send(`{"type":"subscribe","channel":"jobs:1"}`)
	c.expectError(wire.CodeNotConnected)
	c.send(`{"type":"connect"}`)
	f := c.expect("connected")
	require.Equal(t, "alice", f.User)
	require.NotEmpty(t, f.Session, "the gateway makes one up")
	require.NotZero(t, f.Expires)
	// A token in the frame goes before it.
	c = r.dial(http.Header{"Authorization": {"Bearer " + r.token("alice", nil)}})
	c.send(`{"type":"connect","token":"%s"}`, r.token("bob", nil))
	require.Equal(t, "bob", c.expect("connected").User)

	header := upgradeHeader()
	header.Set("Authorization", "Bearer forged")
	resp := r.upgrade(header)
	require.Equal(t, http.StatusUnauthorized, resp.status)
	require.Equal(t, wire.CodeUnauthorized, resp.problem(t).Code)
	require.Contains(t, resp.header.Get("WWW-Authenticate"), "Bearer")
}

func TestConnectionLimit(t *testing.T) {
	r := newRig(t, rigOptions{change: func(o *gateway.Options) { o.Limits.Connections = 2 }})
	c := r.connect("alice", nil)
	r.connect("bob", nil)
	resp := r.upgrade(upgradeHeader())
	require.Equal(t, http.StatusServiceUnavailable, resp.status)
	require.True(t, resp.problem(t).Retry)
	require.NoError(t, c.ws.Close(websocket.StatusNormalClosure, ""))
	r.eventually("room", func() bool { return r.gateway.Connections() < 2 })
	r.connect("carol", nil)
}

func upgradeHeader() http.Header {
	return http.Header{
		"Connection": {"Upgrade"}, "Upgrade": {"websocket"},
		"Sec-Websocket-Version": {"13"}, "Sec-Websocket-Key": {"dGhlIHNhbXBsZSBub25jZQ=="},
	}
}
