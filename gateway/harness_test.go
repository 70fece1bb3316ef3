package gateway_test

import (
	"context"
	"crypto/x509"
	"flag"
	"fmt"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"runtime"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/coder/websocket"
	"github.com/rs/zerolog"
	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"github.com/tallywire/tallywire/broker"
	"github.com/tallywire/tallywire/broker/membroker"
	"github.com/tallywire/tallywire/events"
	"github.com/tallywire/tallywire/gateway"
	"github.com/tallywire/tallywire/gateway/auth"
	"github.com/tallywire/tallywire/gateway/wire"
	"github.com/tallywire/tallywire/namespace"
)

func TestMain(m *testing.M) {
	// The parallel ones wait for most of their time. What the command line says comes later, and wins.
	if err := flag.Set("test.parallel", strconv.Itoa(2*runtime.GOMAXPROCS(0))); err != nil {
		panic(err)
	}
	goleak.VerifyTestMain(m)
}

const secret = "a secret of at least thirty-two bytes"

// patience bounds every wait of a test.
const patience = 10 * time.Second

// rig is a gateway over an embedded store, served on a loopback port.
type rig struct {
	t       testing.TB
	store   *membroker.Store
	broker  broker.Broker     // publishes like a worker
	cut     *membroker.Broker // the gateway's, for faults
	gateway *gateway.Gateway
	url     string
	http    *http.Client   // trusts the server
	roots   *x509.CertPool // of the server's certificate; nil without TLS
	stop    func()         // ends the gateway and waits for it
}

type rigOptions struct {
	namespaces map[string]namespace.Options
	change     func(*gateway.Options)
	store      *membroker.Store
	strict     bool
	tls        bool
	wrap       func(http.Handler) http.Handler // of the gateway's handler
	starting   bool                            // do not wait until the gateway is ready
	ends       error                           // what Run is to return
}

func newRig(t testing.TB, o rigOptions) *rig {
	t.Helper()
	table, err := namespace.NewTable(o.namespaces)
	require.NoError(t, err)
	registry, err := events.NewRegistry(events.Options{Strict: o.strict})
	require.NoError(t, err)
	authenticator, err := auth.New(auth.Options{Secret: secret, Revocations: nil})
	require.NoError(t, err)
	store := o.store
	if store == nil {
		store = membroker.NewStore(membroker.Options{Namespaces: table})
	}
	b := store.Broker()
	options := gateway.Options{
		ID: "gw-test", Broker: b, Namespaces: table, Registry: registry, Auth: authenticator,
		Log: zerolog.New(zerolog.NewTestWriter(t)), DrainWindow: 200 * time.Millisecond,
	}
	if o.change != nil {
		o.change(&options)
	}
	g, err := gateway.New(options)
	require.NoError(t, err)
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- g.Run(ctx) }()
	handler := g.Handler()
	if o.wrap != nil {
		handler = o.wrap(handler)
	}
	server := httptest.NewUnstartedServer(handler)
	var roots *x509.CertPool
	httpClient := http.DefaultClient
	if o.tls {
		server.EnableHTTP2 = true
		server.Config.ErrorLog = slog.NewLogLogger(slog.DiscardHandler, slog.LevelInfo) // of handshakes that are refused
		server.StartTLS()
		roots = x509.NewCertPool()
		roots.AddCert(server.Certificate())
		httpClient = server.Client()
	} else {
		server.Start()
	}
	stop := sync.OnceFunc(func() {
		cancel()
		require.ErrorIs(t, <-ended, o.ends)
	})
	t.Cleanup(func() {
		stop()
		server.Close()
		http.DefaultTransport.(*http.Transport).CloseIdleConnections() //nolint:forcetypeassert // it is one
	})
	r := &rig{t: t, store: store, broker: b, cut: b, gateway: g, url: server.URL, http: httpClient, roots: roots, stop: stop}
	if !o.starting {
		r.eventually("ready", func() bool { ok, _ := g.Ready(); return ok })
	}
	return r
}

// eventually waits until a condition holds.
func (r *rig) eventually(what string, ok func() bool) {
	r.t.Helper()
	require.Eventually(r.t, ok, patience, 2*time.Millisecond, what)
}

// token mints a token; permissions default to everything.
func (r *rig) token(user string, p *auth.Permissions) string {
	r.t.Helper()
	if p == nil {
		all := []string{"*"}
		p = &auth.Permissions{Subscribe: all, Publish: all, Presence: all, History: all, Edit: all}
	}
	token, err := auth.Mint([]byte(secret), auth.Claims{User: user, Permissions: *p}, time.Hour)
	require.NoError(r.t, err)
	return token
}

