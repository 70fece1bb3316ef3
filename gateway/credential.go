package gateway

import (
	"net/http"
	"net/netip"
	"net/url"
	"strings"

	"github.com/labstack/echo/v4"

	"github.com/tallywire/tallywire/gateway/auth"
	"github.com/tallywire/tallywire/gateway/wire"
)

// authorise returns who a request speaks for, by its Authorization header or else by its cookie. Every
// route but the WebSocket's asks it, whatever its transport; its errors are answers.
func (g *Gateway) authorise(c echo.Context) (*auth.Principal, error) {
	r := c.Request()
	token, byCookie, err := g.credential(r)
	if err != nil {
		return nil, err
	}
	p, err := g.options.Auth.Authenticate(r.Context(), token)
	if err != nil {
		if e := authError(err); byCookie && e.Code == wire.CodeUnauthorized {
			e.Message += " (the token is the cookie's)"
			return nil, e
		}
		return nil, authError(err)
	}
	return p, nil
}

// authoriseUpgrade returns who a WebSocket's upgrade speaks for, nil where the frame `connect` has to say
// it. A page cannot read how an upgrade was refused, and may be about to send a token of its own: so a
// cookie that cannot be used counts as none, and it is `connect` that gets the error. That it cannot be
// checked now is an error here, since the same cookie may be good later.
func (g *Gateway) authoriseUpgrade(r *http.Request) (*auth.Principal, error) {
	token, byCookie, err := g.credential(r)
	if err != nil || token == "" {
		return nil, nil //nolint:nilerr,nilnil // see above
	}
	p, err := g.options.Auth.Authenticate(r.Context(), token)
	if err == nil {
		return p, nil
	}
	if e := authError(err); !byCookie || e.Code.Retry() {
		return nil, e
	}
	return nil, nil //nolint:nilnil // see above
}

// credential returns a request's token: that of the Authorization header, else that of the cookie, else "".
// A browser sends the cookie with whatever any page makes it ask for, so the cookie counts only where the
// request is known to come from a page that may use it; else the error is the answer.
func (g *Gateway) credential(r *http.Request) (token string, byCookie bool, err error) {
	if token = bearer(r); token != "" {
		return token, false, nil
	}
	if token = cookieToken(r); token == "" {
		return "", false, nil
	}
	if bad := g.cookieOrigin(r); bad != nil {
		return "", true, bad
	}
	return token, true, nil
}

// bearer returns the token of a request's Authorization header, "" when there is none.
func bearer(r *http.Request) string {
	scheme, token, ok := strings.Cut(r.Header.Get(echo.HeaderAuthorization), " ")
	if !ok || !strings.EqualFold(scheme, "bearer") {
		return ""
	}
	return strings.TrimSpace(token)
}

// cookieOrigin says why a request may not use the cookie, nil where it may. Browsers tell the origin of
// every request that crosses origins or changes something; where they leave it out, they say
// `Sec-Fetch-Site: same-origin`, which no page can set.
func (g *Gateway) cookieOrigin(r *http.Request) *wire.Error {
	origin := r.Header.Get(echo.HeaderOrigin)
	switch {
	case origin == "" && r.Header.Get("Sec-Fetch-Site") == "same-origin":
		return nil
	case origin == "":
		return wire.Errorf(wire.CodeOriginRequired,
			"a request authorised by the cookie needs an Origin; send the token in the Authorization header instead")
	case !g.originNamed(origin, r):
		return wire.Errorf(wire.CodeOriginNotAllowed,
			"pages of this Origin may not use the cookie: it takes https, and a name in --allowed-origins other than *")
	}
	return nil
}

// originNamed reports whether credentials of the browser may be used by pages of origin: it is the gateway's
// own or is named in the options, not let in by "*" alone. Its pages must have come over TLS or from this
// machine, unless the option itself says http://; otherwise whoever is on the network path could write them.
func (g *Gateway) originNamed(origin string, r *http.Request) bool {
	u, err := url.Parse(origin)
	if err != nil || u.Host == "" {
		return false
	}
	safe := u.Scheme == "https" || localHost(hostname(u.Host))
	if safe && g.ownOrigin(u, r) {
		return true
	}
	for _, pattern := range g.options.AllowedOrigins {
		if pattern != "*" && (safe || strings.HasPrefix(strings.ToLower(pattern), "http://")) && matchesOrigin(pattern, u) {
			return true
		}
	}
	return false
}

// localHost reports whether a host's name or address is this machine's own for whoever uses it.
func localHost(name string) bool {
	if ip, err := netip.ParseAddr(name); err == nil {
		return ip.IsLoopback()
	}
	return name == "localhost" || strings.HasSuffix(name, ".localhost")
}
