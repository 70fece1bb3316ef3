package gateway

import (
	"errors"
	"math/rand/v2"
	"net/http"
	"strconv"
	"strings"

	"github.com/coder/websocket"
	"github.com/labstack/echo/v4"

	"github.com/tallywire/tallywire/gateway/auth"
	"github.com/tallywire/tallywire/gateway/wire"
)

// upgrade handles GET /v1/ws. The connection outlives the request: its reader is a new goroutine with a
// small stack, which Run waits for.
func (g *Gateway) upgrade(e echo.Context) error {
	if !strings.EqualFold(e.Request().Header.Get(echo.HeaderUpgrade), "websocket") {
		e.Response().Header().Set(echo.HeaderUpgrade, "websocket")
		e.Response().Header().Set(echo.HeaderConnection, "Upgrade")
		p := wire.Errorf(wire.CodeInvalidRequest, "this is a WebSocket: the request must ask for an upgrade").Problem()
		p.Status, p.Title = http.StatusUpgradeRequired, http.StatusText(http.StatusUpgradeRequired)
		return writeProblem(e, p)
	}
	if g.crowded() || !g.arrivals.Allow() {
		return g.full(e, transportWebSocket)
	}
	header, err := g.authoriseUpgrade(e.Request())
	if err != nil {
		g.refused(transportWebSocket)
		return err
	}
	if !g.admitConnection() {
		return g.full(e, transportWebSocket)
	}
	w := &smallHijacker{ResponseWriter: e.Response().Writer}
	ws, err := websocket.Accept(w, e.Request(), &websocket.AcceptOptions{
		Subprotocols: []string{wire.Subprotocol}, OriginPatterns: g.originPatterns(e.Request()),
		CompressionMode: websocket.CompressionDisabled,
	})
	if err != nil {
		g.open.Add(-1)
		g.conns.Done()
		g.refused(transportWebSocket)
		e.Response().Committed = true // Accept has answered
		return nil
	}
	g.accept(ws, w.socket, e.RealIP(), e.Request().UserAgent(), header)
	e.Response().Committed = true
	return nil
}

// full refuses a connection for now.
func (g *Gateway) full(e echo.Context, t transport) error {
	g.refused(t)
	e.Response().Header().Set(echo.HeaderRetryAfter, strconv.Itoa(1+rand.IntN(5))) //nolint:gosec // jitter
	return wire.Errorf(wire.CodeOverloaded, "the gateway takes no more connections")
}

// refused counts a connection that was not taken.
func (g *Gateway) refused(t transport) {
	g.counters.Refused.Add(1)
	g.tally.transports[t].refused.Add(1)
}

// originPatterns tells coder/websocket what guard has decided.
func (g *Gateway) originPatterns(r *http.Request) []string {
	if r.Header.Get(echo.HeaderOrigin) == "" {
		return nil
	}
	return []string{"*"}
}

// accept starts a WebSocket that was admitted.
func (g *Gateway) accept(ws *websocket.Conn, s *socket, remote, agent string, header *auth.Principal) {
	w := &webSocket{ws: ws, socket: s}
	c := g.newConn(transportWebSocket, w, remote, agent)
	w.conn = c
	c.session.header = header
	c.deadline = c.since + int64(g.options.Limits.ConnectTimeout)
	if header != nil {
		c.deadline = c.since + int64(g.options.Ping)
	}
	g.counters.Accepted.Add(1)
	c.flusher.call(func() { c.flusher.add(c) })
	go w.readLoop()
}

// maxAgent bounds what is kept of a User-Agent.
const maxAgent = 256

// wireError returns the wire's error in err's chain, or one that says nothing of an unknown one.
func wireError(err error) *wire.Error {
	var e *wire.Error
	if errors.As(err, &e) {
		return e
	}
	var he *echo.HTTPError
	if errors.As(err, &he) {
		switch he.Code {
		case http.StatusNotFound:
			return wire.Errorf(wire.CodeNotFound, "no such resource")
		case http.StatusMethodNotAllowed:
			return wire.Errorf(wire.CodeUnsupported, "the method is not allowed here")
		case http.StatusRequestEntityTooLarge:
			return wire.Errorf(wire.CodeFrameTooLarge, "the request body is larger than the limit")
		}
	}
	return wire.Errorf(wire.CodeInternal, "internal error")
}
