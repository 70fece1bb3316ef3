package admin

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"strings"

	"github.com/labstack/echo/v4"

	"github.com/tallywire/tallywire/broker"
	"github.com/tallywire/tallywire/events"
	"github.com/tallywire/tallywire/gateway/auth"
	"github.com/tallywire/tallywire/gateway/wire"
	"github.com/tallywire/tallywire/presence"
)

// problem answers a request with an error, once.
func (a *Admin) problem(err error, c echo.Context) {
	if c.Response().Committed {
		return
	}
	p := problemOf(err)
	if p.Code == wire.CodeInternal {
		a.options.Log.Error().Str("event", "admin_failed").Str("route", c.Path()).Err(err).Msg("an admin request failed")
	}
	h := c.Response().Header()
	h.Set(echo.HeaderContentType, wire.ProblemType)
	h.Set(echo.HeaderXContentTypeOptions, "nosniff")
	if p.Status == http.StatusUnauthorized {
		h.Set(echo.HeaderWWWAuthenticate, `Bearer realm="tallywire-admin"`)
	}
	if c.Request().Method == http.MethodHead {
		_ = c.NoContent(p.Status)
		return
	}
	if err := c.JSON(p.Status, p); err != nil {
		a.options.Log.Debug().Str("event", "answer_failed").Err(err).Msg("client went away")
	}
}

// problemOf is the one place where errors become answers.
func problemOf(err error) wire.Problem {
	p := wireError(err).Problem()
	var he *echo.HTTPError
	if errors.As(err, &he) {
		p.Status, p.Title = he.Code, http.StatusText(he.Code)
	}
	return p
}

func wireError(err error) *wire.Error {
	var (
		e       *wire.Error
		he      *echo.HTTPError
		invalid *events.InvalidError
	)
	switch {
	case errors.As(err, &e):
		return e
	case errors.As(err, &invalid):
		return &wire.Error{Code: wire.CodeInvalidEvent, Message: invalid.Message, Path: invalid.Path}
	case errors.As(err, &he):
		return httpError(he)
	case errors.Is(err, broker.ErrOverloaded), errors.Is(err, presence.ErrOverloaded):
		return wire.Errorf(wire.CodeOverloaded, "too many operations in flight")
	case errors.Is(err, broker.ErrRefused), errors.Is(err, presence.ErrRefused):
		return wire.Errorf(wire.CodeRefused, "the store refuses the operation")
	case errors.Is(err, auth.ErrRevocationsFull):
		return wire.Errorf(wire.CodeRefused, "the list of revocations is full")
	case errors.Is(err, broker.ErrUnavailable), errors.Is(err, presence.ErrUnavailable),
		errors.Is(err, context.DeadlineExceeded), errors.Is(err, context.Canceled):
		return wire.Errorf(wire.CodeUnavailable, "the store is not available")
	default:
		return wire.Errorf(wire.CodeInternal, "the operation failed")
	}
}

// httpError turns what echo itself has to say into our codes.
func httpError(he *echo.HTTPError) *wire.Error {
	switch he.Code {
	case http.StatusNotFound:
		return wire.Errorf(wire.CodeNotFound, "there is nothing at this address")
	case http.StatusMethodNotAllowed:
		return wire.Errorf(wire.CodeUnsupported, "this address does not take the method")
	case http.StatusRequestEntityTooLarge:
		return wire.Errorf(wire.CodeFrameTooLarge, "the body is too large")
	case http.StatusNotImplemented:
		return wire.Errorf(wire.CodeUnsupported, text(he))
	default:
		return wire.Errorf(wire.CodeInvalidRequest, text(he))
	}
}

func text(he *echo.HTTPError) string {
	if s, ok := he.Message.(string); ok {
		return s
	}
	return strings.ToLower(http.StatusText(he.Code))
}

// unsupported answers for what this gateway has not.
func unsupported(message string) error {
	return echo.NewHTTPError(http.StatusNotImplemented, message)
}

func authError(err error) error {
	var e *auth.Error
	switch {
	case !errors.As(err, &e):
		return wire.Errorf(wire.CodeInternal, "the token could not be checked")
	case e.Code == auth.CodeRevocationsUnavailable:
		return wire.Errorf(wire.CodeUnavailable, e.Message)
	default:
		return wire.Errorf(wire.Code(e.Code), e.Message)
	}
}

// unavailable takes an error of a store that has no errors of its own for not being there.
func unavailable(err error) error {
	if e := wireError(err); e.Code != wire.CodeInternal {
		return e
	}
	return fmt.Errorf("%w: %w", broker.ErrUnavailable, err)
}
