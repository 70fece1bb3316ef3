package gateway_test

import (
	"context"
	"fmt"
	"net/http"
	"net/http/cookiejar"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/tallywire/tallywire/gateway"
	"github.com/tallywire/tallywire/gateway/auth"
	"github.com/tallywire/tallywire/gateway/wire"
)

const cookieName = "__Host-tallywire"

// cookieOf returns the one cookie that an answer sets.
func cookieOf(t *testing.T, a answer) *http.Cookie {
	t.Helper()
	require.Equal(t, http.StatusNoContent, a.status, a.body)
	require.Equal(t, "no-store", a.header.Get("Cache-Control"))
	require.Len(t, a.header.Values("Set-Cookie"), 1)
	cookie, err := http.ParseSetCookie(a.header.Get("Set-Cookie"))
	require.NoError(t, err)
	return cookie
}

// byCookie is a header with a token in the cookie, and more headers in pairs.
func byCookie(token string, more ...string) http.Header {
	h := http.Header{"Cookie": {"theme=dark; " + cookieName + "=" + token}}
	for pair := range slices.Chunk(more, 2) {
		h.Set(pair[0], pair[1])
	}
	return h
}

func TestATokenBecomesACookie(t *testing.T) {
	r := newRig(t, rigOptions{})
	token := r.token("alice", nil) // for an hour
	cookie := cookieOf(t, r.request(http.MethodPost, "/v1/cookie", token, nil, nil))
	require.Equal(t, cookieName, cookie.Name)
	require.Equal(t, token, cookie.Value)
	require.True(t, cookie.HttpOnly)
	require.True(t, cookie.Secure)
	require.Equal(t, http.SameSiteStrictMode, cookie.SameSite)
	require.Equal(t, "/", cookie.Path)
	require.Empty(t, cookie.Domain)
	require.False(t, cookie.Partitioned)
	require.InDelta(t, 3600, cookie.MaxAge, 30)
	require.LessOrEqual(t, cookie.MaxAge, 3600, "no longer than the token")

	// What a browser does with it.
	jar, err := cookiejar.New(nil)
	require.NoError(t, err)
	base, err := http.NewRequest(http.MethodGet, strings.Replace(r.url, "http:", "https:", 1), nil)
	require.NoError(t, err)
	jar.SetCookies(base.URL, []*http.Cookie{cookie})
	require.Len(t, jar.Cookies(base.URL), 1)
	gone := cookieOf(t, r.request(http.MethodDelete, "/v1/cookie", "", byCookie(token, "Origin", r.url), nil))
	require.Empty(t, gone.Value)
	require.Negative(t, gone.MaxAge)
	jar.SetCookies(base.URL, []*http.Cookie{gone})
	require.Empty(t, jar.Cookies(base.URL))
}

func TestTheCookieOfPagesOfOtherSites(t *testing.T) {
	for mode, partitioned := range map[http.SameSite]bool{http.SameSiteLaxMode: false, http.SameSiteNoneMode: true} {
		r := newRig(t, rigOptions{change: func(o *gateway.Options) { o.CookieSameSite = mode }})
		for _, cookie := range []*http.Cookie{
			cookieOf(t, r.request(http.MethodPost, "/v1/cookie", r.token("alice", nil), nil, nil)),
			cookieOf(t, r.request(http.MethodDelete, "/v1/cookie", "", nil, nil)),
		} {
			require.Equal(t, mode, cookie.SameSite)
			require.Equal(t, partitioned, cookie.Partitioned)
			require.True(t, cookie.Secure)
		}
	}
}