// publish publishes an event past the gateway, as a worker would, and returns its cursor.
func (r *rig) publish(channel, event string) broker.Cursor {
	r.t.Helper()
	return publishWith(r.t, r.broker, channel, event)
}

func publishWith(t testing.TB, b broker.Broker, channel, event string) broker.Cursor {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	receipt, err := broker.PublishWait(ctx, b, broker.Publication{Channel: channel, Event: []byte(event)})
	require.NoError(t, err)
	return receipt.Cursor
}

// event returns an event of an unknown type with a number in it.
func event(n int) string { return fmt.Sprintf(`{"type":"x.test","data":{"n":%d}}`, n) }

// client is a bare WebSocket client that sees every frame.
type client struct {
	t      testing.TB
	ws     *websocket.Conn
	frames []wire.Frame
}

// dial opens a WebSocket and does not connect the session.
func (r *rig) dial(header http.Header) *client {
	r.t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	ws, resp, err := websocket.Dial(ctx, strings.Replace(r.url, "http", "ws", 1)+"/v1/ws", //nolint:bodyclose // an upgrade has none
		&websocket.DialOptions{HTTPHeader: header, Subprotocols: []string{wire.Subprotocol}})
	require.NoError(r.t, err)
	require.Equal(r.t, wire.Subprotocol, resp.Header.Get("Sec-WebSocket-Protocol"))
	ws.SetReadLimit(8 << 20)
	c := &client{t: r.t, ws: ws}
	r.t.Cleanup(func() { _ = ws.CloseNow() })
	return c
}

// connect opens a session of user.
func (r *rig) connect(user string, p *auth.Permissions) *client {
	r.t.Helper()
	c := r.dial(nil)
	c.send(`{"type":"connect","id":1,"token":"%s","session":"s-%s"}`, r.token(user, p), user)
	require.Equal(r.t, user, c.expect("connected").User)
	return c
}

func (c *client) send(format string, args ...any) {
	c.t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	require.NoError(c.t, c.ws.Write(ctx, websocket.MessageText, fmt.Appendf(nil, format, args...)))
}

// read returns the next frame; pings are answered and left out.
func (c *client) read() (wire.Frame, error) {
	for len(c.frames) == 0 {
		ctx, cancel := context.WithTimeout(context.Background(), patience)
		_, msg, err := c.ws.Read(ctx)
		cancel()
		if err != nil {
			return wire.Frame{}, err
		}
		frames, err := wire.Message(msg)
		if err != nil {
			return wire.Frame{}, fmt.Errorf("%w: %.200s", err, msg)
		}
		for _, f := range frames {
			if f.Type == wire.TypePing {
				c.send(`{"type":"pong"}`)
				continue
			}
			c.frames = append(c.frames, f)
		}
	}
	f := c.frames[0]
	c.frames = c.frames[1:]
	return f, nil
}

// next returns the next frame.
func (c *client) next() wire.Frame {
	c.t.Helper()
	f, err := c.read()
	require.NoError(c.t, err)
	return f
}

// expect returns the next frame, which must be of a type.
func (c *client) expect(kind string) wire.Frame {
	c.t.Helper()
	f := c.next()
	require.Equal(c.t, kind, f.Type, "%+v", f)
	return f
}

// expectError returns the next frame, which must be an error with a code.
func (c *client) expectError(code wire.Code) wire.Frame {
	c.t.Helper()
	f := c.expect("error")
	require.Equal(c.t, code, f.Code, f.Message)
	return f
}

// expectClose waits for the connection to be closed with a code.
func (c *client) expectClose(code int) {
	c.t.Helper()
	for {
		if _, err := c.read(); err != nil {
			require.Equal(c.t, code, int(websocket.CloseStatus(err)), "%v", err)
			return
		}
	}
}

// subscribe subscribes to a channel and returns the answer.
func (c *client) subscribe(channel, rest string) wire.Frame {
	c.t.Helper()
	c.send(`{"type":"subscribe","id":2,"channels":[{"channel":"%s"%s}]}`, channel, rest)
	return c.expect("subscribed")
}

// collect reads until n events have come, and returns their cursors; offsets must be without holes.
func (c *client) collect(from broker.Cursor, n int) broker.Cursor {
	c.t.Helper()
	last := from
	for range n {
		f := c.expect("event")
		require.Equal(c.t, last.Offset+1+f.Skipped, f.Cursor.Offset, "after %s", last)
		last = *f.Cursor
	}
	return last
}
