package server

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"errors"
	"fmt"
	"net"
	"net/http"
	"os"
	"strings"
	"time"
	"unicode"

	"github.com/rs/zerolog"
	"golang.org/x/sync/errgroup"

	"github.com/tallywire/tallywire/broker"
	"github.com/tallywire/tallywire/cmd/tallywire/internal/config"
	"github.com/tallywire/tallywire/cmd/tallywire/internal/logs"
	"github.com/tallywire/tallywire/cmd/tallywire/internal/metrics"
	"github.com/tallywire/tallywire/cmd/tallywire/internal/tracing"
	"github.com/tallywire/tallywire/events"
	"github.com/tallywire/tallywire/gateway"
	"github.com/tallywire/tallywire/gateway/auth"
	"github.com/tallywire/tallywire/inbox"
	"github.com/tallywire/tallywire/inbox/redisinbox"
	"github.com/tallywire/tallywire/namespace"
	"github.com/tallywire/tallywire/presence"
)

// shutdownTimeout bounds the end of HTTP requests that are under way after the drain.
const shutdownTimeout = 5 * time.Second

// tracesTimeout bounds the sending of the last spans.
const tracesTimeout = 3 * time.Second

// Options are what a Server needs beside its settings.
type Options struct {
	// Settings are complete and valid.
	Settings *config.Serve
	Log      zerolog.Logger
	// Level, where set, changes what Log says.
	Level *logs.Switch
	// Version is the program's.
	Version string
	// Listening, where set, is told the addresses before the first connection is taken. admin is nil
	// where there is no admin listener.
	Listening func(public, admin net.Addr)
	// Reload, where set, has the server look at once whether the files of its certificate are new ones.
	Reload <-chan os.Signal
	// Force, where set, ends the drain when it is closed: what is left is closed at once.
	Force <-chan struct{}
}

// Server is a gateway with its listeners and its store. It runs once.
type Server struct {
	settings  *config.Serve
	log       zerolog.Logger
	level     *logs.Switch // nil where it cannot be changed
	listening func(public, admin net.Addr)
	force     <-chan struct{}
	reload    <-chan os.Signal

	certificate *certificate // nil without TLS

	id       string
	version  string
	store    *store
	outlet   broker.Broker // the store's, for what publishes beside the clients: traced where that is wanted
	registry *events.Registry
	auth     *auth.Authenticator
	gateway  *gateway.Gateway
	inbox    *inbox.Inbox // nil where there is none
	admin    *adminSide
	metrics  *metrics.Metrics // nil without an admin listener
	tracer   *tracing.Tracer  // nil where nothing is traced
}

// New makes a server. It dials nothing: a store that is away does not keep a gateway from starting.
func New(o Options) (*Server, error) {
	s := &Server{settings: o.Settings, log: o.Log, level: o.Level, listening: o.Listening, force: o.Force, reload: o.Reload, id: o.Settings.GatewayID, version: o.Version}
	if s.listening == nil {
		s.listening = func(net.Addr, net.Addr) {}
	}
	if s.id == "" {
		s.id = defaultID()
	}
	s.log = s.log.With().Str("gateway", s.id).Logger()
	spaces, err := s.settings.Table()
	if err != nil {
		return nil, err
	}
	if s.settings.TLSCert != "" {
		if s.certificate, err = loadCertificate(s.settings.TLSCert, s.settings.TLSKey, s.log); err != nil {
			return nil, err
		}
	}
	s.registry, err = events.NewRegistry(events.Options{Dir: s.settings.Schemas, Strict: s.settings.Strict})
	if err != nil {
		return nil, fmt.Errorf("schemas: %w", err)
	}
	lease := presence.Options{Gateway: s.id, Version: o.Version, Address: s.settings.AdminListen, TTL: s.settings.LeaseTTL}
	s.store, err = openStore(s.settings, lease, spaces, s.log)
	if err != nil {
		return nil, err
	}
	if err := s.assemble(spaces); err != nil {
		s.closeTracer(context.Background())
		s.store.close()
		return nil, err
	}
	return s, nil
}

