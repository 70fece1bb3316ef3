package metrics_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/rs/zerolog"
	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"github.com/tallywire/tallywire/broker"
	"github.com/tallywire/tallywire/broker/membroker"
	"github.com/tallywire/tallywire/cmd/tallywire/internal/metrics"
	"github.com/tallywire/tallywire/events"
	"github.com/tallywire/tallywire/gateway"
	"github.com/tallywire/tallywire/gateway/auth"
	"github.com/tallywire/tallywire/gateway/wire"
	"github.com/tallywire/tallywire/goclient"
	"github.com/tallywire/tallywire/namespace"
	"github.com/tallywire/tallywire/presence"
	"github.com/tallywire/tallywire/presence/mempresence"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

const (
	secret   = "a secret of at least thirty-two bytes"
	patience = 20 * time.Second
)

// rig is a gateway over the embedded engine, and what Prometheus sees of it.
type rig struct {
	t       testing.TB
	store   *membroker.Store
	broker  *membroker.Broker // the gateway's; publishes as a worker does
	gateway *gateway.Gateway
	handler http.Handler
	url     string
}

func newRig(t testing.TB, change func(*gateway.Options)) *rig {
	t.Helper()
	table, err := namespace.NewTable(nil)
	require.NoError(t, err)
	registry, err := events.NewRegistry(events.Options{})
	require.NoError(t, err)
	authenticator, err := auth.New(auth.Options{Secret: secret})
	require.NoError(t, err)
	tracker, err := mempresence.NewStore(mempresence.StoreOptions{}).Tracker(presence.Options{Gateway: "gw-1"})
	require.NoError(t, err)
	dead := metrics.CountDead(membroker.NewDead(100))
	store := membroker.NewStore(membroker.Options{Namespaces: table})
	b := store.Broker()
	o := gateway.Options{
		ID: "gw-1", Version: "v1.2.3", Broker: b, Namespaces: table, Registry: registry, Auth: authenticator, Dead: dead,
		Presence: tracker, Directory: tracker, Log: zerolog.Nop(), DrainWindow: 10 * time.Millisecond,
	}
	if change != nil {
		change(&o)
	}
	g, err := gateway.New(o)
	require.NoError(t, err)
	m, err := metrics.New(metrics.Sources{Gateway: g, Limit: o.Limits.Connections, Presence: tracker.Stats, Dead: dead})
	require.NoError(t, err)
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- g.Run(ctx) }()
	server := httptest.NewServer(g.Handler())
	t.Cleanup(func() {
		cancel()
		require.NoError(t, <-ended)
		server.Close()
		http.DefaultTransport.(*http.Transport).CloseIdleConnections() //nolint:forcetypeassert // it is one
	})
	r := &rig{t: t, store: store, broker: b, gateway: g, handler: m.Handler(), url: server.URL}
	r.until("ready", func(s samples) bool { return s["tallywire_ready"] == 1 })
	return r
}

// samples are the values of a scrape by series, as `name{label="value"}`.
type samples map[string]float64

// scrape asks as Prometheus does.
func scrape(t testing.TB, h http.Handler) (samples, string) {
	t.Helper()
	w := httptest.NewRecorder()
	h.ServeHTTP(w, httptest.NewRequest(http.MethodGet, "/metrics", nil))
	require.Equal(t, http.StatusOK, w.Code, w.Body)
	out := samples{}
	for line := range strings.Lines(w.Body.String()) {
		if strings.HasPrefix(line, "#") {
			continue
		}
		series, value, ok := strings.Cut(strings.TrimSpace(line), "} ")
		if series += "}"; !ok {
			series, value, _ = strings.Cut(strings.TrimSpace(line), " ")
		}
		v, err := strconv.ParseFloat(value, 64)
		require.NoError(t, err, line)
		out[series] = v
	}
	return out, w.Body.String()
}

func (r *rig) scrape() samples {
	r.t.Helper()
	s, _ := scrape(r.t, r.handler)
	return s
}

