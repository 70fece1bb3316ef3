package gateway

import (
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"path"
	"slices"
	"strings"

	"github.com/labstack/echo/v4"

	"github.com/tallywire/tallywire/gateway/wire"
)

// guard refuses requests for a host that this gateway does not serve (a page of another site whose name
// was rebound to our address), and from pages of sites that may not use it. It stands before every
// resource but the orchestrator's checks, those that do not exist included, and answers preflights.
func (g *Gateway) guard(next echo.HandlerFunc) echo.HandlerFunc {
	return func(c echo.Context) error {
		r := c.Request()
		if r.URL.Path == pathHealth || r.URL.Path == pathReady {
			return next(c)
		}
		addVary(c.Response().Header(), echo.HeaderOrigin)
		if !g.hostAllowed(r.Host) {
			return wire.Errorf(wire.CodeHostNotAllowed, "the Host is not served here; see --allowed-hosts")
		}
		if origin := r.Header.Get(echo.HeaderOrigin); origin != "" {
			if !g.originAllowed(origin, r) {
				return wire.Errorf(wire.CodeOriginNotAllowed, "pages of this Origin may not connect; see --allowed-origins")
			}
			g.allowPage(c, origin)
		}
		if allow, ok := c.Get(echo.ContextKeyHeaderAllow).(string); ok && isPreflight(r) {
			return preflight(c, allow)
		}
		return next(c)
	}
}

// hostAllowed reports whether host (with or without port) is one of the gateway's names. An address or
// localhost always is: a browser cannot be made to send either for a foreign site.
func (g *Gateway) hostAllowed(host string) bool {
	name := hostname(host)
	if _, err := netip.ParseAddr(name); err == nil || name == "localhost" || strings.HasSuffix(name, ".localhost") {
		return true
	}
	return matchesHost(g.options.AllowedHosts, host)
}

// originAllowed reports whether pages of origin may make a request.
func (g *Gateway) originAllowed(origin string, r *http.Request) bool {
	u, err := url.Parse(origin)
	if err != nil || u.Host == "" {
		return matchesHost(g.options.AllowedOrigins, origin)
	}
	if g.ownOrigin(u, r) {
		return true
	}
	return slices.ContainsFunc(g.options.AllowedOrigins, func(pattern string) bool { return matchesOrigin(pattern, u) })
}

// ownOrigin reports whether a page is of the host that it makes a request to. Of a host that is reached over
// TLS no plain page is: whoever is on the network path could have written it.
func (g *Gateway) ownOrigin(origin *url.URL, r *http.Request) bool {
	return strings.EqualFold(origin.Host, r.Host) && (origin.Scheme == "https" || !g.overTLS(r))
}

// matchesOrigin reports whether an origin matches a pattern, which may begin with a scheme.
func matchesOrigin(pattern string, origin *url.URL) bool {
	if scheme, rest, ok := strings.Cut(pattern, "://"); ok {
		if !strings.EqualFold(scheme, origin.Scheme) {
			return false
		}
		pattern = strings.TrimSuffix(rest, "/")
	}
	return matchesHost([]string{pattern}, origin.Host)
}

// matchesHost reports whether a host matches one of the patterns; a pattern without a port matches
// every port.
func matchesHost(patterns []string, host string) bool {
	host = strings.ToLower(host)
	for _, pattern := range patterns {
		pattern = strings.ToLower(pattern)
		if pattern == "*" || pattern == host { // the latter for addresses of IPv6: '[' means more in a pattern
			return true
		}
		if ok, err := path.Match(pattern, host); err == nil && ok {
			return true
		}
		if ok, err := path.Match(pattern, hostname(host)); err == nil && ok {
			return true
		}
	}
	return false
}

// hostname returns the name or address in a Host header, without port and brackets.
func hostname(host string) string {
	if name, _, err := net.SplitHostPort(host); err == nil {
		host = name
	}
	return strings.ToLower(strings.TrimSuffix(strings.TrimPrefix(host, "["), "]"))
}
