package gateway

import (
	"errors"
	"io"
	"net/http"
	"os"
	"strconv"
	"strings"
	"time"

	"github.com/labstack/echo/v4"

	"github.com/tallywire/tallywire/gateway/wire"
)

// bodyDeadline gives the body of every request a time by which it must have come, whether its handler reads
// it or the server does when it throws it away: a sender that trickles holds nothing for longer. The server
// itself has no timeout for whole requests, since streams and polls have none.
func (g *Gateway) bodyDeadline(next echo.HandlerFunc) echo.HandlerFunc {
	return func(c echo.Context) error {
		if body := c.Request().Body; body != nil && body != http.NoBody {
			setReadDeadline(c, time.Now().Add(g.options.Limits.BodyTimeout))
		}
		return next(c)
	}
}

// readBody returns the body of a request, of at most limit bytes. After it the request may take any time.
func readBody(c echo.Context, limit int64) ([]byte, error) {
	r := c.Request()
	if coding := r.Header.Get(echo.HeaderContentEncoding); coding != "" && !strings.EqualFold(coding, "identity") {
		return nil, wire.Errorf(wire.CodeUnsupportedMediaType, "Content-Encoding: send the body as it is")
	}
	tooLarge := wire.Errorf(wire.CodeFrameTooLarge, "the body may have "+strconv.FormatInt(limit, 10)+" bytes")
	if r.ContentLength > limit {
		return nil, tooLarge
	}
	body, err := io.ReadAll(http.MaxBytesReader(c.Response().Writer, r.Body, limit))
	var over *http.MaxBytesError
	switch {
	case err == nil:
		// The server goes on reading, to notice that the client has gone.
		setReadDeadline(c, time.Time{})
		return body, nil
	case errors.As(err, &over):
		return nil, tooLarge
	case errors.Is(err, os.ErrDeadlineExceeded):
		c.Response().Header().Set(echo.HeaderConnection, "close")
		return nil, wire.Errorf(wire.CodeRequestTimeout, "the body did not come in time")
	}
	return nil, wire.Errorf(wire.CodeInvalidRequest, "the body could not be read")
}

// setReadDeadline sets until when the client's next bytes must have come. A writer that cannot do it is that
// of a test, which has no client that could be slow.
func setReadDeadline(c echo.Context, t time.Time) {
	_ = http.NewResponseController(c.Response().Writer).SetReadDeadline(t)
}
