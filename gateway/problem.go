package gateway

import (
	"net/http"

	"github.com/labstack/echo/v4"

	"github.com/tallywire/tallywire/gateway/wire"
)

// Problem is an RFC 9457 problem detail with the wire's error code.
type Problem struct {
	Type    string    `json:"type"` // about:blank: Title is the status' text
	Title   string    `json:"title"`
	Status  int       `json:"status"`
	Detail  string    `json:"detail"`
	Code    wire.Code `json:"code"`
	Retry   bool      `json:"retry"`
	Path    string    `json:"path,omitempty"`
	Channel string    `json:"channel,omitempty"`
}

// problem is the one place where errors become HTTP answers.
func (g *Gateway) problem(err error, c echo.Context) {
	if c.Response().Committed {
		return
	}
	e := wireError(err)
	p := problemOf(e)
	if e.Code == wire.CodeInternal {
		g.options.Log.Error().Str("event", "request_failed").Err(err).Msg("request failed")
	}
	if err := writeProblem(c, p); err != nil {
		g.options.Log.Debug().Str("event", "answer_failed").Err(err).Msg("client went away")
	}
}

// writeProblem answers a request.
func writeProblem(c echo.Context, p Problem) error {
	h := c.Response().Header()
	h.Set(echo.HeaderContentType, "application/problem+json")
	if p.Status == http.StatusUnauthorized {
		h.Set(echo.HeaderWWWAuthenticate, `Bearer realm="tallywire"`)
	}
	if c.Request().Method == http.MethodHead {
		return c.NoContent(p.Status) //nolint:wrapcheck // echo
	}
	c.Response().WriteHeader(p.Status)
	return c.Echo().JSONSerializer.Serialize(c, p, "") //nolint:wrapcheck // echo
}

func problemOf(e *wire.Error) Problem {
	status := statusOf(e.Code)
	return Problem{
		Type: "about:blank", Title: http.StatusText(status), Status: status, Detail: e.Message,
		Code: e.Code, Retry: e.Code.Retry(), Path: e.Path, Channel: e.Channel,
	}
}

func statusOf(code wire.Code) int {
	switch code {
	case wire.CodeUnauthorized, wire.CodeTokenExpired, wire.CodeTokenRevoked:
		return http.StatusUnauthorized
	case wire.CodeForbidden, wire.CodeOriginNotAllowed:
		return http.StatusForbidden
	case wire.CodeHostNotAllowed:
		return http.StatusMisdirectedRequest
	case wire.CodeNotFound:
		return http.StatusNotFound
	case wire.CodeFrameTooLarge, wire.CodeStatusTooLarge:
		return http.StatusRequestEntityTooLarge
	case wire.CodeInvalidEvent:
		return http.StatusUnprocessableEntity
	case wire.CodeUnsupported:
		return http.StatusMethodNotAllowed
	case wire.CodeRateLimited:
		return http.StatusTooManyRequests
	case wire.CodeOverloaded, wire.CodeUnavailable, wire.CodeKeysUnavailable:
		return http.StatusServiceUnavailable
	case wire.CodeRefused:
		return http.StatusInsufficientStorage
	case wire.CodeInternal:
		return http.StatusInternalServerError
	default:
		return http.StatusBadRequest
	}
}
