package server

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"net/http/pprof"
	"net/netip"
	"slices"
	"strings"
	"syscall"
	"time"

	"github.com/rs/zerolog"

	"github.com/tallywire/tallywire/cmd/tallywire/demo"
	"github.com/tallywire/tallywire/cmd/tallywire/internal/config"
)

// Bounds of every HTTP connection. There is no timeout for a whole request or answer: a WebSocket has none.
const (
	readHeaderTimeout = 5 * time.Second
	idleTimeout       = 2 * time.Minute
	maxHeaderBytes    = 16 << 10
)

// listen opens both listeners; admin is nil where it is turned off.
func (s *Server) listen(ctx context.Context) (public, admin net.Listener, err error) {
	if public, err = listenTCP(ctx, "listen", s.settings.Listen); err != nil {
		return nil, nil, err
	}
	if s.settings.ProxyProtocol {
		public = proxied(public, s.settings.Proxies())
	}
	if s.settings.AdminListen == config.AdminOff {
		return public, nil, nil
	}
	if admin, err = listenTCP(ctx, "admin-listen", s.settings.AdminListen); err != nil {
		_ = public.Close()
		return nil, nil, err
	}
	return public, admin, nil
}

func listenTCP(ctx context.Context, key, address string) (net.Listener, error) {
	var lc net.ListenConfig
	l, err := lc.Listen(ctx, "tcp", address)
	switch {
	case err == nil:
		return l, nil
	case errors.Is(err, syscall.EADDRINUSE):
		host, _, _ := net.SplitHostPort(address)
		return nil, fmt.Errorf("%s: %s is in use by another program: stop it, or choose another port (--%s %s, 0 for any free one)",
			key, address, key, net.JoinHostPort(host, "0"))
	case errors.Is(err, syscall.EACCES):
		return nil, fmt.Errorf("%s: %s needs more rights than this user has; choose a port above 1023", key, address)
	}
	return nil, fmt.Errorf("%s: %w", key, err)
}

func (s *Server) httpServer(h http.Handler) *http.Server {
	return &http.Server{
		Handler: h, ReadHeaderTimeout: readHeaderTimeout, IdleTimeout: idleTimeout, MaxHeaderBytes: maxHeaderBytes,
		// What net/http has to say is mostly of peers that do not speak HTTP.
		ErrorLog: slog.NewLogLogger(zerolog.NewSlogHandler(s.log.With().Str("event", "http_server").Logger()), slog.LevelDebug),
	}
}

// serve serves one listener until it is shut down.
func serve(server *http.Server, l net.Listener) error {
	var err error
	if server.TLSConfig != nil {
		err = server.ServeTLS(l, "", "") // its files are read elsewhere
	} else {
		err = server.Serve(l)
	}
	if errors.Is(err, http.ErrServerClosed) {
		return nil
	}
	return fmt.Errorf("serve %s: %w", l.Addr(), err)
}

// publicServer serves clients, over TLS where there is a certificate.
func (s *Server) publicServer() *http.Server {
	server := s.httpServer(s.publicHandler())
	if s.certificate != nil {
		server.TLSConfig = s.certificate.config()
	}
	return server
}

// publicHandler is the gateway, and in a demonstration the page that shows it.
func (s *Server) publicHandler() http.Handler {
	if !s.settings.Demo && !s.settings.DemoPage {
		return s.gateway.Handler()
	}
	mux := http.NewServeMux()
	mux.Handle("/", s.gateway.Handler())
	demo.Handle(mux)
	return mux
}

// adminHandler serves what is for operators only.
func (s *Server) adminHandler() http.Handler {
	mux := http.NewServeMux()
	// The gateway answers for its health itself, on both listeners in the same way.
	mux.Handle("GET /healthz", s.gateway.Handler())
	mux.Handle("GET /readyz", s.gateway.Handler())
	mux.Handle("GET /metrics", s.metrics.Handler())
	mux.Handle("/", s.admin.api)
	mux.HandleFunc("GET /debug/pprof/", pprof.Index)
	mux.HandleFunc("GET /debug/pprof/cmdline", pprof.Cmdline)
	mux.HandleFunc("GET /debug/pprof/profile", pprof.Profile)
	mux.HandleFunc("GET /debug/pprof/symbol", pprof.Symbol)
	mux.HandleFunc("GET /debug/pprof/trace", pprof.Trace)
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if !s.adminHost(r.Host) {
			w.Header().Set("Content-Type", "application/problem+json")
			w.WriteHeader(http.StatusMisdirectedRequest)
			_ = json.NewEncoder(w).Encode(map[string]any{
				"type": "about:blank", "title": http.StatusText(http.StatusMisdirectedRequest),
				"status": http.StatusMisdirectedRequest, "code": "host_not_allowed",
				"detail": "the Host is not served here; see --allowed-hosts",
			})
			return
		}
		mux.ServeHTTP(w, r)
	})
}

// adminHost reports whether the admin listener answers to a name. A page of another site, whose name was
// rebound to this address, sends that site's name.
func (s *Server) adminHost(host string) bool {
	name := host
	if h, _, err := net.SplitHostPort(host); err == nil {
		name = h
	}
	name = strings.TrimSuffix(strings.TrimPrefix(name, "["), "]")
	if _, err := netip.ParseAddr(name); err == nil || name == "localhost" {
		return true
	}
	return slices.Contains(s.settings.AllowedHosts, name) || slices.Contains(s.settings.AllowedHosts, "*")
}