// assemble makes the parts that stand on the store.
func (s *Server) assemble(spaces *namespace.Table) error {
	c := s.settings
	keys, err := readKeys(c.AuthKey)
	if err != nil {
		return err
	}
	hasKey := c.AuthSecret != "" || len(keys) > 0 || c.AuthJWKS != ""
	s.auth, err = auth.New(auth.Options{
		Secret: c.AuthSecret, Keys: keys, JWKSURL: c.AuthJWKS, Issuer: c.AuthIssuer, Audience: c.AuthAudience,
		Insecure: !hasKey, Revocations: s.store.revocations, Log: s.log,
	})
	if err != nil {
		return err
	}
	dead := metrics.CountDead(s.store.dead)
	o := gateway.Options{
		ID: s.id, Broker: s.store.broker, Namespaces: spaces, Registry: s.registry, Auth: s.auth,
		Dead: dead, Log: s.log, Presence: s.store.presence, Directory: s.store.sessions, Version: s.version,
		AllowedOrigins: c.AllowedOrigins, AllowedHosts: c.AllowedHosts, TrustedProxies: c.Proxies(), CookieSameSite: c.SameSite(),
		Limits: gateway.Limits{
			Message: c.MaxMessage, Subscriptions: c.MaxSubscriptions, Commands: c.MaxCommands, Inflight: c.MaxInflight,
			Frame: c.MaxFrame, WriteTimeout: c.WriteTimeout, ConnectTimeout: c.ConnectTimeout, Errors: c.MaxErrors,
			Connections: c.MaxConnections, Rate: c.ConnectionRate, BodyTimeout: c.BodyTimeout,
		},
		Ping: c.Ping, DrainWait: c.DrainWait, DrainWindow: c.DrainWindow, MaxConnectionAge: c.MaxConnectionAge,
		RelayMaxEvents: c.RelayEvents, RelayMaxBytes: c.RelayBytes, Receipts: s.store.receipts,
	}
	s.outlet = s.store.broker
	if c.OTLPEndpoint != "" {
		s.tracer, err = tracing.New(tracing.Options{
			Endpoint: c.OTLPEndpoint, Sample: c.TraceSample, Gateway: s.id, Version: s.version, Log: s.log,
		})
		if err != nil {
			return err
		}
		o.Tracer, s.outlet = s.tracer, gateway.Traced(s.store.broker, s.tracer)
	}
	s.gateway, err = gateway.New(o)
	if err == nil && s.store.inbox != nil {
		s.inbox, err = inbox.New(s.store.inbox, inbox.Options{
			Gateway: s.id, Broker: s.outlet, Dead: dead, Namespaces: spaces, Registry: s.registry, Log: s.log,
			Passing: redisinbox.Passing,
		})
	}
	if err != nil || c.AdminListen == config.AdminOff {
		return err
	}
	if s.metrics, err = s.newMetrics(dead); err != nil {
		return err
	}
	s.admin, err = s.newAdmin(spaces, keys)
	return err
}

// Run serves until ctx ends and then drains. Health stays served while the gateway drains; clients are
// moved away over the drain window, and requests under way get a few seconds after it.
func (s *Server) Run(ctx context.Context) error {
	defer s.store.close()
	public, admin, err := s.listen(ctx)
	switch {
	case ctx.Err() != nil: // told to end before it began
		closeAll(public, admin)
		s.log.Info().Str("event", "stopped").Msg("stopped before it listened")
		return nil
	case err != nil:
		return err
	}
	// What serves clients outlives ctx by the drain; what has failed ends everything.
	ctx, fail := context.WithCancelCause(ctx)
	defer fail(nil)
	lasting, stop := context.WithCancel(context.WithoutCancel(ctx))
	defer stop()

	servers := []*http.Server{s.publicServer()}
	listeners := []net.Listener{public}
	if admin != nil {
		servers = append(servers, s.httpServer(s.adminHandler()))
		listeners = append(listeners, admin)
	}
	var work errgroup.Group
	for i, server := range servers {
		work.Go(func() error {
			err := serve(server, listeners[i])
			if err != nil {
				fail(err)
			}
			return err
		})
	}
	s.tend(ctx, lasting, servers[0], &work)
	work.Go(func() error { return s.auth.Run(lasting) })
	if s.inbox != nil {
		work.Go(func() error { return s.inbox.Run(ctx) }) // another gateway takes over while this one drains
	}
	if s.admin != nil {
		s.admin.run(lasting, &work)
	}
	work.Go(func() error {
		select {
		case <-s.force:
			s.gateway.Force()
		case <-lasting.Done():
		}
		return nil
	})
	s.runDemo(ctx, &work)
	s.announce(public, admin)

	err = s.gateway.Run(ctx)
	for _, server := range servers {
		err = errors.Join(err, s.shutdown(lasting, server))
	}
	fail(err)
	stop()
	err = errors.Join(err, work.Wait())
	s.closeTracer(context.WithoutCancel(ctx))
	s.log.Info().Str("event", "stopped").Err(err).Msg("stopped")
	return err
}