// until scrapes until a condition holds, and returns the scrape in which it does.
func (r *rig) until(what string, ok func(samples) bool) samples {
	r.t.Helper()
	var s samples
	for deadline := time.Now().Add(patience); ; <-time.After(2 * time.Millisecond) {
		if s = r.scrape(); ok(s) {
			return s
		}
		require.True(r.t, time.Now().Before(deadline), what)
	}
}

// untilIs waits until a series has a value.
func (r *rig) untilIs(series string, v float64) {
	r.t.Helper()
	r.until(fmt.Sprintf("%s is %v", series, v), func(s samples) bool { return s[series] == v })
}

func (r *rig) token(user string) string {
	r.t.Helper()
	all := []string{"*"}
	token, err := auth.Mint([]byte(secret), auth.Claims{User: user, Permissions: auth.Permissions{
		Subscribe: all, Publish: all, Presence: all, History: all,
	}}, time.Hour)
	require.NoError(r.t, err)
	return token
}

// publish publishes past the gateway, as a worker does.
func (r *rig) publish(channel, event string) {
	r.t.Helper()
	_, err := broker.PublishWait(r.t.Context(), r.broker, broker.Publication{Channel: channel, Event: []byte(event)})
	require.NoError(r.t, err)
}

// client is a WebSocket client that sees every frame.
type client struct {
	*goclient.Conn
	r      *rig
	frames []wire.Frame
}

func (r *rig) connect(user string) *client {
	r.t.Helper()
	c, err := goclient.Dial(r.t.Context(), r.url, r.token(user))
	require.NoError(r.t, err)
	r.t.Cleanup(c.CloseNow)
	return &client{Conn: c, r: r}
}

func (c *client) send(format string, args ...any) {
	c.r.t.Helper()
	require.NoError(c.r.t, c.SendRaw(c.r.t.Context(), fmt.Appendf(nil, format, args...)))
}

// expect reads until a frame of a type comes.
func (c *client) expect(kind string) wire.Frame {
	c.r.t.Helper()
	ctx, cancel := context.WithTimeout(c.r.t.Context(), patience)
	defer cancel()
	for {
		for len(c.frames) > 0 {
			f := c.frames[0]
			if c.frames = c.frames[1:]; f.Type == kind {
				return f
			}
		}
		var err error
		c.frames, err = c.Receive(ctx)
		require.NoError(c.r.t, err, "waiting for %s", kind)
	}
}

// request asks over HTTP and returns the answer, whose body is the caller's.
func (r *rig) request(ctx context.Context, method, path, body string) *http.Response {
	r.t.Helper()
	q, err := http.NewRequestWithContext(ctx, method, r.url+path, strings.NewReader(body))
	require.NoError(r.t, err)
	q.Header.Set("Authorization", "Bearer "+r.token("bob"))
	q.Header.Set("Content-Type", "application/json")
	a, err := http.DefaultClient.Do(q)
	require.NoError(r.t, err)
	return a
}

// stream opens an event stream and returns what ends it.
func (r *rig) stream(channel string) (stop func()) {
	ctx, cancel := context.WithCancel(r.t.Context())
	a := r.request(ctx, http.MethodGet, "/v1/sse?channel="+channel, "")
	require.Equal(r.t, http.StatusOK, a.StatusCode)
	stop = sync.OnceFunc(func() { cancel(); a.Body.Close() })
	r.t.Cleanup(stop)
	return stop
}

// poll polls once and returns how many frames came.
func (r *rig) poll(query string) int {
	r.t.Helper()
	a := r.request(r.t.Context(), http.MethodGet, "/v1/poll?"+query, "")
	defer a.Body.Close()
	require.Equal(r.t, http.StatusOK, a.StatusCode)
	var frames []json.RawMessage
	require.NoError(r.t, json.NewDecoder(a.Body).Decode(&frames))
	return len(frames)
}

// smallBuffer keeps the system from taking much for a client that does not read.
func smallBuffer(_, _ string, raw syscall.RawConn) error {
	var err error
	control := raw.Control(func(fd uintptr) {
		err = syscall.SetsockoptInt(int(fd), syscall.SOL_SOCKET, syscall.SO_RCVBUF, 4096)
	})
	return errors.Join(control, err)
}
