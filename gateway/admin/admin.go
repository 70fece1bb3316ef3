package admin

import (
	"net/http"

	"github.com/labstack/echo/v4"
	"github.com/labstack/echo/v4/middleware"

	"github.com/tallywire/tallywire/gateway/wire"
)

// Admin serves the admin API and the console. Safe for concurrent use.
type Admin struct {
	options Options
	slots   chan struct{} // one a request under way
	echo    *echo.Echo
}

// New returns the handler of the admin listener. Health and profiles are the program's to mount beside it.
func New(o Options) (*Admin, error) {
	o.setDefaults()
	if err := o.validate(); err != nil {
		return nil, err
	}
	a := &Admin{options: o, slots: make(chan struct{}, o.Inflight)}
	a.echo = a.routes()
	return a, nil
}

// ServeHTTP implements http.Handler.
func (a *Admin) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	// Clients' connections are hijacked and last: they pass by everything that is for requests.
	if r.URL.Path == "/v1/ws" && a.options.Client != nil {
		a.options.Client.ServeHTTP(w, r)
		return
	}
	a.echo.ServeHTTP(w, r)
}

// routes builds the API and the console's files.
func (a *Admin) routes() *echo.Echo {
	e := echo.New()
	e.HideBanner, e.HidePort = true, true
	e.IPExtractor = echo.ExtractIPDirect() // forwarded headers are anybody's to write
	e.HTTPErrorHandler = a.problem
	e.Use(middleware.RecoverWithConfig(middleware.RecoverConfig{
		DisablePrintStack: true,
		LogErrorFunc: func(_ echo.Context, err error, stack []byte) error {
			a.options.Log.Error().Str("event", "admin_panic").Err(err).Bytes("stack", stack).Msg("panic in an admin request")
			return wire.Errorf(wire.CodeInternal, "internal error")
		},
	}))
	e.GET("/admin/openapi.json", a.openAPI)
	mountConsole(e)
	read, act := a.call(reads), a.call(acts)
	quiet := a.call(watches)
	limited := middleware.BodyLimit("256K")

	e.GET("/admin/v1/whoami", a.whoami, quiet)
	e.GET("/admin/v1/gateways", a.gateways, quiet)
	e.GET("/admin/v1/channels", a.channels, quiet)
	e.GET("/admin/v1/channels/:channel", a.channel, quiet)
	e.GET("/admin/v1/channels/:channel/members", a.members, read)
	e.GET("/admin/v1/users/:user/sessions", a.sessions, read)
	e.POST("/admin/v1/sessions/disconnect", a.disconnect, act, limited)
	e.GET("/admin/v1/revocations", a.revocations, read)
	e.POST("/admin/v1/revocations", a.revoke, act, limited)
	e.GET("/admin/v1/dead-letters", a.deadLetters, read)
	e.GET("/admin/v1/dead-letters/:channel/:cursor", a.deadLetter, read)
	e.POST("/admin/v1/dead-letters/:channel/:cursor/republish", a.republish, act, limited)
	e.POST("/admin/v1/publish", a.publish, act, limited)
	e.POST("/admin/v1/drain", a.drain, act, limited)
	e.DELETE("/admin/v1/drain", a.undrain, act)
	e.PUT("/admin/v1/log-level", a.logLevel, act, limited)
	e.GET("/admin/v1/explain", a.explain, read)
	e.POST("/admin/v1/tail-token", a.tailToken, act, limited)
	return e
}

// whoami tells whom the token speaks for, and what this gateway can do.
func (a *Admin) whoami(c echo.Context) error {
	p := actor(c)
	return answer(c, map[string]any{
		"user": p.User, "name": p.Name, "expires": p.Expires.UTC(), "gateway": a.options.Gateway,
		"can": map[string]bool{
			"members": a.options.Members != nil, "directory": a.options.Directory != nil,
			"dead_letters": a.options.Dead != nil, "revocations": a.options.Revocations != nil,
			"tail": a.options.Mint != nil && a.options.Client != nil,
		},
	})
}