func TestWhatBecomesNoCookie(t *testing.T) {
	r := newRig(t, rigOptions{change: func(o *gateway.Options) { o.AllowedHosts = []string{"events.example.com"} }})
	token := r.token("alice", nil)
	expiring, err := auth.Mint([]byte(secret), auth.Claims{User: "alice", IssuedAt: time.Now().Add(-time.Hour)}, time.Hour)
	require.NoError(t, err)
	many := make([]string, 64)
	for i := range many {
		many[i] = fmt.Sprintf("a.namespace.with.a.long.name.%d:*", i)
	}
	for name, c := range map[string]struct {
		token  string
		header http.Header
		status int
		code   wire.Code
	}{
		"no token":               {"", nil, 401, wire.CodeUnauthorized},
		"a forged token":         {"forged", nil, 401, wire.CodeUnauthorized},
		"an expired token":       {expiring, nil, 401, wire.CodeTokenExpired},
		"the cookie for another": {"", byCookie(token, "Origin", r.url), 401, wire.CodeUnauthorized},
		"a token that is too large": {
			r.token("alice", &auth.Permissions{Subscribe: many, Publish: many}), nil, 431, wire.CodeTokenTooLarge,
		},
		"a page without TLS": {
			token, http.Header{"Host": {"events.example.com"}, "Origin": {"http://events.example.com"}}, 400, wire.CodeInvalidRequest,
		},
		"a page that may not connect": {token, http.Header{"Origin": {"https://evil.example"}}, 403, wire.CodeOriginNotAllowed},
		"a host that is not served":   {token, http.Header{"Host": {"evil.example"}}, 421, wire.CodeHostNotAllowed},
	} {
		t.Run(name, func(t *testing.T) {
			resp := r.request(http.MethodPost, "/v1/cookie", c.token, c.header, nil)
			require.Equal(t, c.status, resp.status, resp.body)
			require.Equal(t, c.code, resp.problem(t).Code)
			require.Empty(t, resp.header.Values("Set-Cookie"))
		})
	}
	require.Equal(t, http.StatusMethodNotAllowed, r.get("/v1/cookie", token, nil).status)
}

// Whatever the transport, a cookie counts only for pages that are known and may use it.
func TestTheCookieIsForPagesThatAreKnown(t *testing.T) {
	r := newRig(t, rigOptions{change: func(o *gateway.Options) {
		o.AllowedHosts = []string{"events.example.com"}
		o.AllowedOrigins = []string{"app.example.com", "*.partner.example", "http://plain.example", "*"}
	}})
	token := r.token("alice", nil)
	const host = "events.example.com"
	for name, c := range map[string]struct {
		more []string
		code wire.Code
	}{
		"no page at all":                         {[]string{"Host", host}, wire.CodeOriginRequired},
		"a page of the gateway, said by browser": {[]string{"Host", host, "Sec-Fetch-Site", "same-origin"}, ""},
		"a page of a neighbour":                  {[]string{"Host", host, "Sec-Fetch-Site", "same-site"}, wire.CodeOriginRequired},
		"a page of nobody knows whom":            {[]string{"Host", host, "Sec-Fetch-Site", "cross-site"}, wire.CodeOriginRequired},
		"typed into the address bar":             {[]string{"Host", host, "Sec-Fetch-Site", "none"}, wire.CodeOriginRequired},
		"a page of the gateway":                  {[]string{"Host", host, "Origin", "https://" + host}, ""},
		"the gateway's name without TLS":         {[]string{"Host", host, "Origin", "http://" + host}, wire.CodeOriginNotAllowed},
		"a page on this machine":                 {[]string{"Origin", r.url}, ""},
		"localhost":                              {[]string{"Host", "localhost:1", "Origin", "http://localhost:1"}, ""},
		"an address without TLS":                 {[]string{"Host", "10.0.0.1", "Origin", "http://10.0.0.1"}, wire.CodeOriginNotAllowed},
		"an origin that is named":                {[]string{"Host", host, "Origin", "https://app.example.com"}, ""},
		"the same without TLS":                   {[]string{"Host", host, "Origin", "http://app.example.com"}, wire.CodeOriginNotAllowed},
		"an origin named with http":              {[]string{"Host", host, "Origin", "http://plain.example"}, ""},
		"an origin named by a pattern":           {[]string{"Host", host, "Origin", "https://a.partner.example"}, ""},
		"an origin let in by the star alone":     {[]string{"Host", host, "Origin", "https://any.example"}, wire.CodeOriginNotAllowed},
		"an origin that is none":                 {[]string{"Host", host, "Origin", "null"}, wire.CodeOriginNotAllowed},
		"an origin, and the browser's word":      {[]string{"Host", host, "Origin", "https://any.example", "Sec-Fetch-Site", "same-origin"}, wire.CodeOriginNotAllowed},
	} {
		t.Run(name, func(t *testing.T) {
			for _, request := range []struct{ method, path, body string }{
				{http.MethodGet, "/v1/channels/jobs:1/events", ""},
				{http.MethodHead, "/v1/channels/jobs:1/events", ""},
				{http.MethodPost, "/v1/publish", `{"channel":"jobs:1","event":{"type":"x"}}`},
				{http.MethodGet, "/v1/poll?channel=jobs:1&wait_ms=0", ""},
				{http.MethodPost, "/v1/commands", `{"frames":[{"type":"ping"}]}`},
				{http.MethodDelete, "/v1/cookie", ""},
			} {
				resp := r.request(request.method, request.path, "", byCookie(token, c.more...), strings.NewReader(request.body))
				switch {
				case c.code == "":
					require.Less(t, resp.status, 300, "%s %s", request.method, resp.body)
				case request.method == http.MethodHead:
					require.Equal(t, http.StatusForbidden, resp.status)
				default:
					require.Equal(t, http.StatusForbidden, resp.status, request.method)
					require.Equal(t, c.code, resp.problem(t).Code)
				}
			}
			// The token itself is good from anywhere.
			header := byCookie("forged", c.more...)
			require.Equal(t, http.StatusOK, r.get("/v1/channels/jobs:1/events", token, header).status, "a bearer goes first")
		})
	}
}

