package gateway

import (
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"

	"github.com/labstack/echo/v4"

	"github.com/tallywire/tallywire/gateway/wire"
)

// cookieName names the cookie that holds a token. The prefix has browsers accept it from this host alone, over
// TLS (or from this machine), for all paths: no neighbouring name can plant one.
const cookieName = "__Host-tallywire"

// maxCookie is the size up to which every browser keeps a cookie: name, value and attributes (RFC 6265, 6.1).
const maxCookie = 4096

// cookieToken returns the token in a request's cookie, "" when there is none.
func cookieToken(r *http.Request) string {
	cookie, err := r.Cookie(cookieName)
	if err != nil {
		return ""
	}
	return cookie.Value
}

// setCookie handles POST /v1/cookie: the token of the Authorization header becomes a cookie that lives as long
// as the token, for what cannot send a header (EventSource, WebSocket).
func (g *Gateway) setCookie(c echo.Context) error {
	token := bearer(c.Request())
	if token == "" {
		return wire.Errorf(wire.CodeUnauthorized, "send the token that is to become the cookie as Authorization: Bearer")
	}
	p, err := g.options.Auth.Authenticate(c.Request().Context(), token)
	if err != nil {
		return authError(err)
	}
	if g.plainPage(c.Request()) {
		return wire.Errorf(wire.CodeInvalidRequest, "browsers keep the cookie only over TLS, or from localhost; send the token in the Authorization header")
	}
	life := time.Until(p.Expires).Truncate(time.Second) // never longer than the token
	if life < time.Second {
		return wire.Errorf(wire.CodeTokenExpired, "the token has expired")
	}
	cookie := g.cookie(token, int(life/time.Second))
	if cookie.Valid() != nil {
		return wire.Errorf(wire.CodeInvalidRequest, "the token has characters that a cookie cannot hold")
	}
	if size := len(cookie.String()); size > maxCookie {
		return wire.Errorf(wire.CodeTokenTooLarge, "the cookie would have "+strconv.Itoa(size)+" bytes, browsers keep "+strconv.Itoa(maxCookie)+
			": issue tokens with fewer claims, or send the token in the Authorization header")
	}
	return answerCookie(c, cookie)
}

// dropCookie handles DELETE /v1/cookie. It does not ask whether the token in it is still good.
func (g *Gateway) dropCookie(c echo.Context) error {
	if cookieToken(c.Request()) != "" {
		if bad := g.cookieOrigin(c.Request()); bad != nil {
			return bad // else any page could sign its visitors out
		}
	}
	return answerCookie(c, g.cookie("", -1))
}

// cookie returns the cookie; age is in seconds.
func (g *Gateway) cookie(token string, age int) *http.Cookie {
	return &http.Cookie{ //nolint:gosec // SameSite is checked by Options.validate
		Name: cookieName, Value: token, Path: "/", MaxAge: age, Secure: true, HttpOnly: true, SameSite: g.options.CookieSameSite,
		// A cookie for pages of other sites is one of its own for each of them; browsers block all others.
		Partitioned: g.options.CookieSameSite == http.SameSiteNoneMode,
	}
}

func answerCookie(c echo.Context, cookie *http.Cookie) error {
	c.SetCookie(cookie)
	c.Response().Header().Set(echo.HeaderCacheControl, "no-store")
	return c.NoContent(http.StatusNoContent) //nolint:wrapcheck // echo
}

// plainPage reports whether the request comes from a page that the gateway's own host has served without TLS:
// its browser would drop the cookie without a word.
func (g *Gateway) plainPage(r *http.Request) bool {
	u, err := url.Parse(r.Header.Get(echo.HeaderOrigin))
	return err == nil && !g.overTLS(r) && u.Scheme == "http" && strings.EqualFold(u.Host, r.Host) && !localHost(hostname(u.Host))
}