// tend looks after the listener for clients until lasting ends, and asks once after the store.
func (s *Server) tend(ctx, lasting context.Context, public *http.Server, work *errgroup.Group) {
	if s.certificate != nil {
		work.Go(func() error { return s.certificate.run(lasting, s.reload) })
	}
	work.Go(func() error { s.store.greet(lasting, s.log); return nil })
	work.Go(func() error {
		// When clients are moved away, a connection whose stream has ended must not lead back here.
		<-ctx.Done()
		wait := time.NewTimer(s.settings.DrainWait)
		defer wait.Stop()
		select {
		case <-wait.C:
			public.SetKeepAlivesEnabled(false)
		case <-lasting.Done():
		}
		return nil
	})
}

// closeTracer sends what is left of the traces, for a bounded time.
func (s *Server) closeTracer(ctx context.Context) {
	if s.tracer == nil {
		return
	}
	ctx, cancel := context.WithTimeout(ctx, tracesTimeout)
	defer cancel()
	if err := s.tracer.Close(ctx); err != nil {
		s.log.Warn().Str("event", "traces_failed").Err(err).Msg("spans could not be sent")
	}
}

// shutdown ends a server's listener and gives its requests a bounded time, none once it is forced; then they
// are cut off.
func (s *Server) shutdown(ctx context.Context, server *http.Server) error {
	ctx, cancel := context.WithTimeout(ctx, shutdownTimeout)
	defer cancel()
	done := make(chan error, 1)
	go func() { done <- server.Shutdown(ctx) }()
	select {
	case err := <-done:
		if errors.Is(err, context.DeadlineExceeded) {
			return server.Close()
		}
		return err
	case <-s.force:
		cancel()
		return errors.Join(server.Close(), cutShort(<-done))
	}
}

// cutShort returns what has failed beside the wait that was cut short.
func cutShort(err error) error {
	if errors.Is(err, context.Canceled) {
		return nil
	}
	return err
}

// closeAll closes the listeners that there are.
func closeAll(listeners ...net.Listener) {
	for _, l := range listeners {
		if l != nil {
			_ = l.Close()
		}
	}
}

// announce tells where the gateway listens, and loudly what it does not protect.
func (s *Server) announce(public, admin net.Listener) {
	var adminAddr net.Addr
	entry := s.log.Info().Str("event", "listening").Stringer("address", public.Addr()).Str("store", s.store.name)
	if admin != nil {
		adminAddr = admin.Addr()
		entry = entry.Stringer("admin", adminAddr)
	}
	entry.Msg("listening")
	if s.auth.Insecure() {
		s.log.Warn().Str("event", "insecure").Msg("no key is configured: everybody who can reach this gateway may read and publish everything")
	}
	if auth.WeakSecret(s.settings.AuthSecret) {
		s.log.Warn().Str("event", "weak_secret").Int("least_bytes", auth.MinSecretBytes).
			Msg("the secret is short enough to be guessed from a token")
	}
	s.listening(public.Addr(), adminAddr)
}

// defaultID names the gateway after its host, told apart from others there.
func defaultID() string {
	host, err := os.Hostname()
	if err != nil || host == "" {
		host = "gateway"
	}
	host = strings.Map(func(r rune) rune { // what a gateway's id may hold
		if r < 0x80 && (unicode.IsLetter(r) || unicode.IsDigit(r) || strings.ContainsRune("._-", r)) {
			return r
		}
		return '-'
	}, host)
	host = host[:min(len(host), 50)]
	var b [3]byte
	rand.Read(b[:]) // it never fails, and fills b always
	return host + "-" + hex.EncodeToString(b[:])
}

// readKeys reads PEM files.
func readKeys(paths []string) ([]string, error) {
	keys := make([]string, 0, len(paths))
	for _, path := range paths {
		pem, err := os.ReadFile(path) //nolint:gosec // whoever starts the gateway names it
		if err != nil {
			return nil, fmt.Errorf("auth-key: %w", err)
		}
		keys = append(keys, string(pem))
	}
	return keys, nil
}
