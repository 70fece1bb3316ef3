package gateway_test

import (
	"fmt"
	"net/http"
	"net/netip"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/tallywire/tallywire/gateway"
)

// behind is a rig whose peers, this machine's, are trusted where networks says so.
func behind(t *testing.T, networks ...string) *rig {
	t.Helper()
	return newRig(t, rigOptions{change: func(o *gateway.Options) {
		o.AllowedHosts = []string{"events.example.com"}
		for _, n := range networks {
			o.TrustedProxies = append(o.TrustedProxies, netip.MustParsePrefix(n))
		}
	}})
}

// TestForwardedAddresses: who a client is stands in X-Forwarded-For, where a trusted proxy wrote it.
func TestForwardedAddresses(t *testing.T) {
	const here = "127.0.0.1"
	for name, c := range map[string]struct {
		trusted   []string
		forwarded []string
		want      string
	}{
		"nobody is trusted":             {nil, []string{"203.0.113.9"}, here},
		"another network is trusted":    {[]string{"10.0.0.0/8", "::1/128"}, []string{"203.0.113.9"}, here},
		"the proxy says it":             {[]string{"127.0.0.0/8"}, []string{"203.0.113.9"}, "203.0.113.9"},
		"the client wrote some itself":  {[]string{"127.0.0.0/8"}, []string{"198.51.100.1, 203.0.113.9"}, "203.0.113.9"},
		"it did so in a header before":  {[]string{"127.0.0.0/8"}, []string{"198.51.100.1", "203.0.113.9"}, "203.0.113.9"},
		"two proxies":                   {[]string{"127.0.0.0/8", "10.0.0.0/8"}, []string{"198.51.100.1, 203.0.113.9, 10.1.2.3"}, "203.0.113.9"},
		"a private address is no proxy": {[]string{"127.0.0.0/8"}, []string{"203.0.113.9, 10.1.2.3"}, "10.1.2.3"},
		"an address of IPv6":            {[]string{"127.0.0.1/32"}, []string{"2001:db8::7"}, "2001:db8::7"},
		"no address":                    {[]string{"127.0.0.1/32"}, []string{"203.0.113.9, unknown"}, here},
		"the proxy says nothing":        {[]string{"127.0.0.1/32"}, nil, here},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r := behind(t, c.trusted...)
			c2 := r.dial(http.Header{"X-Forwarded-For": c.forwarded, "X-Real-Ip": {"198.51.100.66"}})
			c2.send(`{"type":"connect","token":"%s"}`, r.token("alice", nil))
			c2.expect("connected")
			sessions := r.gateway.Sessions("alice")
			require.Len(t, sessions, 1)
			require.Equal(t, c.want, sessions[0].Remote)
		})
	}
}

// TestForwardedProtocol: what a trusted proxy has taken over TLS is of no page that came without.
func TestForwardedProtocol(t *testing.T) {
	const plain, safe = "http://events.example.com", "https://events.example.com"
	for _, c := range []struct {
		trusted  string
		protocol []string
		origin   string
		refused  bool
	}{
		{"127.0.0.0/8", []string{"https"}, safe, false},
		{"127.0.0.0/8", []string{"https"}, plain, true},
		{"127.0.0.0/8", []string{"HTTPS"}, plain, true},
		{"127.0.0.0/8", []string{"http"}, plain, false},
		{"127.0.0.0/8", []string{"https, http"}, plain, false},
		{"127.0.0.0/8", []string{"http", "https"}, plain, false},
		{"127.0.0.0/8", nil, plain, false},
		{"10.0.0.0/8", []string{"https"}, plain, false}, // anybody may write it
		{"10.0.0.0/8", []string{"https"}, safe, false},
		{"10.0.0.0/8", []string{"http"}, safe, false},
	} {
		t.Run(fmt.Sprint(c), func(t *testing.T) {
			t.Parallel()
			r := behind(t, c.trusted)
			header := upgradeHeader()
			header.Set("Host", "events.example.com")
			header.Set("Origin", c.origin)
			header["X-Forwarded-Proto"] = c.protocol
			want := http.StatusSwitchingProtocols
			if c.refused {
				want = http.StatusForbidden
			}
			require.Equal(t, want, r.upgrade(header).status)
			// The cookie takes an origin over TLS in any case.
			token := r.token("alice", nil)
			page := byCookie(token, "Host", "events.example.com", "Origin", c.origin)
			page["X-Forwarded-Proto"] = c.protocol
			want = http.StatusOK
			if c.origin == plain {
				want = http.StatusForbidden
			}
			require.Equal(t, want, r.get("/v1/channels/jobs:1/events", "", page).status)
		})
	}
}

// TestOwnOriginOverTLS: a gateway that speaks TLS itself is no plain page's own.
func TestOwnOriginOverTLS(t *testing.T) {
	r := newRig(t, rigOptions{tls: true, change: func(o *gateway.Options) { o.AllowedHosts = []string{"events.example.com"} }})
	for origin, want := range map[string]int{
		"https://events.example.com": http.StatusOK, "http://events.example.com": http.StatusForbidden,
	} {
		header := http.Header{"Host": {"events.example.com"}, "Origin": {origin}}
		require.Equal(t, want, r.get("/v1/channels/jobs:1/events", r.token("alice", nil), header).status, origin)
	}
}
