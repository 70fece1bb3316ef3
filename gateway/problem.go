package gateway

import (
	"net/http"

	"github.com/labstack/echo/v4"

	"github.com/tallywire/tallywire/gateway/wire"
)

// problem is the one place where errors become HTTP answers.
func (g *Gateway) problem(err error, c echo.Context) {
	if c.Response().Committed {
		return
	}
	e := wireError(err)
	if e.Code == wire.CodeInternal {
		g.options.Log.Error().Str("event", "request_failed").Err(err).Msg("request failed")
	}
	if err := writeProblem(c, e.Problem()); err != nil {
		g.options.Log.Debug().Str("event", "answer_failed").Err(err).Msg("client went away")
	}
}

// writeProblem answers a request.
func writeProblem(c echo.Context, p wire.Problem) error {
	h := c.Response().Header()
	h.Set(echo.HeaderContentType, wire.ProblemType)
	if p.Status == http.StatusUnauthorized {
		h.Set(echo.HeaderWWWAuthenticate, `Bearer realm="tallywire"`)
	}
	if c.Request().Method == http.MethodHead {
		return c.NoContent(p.Status) //nolint:wrapcheck // echo
	}
	c.Response().WriteHeader(p.Status)
	return c.Echo().JSONSerializer.Serialize(c, p, "") //nolint:wrapcheck // echo
}
