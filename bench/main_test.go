package bench

import (
	"context"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"os/signal"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/rs/zerolog"
	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"github.com/tallywire/tallywire/bench/floor"
	"github.com/tallywire/tallywire/broker"
	"github.com/tallywire/tallywire/broker/membroker"
	"github.com/tallywire/tallywire/broker/redisbroker"
	"github.com/tallywire/tallywire/events"
	"github.com/tallywire/tallywire/gateway"
	"github.com/tallywire/tallywire/gateway/auth"
	"github.com/tallywire/tallywire/internal/redisconn"
	"github.com/tallywire/tallywire/namespace"
)

// TestMain lets the test's binary be what Run starts: the program's `serve` and `bench-floor`.
func TestMain(m *testing.M) {
	if len(os.Args) > 1 && !strings.HasPrefix(os.Args[1], "-") {
		if err := serveAsProgram(os.Args[1], os.Args[2:]); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		os.Exit(0)
	}
	goleak.VerifyTestMain(m)
}

func serveAsProgram(command string, args []string) error {
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM)
	defer stop()
	values := map[string]string{}
	for _, a := range args {
		name, value, _ := strings.Cut(a, "=")
		values[name] = value
	}
	if command == FloorCommandName {
		return floor.Serve(ctx, values["--listen"], nil)
	}
	g, end, err := newGateway(values["--redis"])
	if err != nil {
		return err
	}
	defer end()
	s := &http.Server{Addr: values["--listen"], Handler: g.Handler(), ReadHeaderTimeout: time.Second}
	go func() { _ = s.ListenAndServe() }()
	defer func() { _ = s.Close() }()
	return g.Run(ctx)
}

// newGateway returns a gateway over Redis, or over the embedded engine where the URL is empty.
func newGateway(redis string) (g *gateway.Gateway, end func(), err error) {
	table, err := namespace.NewTable(nil)
	if err != nil {
		return nil, nil, err
	}
	registry, err := events.NewRegistry(events.Options{})
	if err != nil {
		return nil, nil, err
	}
	authenticator, err := auth.New(auth.Options{Insecure: true})
	if err != nil {
		return nil, nil, err
	}
	var log broker.Broker = membroker.NewStore(membroker.Options{Namespaces: table}).Broker()
	end = func() {}
	if redis != "" {
		client, _, err := redisconn.Open(redis)
		if err != nil {
			return nil, nil, err
		}
		if log, err = redisbroker.New(client, redisbroker.Options{Namespaces: table}); err != nil {
			return nil, nil, err
		}
		end = func() { _ = client.Close() }
	}
	g, err = gateway.New(gateway.Options{
		ID: "gw-bench", Broker: log, Namespaces: table, Registry: registry, Auth: authenticator,
		Log: zerolog.Nop(), DrainWindow: 10 * time.Millisecond,
	})
	return g, end, err
}

// serveGateway runs a gateway within the test.
func serveGateway(t *testing.T) (url string) {
	t.Helper()
	g, end, err := newGateway("")
	require.NoError(t, err)
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- g.Run(ctx) }()
	s := httptest.NewServer(g.Handler())
	t.Cleanup(func() {
		cancel()
		require.NoError(t, <-ended)
		s.Close()
		end()
	})
	return s.URL
}

// serveFloor runs the floor within the test.
func serveFloor(t *testing.T) *server {
	t.Helper()
	handler := floor.New()
	s := httptest.NewServer(handler)
	t.Cleanup(func() {
		handler.Close()
		s.Close()
	})
	addr, host, err := parseURL(s.URL)
	require.NoError(t, err)
	return &server{addr: addr, host: host, pid: os.Getpid()}
}