func TestTokensOfTheCookieAreChecked(t *testing.T) {
	r := newRig(t, rigOptions{})
	for name, c := range map[string]struct {
		token string
		want  int
		code  wire.Code
	}{
		"forged":                   {"forged", 401, wire.CodeUnauthorized},
		"empty":                    {"", 401, wire.CodeUnauthorized},
		"without the permission":   {r.token("alice", &auth.Permissions{}), 403, wire.CodeForbidden},
		"with an Origin and right": {r.token("alice", nil), 200, ""},
	} {
		t.Run(name, func(t *testing.T) {
			resp := r.get("/v1/channels/jobs:1/events", "", byCookie(c.token, "Origin", r.url))
			require.Equal(t, c.want, resp.status, resp.body)
			if c.code != "" {
				require.Equal(t, c.code, resp.problem(t).Code)
			}
		})
	}
	// A name beside the cookie's is none, since a neighbouring host could plant it.
	resp := r.get("/v1/channels/jobs:1/events", "", http.Header{"Cookie": {"tallywire=" + r.token("alice", nil)}, "Origin": {r.url}})
	require.Equal(t, http.StatusUnauthorized, resp.status)
}

// keylessAuth cannot have the keys for one token.
type keylessAuth struct{ gateway.Authenticator }

func (a keylessAuth) Authenticate(ctx context.Context, token string) (*auth.Principal, error) {
	if token == "keyless" {
		return nil, &auth.Error{Code: auth.CodeKeysUnavailable, Message: "not now", Retry: true}
	}
	return a.Authenticator.Authenticate(ctx, token) //nolint:wrapcheck // passed on
}

// A WebSocket takes the cookie too. A page cannot read why an upgrade is refused, so a cookie that cannot be
// used leaves it to `connect` to bring a token, and to be told.
func TestTheCookieOpensAWebSocket(t *testing.T) {
	r := newRig(t, rigOptions{change: func(o *gateway.Options) {
		o.AllowedOrigins, o.Auth = []string{"*"}, keylessAuth{o.Auth}
	}})
	token := r.token("alice", nil)
	c := r.dial(byCookie(token, "Origin", r.url))
	c.send(`{"type":"connect"}`)
	require.Equal(t, "alice", c.expect("connected").User)
	c.subscribe("jobs:1", "")

	for name, header := range map[string]http.Header{
		"of a page that only the star lets in": byCookie(token, "Origin", "https://any.example"),
		"of nobody knows whom":                 byCookie(token),
		"that is forged":                       byCookie("forged", "Origin", r.url),
	} {
		t.Run(name, func(t *testing.T) {
			c := r.dial(header)
			c.send(`{"type":"connect"}`)
			c.expectError(wire.CodeUnauthorized)
			c.send(`{"type":"connect","token":"%s"}`, r.token("bob", nil))
			require.Equal(t, "bob", c.expect("connected").User)
		})
	}
	// The same cookie may be good later: the client is to come back.
	header := upgradeHeader()
	header.Set("Cookie", cookieName+"=keyless")
	header.Set("Origin", r.url)
	resp := r.upgrade(header)
	require.Equal(t, http.StatusServiceUnavailable, resp.status)
	require.True(t, resp.problem(t).Retry)
}
