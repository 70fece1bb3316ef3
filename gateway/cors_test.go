package gateway_test

import (
	"net/http"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/tallywire/tallywire/gateway"
	"github.com/tallywire/tallywire/gateway/wire"
)

// corsRig serves pages by name, by pattern and (star) all others.
func corsRig(t *testing.T, star bool) *rig {
	t.Helper()
	return newRig(t, rigOptions{change: func(o *gateway.Options) {
		o.AllowedHosts = []string{"events.example.com"}
		o.AllowedOrigins = []string{"app.example.com", "*.partner.example"}
		if star {
			o.AllowedOrigins = append(o.AllowedOrigins, "*")
		}
	}})
}

// preflight asks as a browser would before it sends a request with a token.
func (r *rig) preflight(origin, path, method, headers string) answer {
	r.t.Helper()
	h := http.Header{"Host": {"events.example.com"}, "Origin": {origin}, "Access-Control-Request-Method": {method}}
	if headers != "" {
		h.Set("Access-Control-Request-Headers", headers)
	}
	return r.request(http.MethodOptions, path, "", h, nil)
}

// fields splits a header that is a list.
func fields(h http.Header, name string) []string {
	list := strings.Split(strings.Join(h.Values(name), ", "), ", ")
	slices.Sort(list)
	return list
}

// corsOf leaves of a header what it says to browsers about other origins.
func corsOf(h http.Header) (names []string) {
	for name := range h {
		if strings.HasPrefix(name, "Access-Control-") {
			names = append(names, name)
		}
	}
	return names
}

func TestPagesThatMayReadAnswers(t *testing.T) {
	for _, c := range []struct {
		origin             string
		star               bool
		allowed, withToken bool
	}{
		{"https://events.example.com", false, true, true},
		{"https://app.example.com", false, true, true},
		{"http://app.example.com", false, true, false}, // may be written by whoever is on the way
		{"https://x.partner.example", false, true, true},
		{"https://evil.example", false, false, false},
		{"null", false, false, false},
		{"https://app.example.com", true, true, true},
		{"https://evil.example", true, true, false},
		{"null", true, true, false},
	} {
		r := corsRig(t, c.star)
		for what, resp := range map[string]answer{
			"preflight": r.preflight(c.origin, "/v1/publish", "POST", "authorization"),
			"request":   r.get("/v1/channels/jobs:1/events", r.token("alice", nil), http.Header{"Host": {"events.example.com"}, "Origin": {c.origin}}),
			"refusal":   r.get("/v1/channels/jobs:1/events", "", http.Header{"Host": {"events.example.com"}, "Origin": {c.origin}}),
			"no path":   r.get("/v1/nothing", "", http.Header{"Host": {"events.example.com"}, "Origin": {c.origin}}),
			"no method": r.request(http.MethodPut, "/v1/publish", "", http.Header{"Host": {"events.example.com"}, "Origin": {c.origin}}, nil),
		} {
			t.Run(what+" of "+c.origin, func(t *testing.T) {
				require.Contains(t, fields(resp.header, "Vary"), "Origin")
				if !c.allowed {
					require.Equal(t, http.StatusForbidden, resp.status)
					require.Equal(t, wire.CodeOriginNotAllowed, resp.problem(t).Code)
					require.Empty(t, corsOf(resp.header))
					return
				}
				require.NotEqual(t, http.StatusForbidden, resp.status)
				require.Equal(t, c.origin, resp.header.Get("Access-Control-Allow-Origin"), "never the star")
				want := ""
				if c.withToken {
					want = "true"
				}
				require.Equal(t, want, resp.header.Get("Access-Control-Allow-Credentials"))
				if what != "preflight" {
					require.Equal(t, []string{"ETag", "Link", "Retry-After", "Tallywire-Head"},
						fields(resp.header, "Access-Control-Expose-Headers"))
				}
			})
		}
	}
}

func TestPreflights(t *testing.T) {
	r := corsRig(t, false)
	const app = "https://app.example.com"
	for path, methods := range map[string][]string{
		"/v1/publish":                  {"POST"},
		"/v1/cookie":                   {"DELETE", "POST"},
		"/v1/channels/jobs:42/events":  {"GET", "HEAD"},
		"/v1/channels/jobs:42/members": {"GET"},
	} {
		resp := r.preflight(app, path, methods[0], "authorization, content-type")
		require.Equal(t, http.StatusNoContent, resp.status, path)
		require.Empty(t, resp.body)
		require.Equal(t, methods, fields(resp.header, "Access-Control-Allow-Methods"), path)
		require.Equal(t, []string{"Authorization", "Cache-Control", "Content-Type", "If-None-Match", "Last-Event-ID"},
			fields(resp.header, "Access-Control-Allow-Headers"))
		require.Equal(t, "7200", resp.header.Get("Access-Control-Max-Age"))
		require.Equal(t, []string{"Access-Control-Request-Headers", "Access-Control-Request-Method", "Origin"}, fields(resp.header, "Vary"))
	}
	// Attributes of an event have no pattern; what is asked for is allowed where it can be one.
	resp := r.preflight(app, "/v1/publish", "POST", "ce-id,ce-specversion, CE-Reason ,x-other,ce-,ce-a_b,ce-a\tb,ce-"+strings.Repeat("x", 65))
	require.Equal(t, []string{
		"Authorization", "Cache-Control", "Content-Type", "If-None-Match", "Last-Event-ID",
		"ce-id", "ce-reason", "ce-specversion",
	}, fields(resp.header, "Access-Control-Allow-Headers"))
	many := strings.TrimSuffix(strings.Repeat("ce-x,", 1000), ",")
	resp = r.preflight(app, "/v1/publish", "POST", many)
	require.Less(t, len(fields(resp.header, "Access-Control-Allow-Headers")), 60, "a bounded answer")

	require.Equal(t, http.StatusNotFound, r.preflight(app, "/v1/nothing", "GET", "").status)
	evil := r.request(http.MethodOptions, "/v1/publish", "", http.Header{
		"Host": {"evil.example"}, "Origin": {app}, "Access-Control-Request-Method": {"POST"},
	}, nil)
	require.Equal(t, http.StatusMisdirectedRequest, evil.status)
	require.Empty(t, corsOf(evil.header))
	// OPTIONS that is no preflight says which methods there are.
	plain := r.request(http.MethodOptions, "/v1/publish", "", nil, nil)
	require.Equal(t, http.StatusNoContent, plain.status)
	require.Equal(t, []string{"OPTIONS", "POST"}, fields(plain.header, "Allow"))
	require.Empty(t, corsOf(plain.header))
	// What orchestrators ask is for no page.
	health := r.get("/healthz", "", http.Header{"Origin": {app}})
	require.Equal(t, http.StatusOK, health.status)
	require.Empty(t, corsOf(health.header))
}
