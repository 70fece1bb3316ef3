package admin

import (
	"net/http"
	"strings"
	"time"

	"github.com/labstack/echo/v4"
	"github.com/rs/zerolog"

	"github.com/tallywire/tallywire/gateway/auth"
	"github.com/tallywire/tallywire/gateway/wire"
)

// manner says how a call is logged.
type manner int

const (
	watches manner = iota // what a console asks every other second: not worth a line
	reads                 // looks at people or their data
	acts                  // changes something
)

const actorKey = "admin.actor"

// actor returns whom a request speaks for.
func actor(c echo.Context) *auth.Principal {
	p, _ := c.Get(actorKey).(*auth.Principal)
	return p
}

// call is the middleware of every call: it lets in who may use the API, bounds how many are under way, and
// logs who did what, and with which outcome.
func (a *Admin) call(m manner) echo.MiddlewareFunc {
	return func(next echo.HandlerFunc) echo.HandlerFunc {
		return func(c echo.Context) error {
			began := time.Now()
			c.Response().Header().Set(echo.HeaderCacheControl, "no-store")
			select {
			case a.slots <- struct{}{}:
				defer func() { <-a.slots }()
			default:
				return wire.Errorf(wire.CodeOverloaded, "too many admin requests at once")
			}
			p, err := a.admit(c.Request())
			if err == nil {
				c.Set(actorKey, p)
				err = next(c)
			}
			if err != nil {
				a.problem(err, c)
			}
			a.audit(c, m, p, err, time.Since(began))
			return nil
		}
	}
}

// admit returns whom a request speaks for, if that one may use the API.
func (a *Admin) admit(r *http.Request) (*auth.Principal, error) {
	p, err := a.options.Auth.Authenticate(r.Context(), bearer(r))
	if err != nil {
		return nil, authError(err)
	}
	if !p.Permissions.Admin {
		return p, wire.Errorf(wire.CodeForbidden, "the token does not allow the admin API: it lacks the admin permission")
	}
	return p, nil
}

// bearer returns the token of the Authorization header: the only place where one counts.
func bearer(r *http.Request) string {
	scheme, token, ok := strings.Cut(r.Header.Get(echo.HeaderAuthorization), " ")
	if !ok || !strings.EqualFold(scheme, "bearer") {
		return ""
	}
	return strings.TrimSpace(token)
}

// audit logs a call. What was read or done is in the path and in what the handler noted.
func (a *Admin) audit(c echo.Context, m manner, p *auth.Principal, failure error, took time.Duration) {
	level := zerolog.InfoLevel
	event, message := "admin_action", "admin action"
	switch {
	case p == nil || c.Response().Status == http.StatusForbidden:
		level, event, message = zerolog.WarnLevel, "admin_refused", "an admin request was refused"
	case m == reads:
		event, message = "admin_read", "admin request"
	case m == watches:
		level, event, message = zerolog.DebugLevel, "admin_read", "admin request"
	}
	entry := a.options.Log.WithLevel(level)
	if level < a.options.Log.GetLevel() {
		return
	}
	entry = entry.Str("event", event).Str("remote", c.RealIP()).Str("method", c.Request().Method).
		Str("route", c.Path()).Str("uri", clip(c.Request().RequestURI, 512)).
		Int("status", c.Response().Status).Dur("took_ms", took)
	if p != nil {
		entry = entry.Str("actor", p.User).Str("actor_token", p.TokenID).Str("actor_issuer", p.Issuer)
	}
	if failure != nil {
		entry = entry.Str("code", string(problemOf(failure).Code))
	}
	if note, ok := c.Get(noteKey).(map[string]any); ok {
		entry = entry.Interface("did", note)
	}
	entry.Msg(message)
}

const noteKey = "admin.note"

// note adds to what is logged of a call: what was acted on, and what came of it.
func note(c echo.Context, pairs ...any) {
	n, ok := c.Get(noteKey).(map[string]any)
	if !ok {
		n = map[string]any{}
		c.Set(noteKey, n)
	}
	for i := 0; i+1 < len(pairs); i += 2 {
		if name, ok := pairs[i].(string); ok {
			n[name] = pairs[i+1]
		}
	}
}

func clip(s string, most int) string {
	if len(s) <= most {
		return s
	}
	return strings.ToValidUTF8(s[:most], "") + "…"
}
