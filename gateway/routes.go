package gateway

import (
	"net/http"

	"github.com/labstack/echo/v4"
	"github.com/labstack/echo/v4/middleware"

	"github.com/tallywire/tallywire/gateway/contract"
	"github.com/tallywire/tallywire/gateway/wire"
)

// What an orchestrator asks is not guarded: it comes by whatever name the pod has.
const (
	pathHealth = "/healthz"
	pathReady  = "/readyz"
)

// routes builds the HTTP side of the gateway.
func (g *Gateway) routes() http.Handler {
	e := echo.New()
	e.HideBanner, e.HidePort = true, true
	e.IPExtractor = clientAddress(g.options.TrustedProxies)
	e.HTTPErrorHandler = g.problem
	e.Use(middleware.RecoverWithConfig(middleware.RecoverConfig{
		DisablePrintStack: true,
		LogErrorFunc: func(_ echo.Context, err error, stack []byte) error {
			g.counters.Panics.Add(1)
			g.options.Log.Error().Str("event", "request_panic").Err(err).Bytes("stack", stack).Msg("panic in a request")
			return wire.Errorf(wire.CodeInternal, "internal error")
		},
	}))
	e.Use(g.bodyDeadline, g.guard)
	e.GET(pathHealth, g.healthz)
	e.GET(pathReady, g.readyz)
	e.GET("/openapi.json", echo.WrapHandler(g.contract.OpenAPI))
	e.GET("/asyncapi.json", echo.WrapHandler(g.contract.AsyncAPI))
	for _, method := range []string{http.MethodGet, http.MethodHead} {
		e.Add(method, "/schemas", g.listSchemas)
		e.Add(method, "/schemas/:type", g.schema)
	}
	e.GET("/v1/ws", g.upgrade)
	e.GET("/v1/sse", g.sse)
	e.POST("/v1/sse", g.sse)
	e.GET("/v1/poll", g.poll)
	e.POST("/v1/poll", g.poll)
	e.POST("/v1/commands", g.commands)
	e.POST("/v1/cookie", g.setCookie)
	e.DELETE("/v1/cookie", g.dropCookie)
	e.POST("/v1/publish", g.publishHTTP)
	e.GET("/v1/channels/:channel/events", g.history)
	e.HEAD("/v1/channels/:channel/events", g.history)
	e.GET("/v1/channels/:channel/members", g.membersHTTP)
	return e
}

// healthz says that the process lives. It never looks at the store.
func (g *Gateway) healthz(c echo.Context) error {
	return c.JSON(http.StatusOK, contract.Health{Status: "ok", Gateway: g.options.ID}) //nolint:wrapcheck // echo
}

// readyz says whether an event published now would be delivered: it follows the probe.
func (g *Gateway) readyz(c echo.Context) error {
	h := g.hub.HealthNow()
	status, body := http.StatusOK, contract.Readiness{
		Status: "ready", Gateway: g.options.ID, Since: h.Since.UTC(), RoundTripUS: h.RoundTrip.Microseconds(),
	}
	if ok, reason := g.Ready(); !ok {
		status, body.Status, body.Reason = http.StatusServiceUnavailable, "not_ready", reason
	}
	return c.JSON(status, body) //nolint:wrapcheck // echo
}
