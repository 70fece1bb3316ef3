package gateway_test

import (
	"bytes"
	"context"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/rs/zerolog"
	"github.com/stretchr/testify/require"

	"github.com/tallywire/tallywire/broker/membroker"
	"github.com/tallywire/tallywire/events"
	"github.com/tallywire/tallywire/gateway"
	"github.com/tallywire/tallywire/gateway/auth"
	"github.com/tallywire/tallywire/gateway/wire"
	"github.com/tallywire/tallywire/namespace"
	"github.com/tallywire/tallywire/presence"
	"github.com/tallywire/tallywire/presence/mempresence"
)

// world is what the gateways of a test in a synctest bubble share. There is no network, and time passes only
// when everybody waits: a goroutine that is busy for nothing would stop it.
type world struct {
	t      *testing.T
	table  *namespace.Table
	store  *membroker.Store
	people *mempresence.Store
	change func(*gateway.Options)
}

func newWorld(t *testing.T, namespaces map[string]namespace.Options, change func(*gateway.Options)) *world {
	t.Helper()
	table, err := namespace.NewTable(namespaces)
	require.NoError(t, err)
	return &world{
		t: t, table: table, change: change,
		store:  membroker.NewStore(membroker.Options{Namespaces: table}),
		people: mempresence.NewStore(mempresence.StoreOptions{}),
	}
}

// inhabitant is a gateway of a world.
type inhabitant struct {
	*gateway.Gateway
	world   *world
	broker  *membroker.Broker
	tracker *mempresence.Tracker
	stop    func()
}

// gateway starts one; it runs until the end of the test, or stop.
func (w *world) gateway(id string) *inhabitant {
	w.t.Helper()
	registry, err := events.NewRegistry(events.Options{})
	require.NoError(w.t, err)
	authenticator, err := auth.New(auth.Options{Secret: secret})
	require.NoError(w.t, err)
	tracker, err := w.people.Tracker(presence.Options{Gateway: id})
	require.NoError(w.t, err)
	b := w.store.Broker()
	options := gateway.Options{
		ID: id, Broker: b, Namespaces: w.table, Registry: registry, Auth: authenticator,
		Presence: tracker, Directory: tracker, Log: zerolog.Nop(), Flushers: 2,
	}
	if w.change != nil {
		w.change(&options)
	}
	g, err := gateway.New(options)
	require.NoError(w.t, err)
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- g.Run(ctx) }()
	in := &inhabitant{Gateway: g, world: w, broker: b, tracker: tracker}
	in.stop = sync.OnceFunc(func() {
		cancel()
		require.NoError(w.t, <-ended)
	})
	w.t.Cleanup(in.stop)
	for ok, _ := g.Ready(); !ok; ok, _ = g.Ready() {
		w.pass(10 * time.Millisecond)
	}
	return in
}

// pass lets time pass, and then everybody do what that gives them to do.
func (w *world) pass(d time.Duration) {
	<-time.After(d)
	synctest.Wait()
}

// written is an answer as it is written.
type written struct {
	mu     sync.Mutex // guards the following
	header http.Header
	status int
	body   bytes.Buffer
	done   chan struct{}
}

func (w *written) Header() http.Header { return w.header }

func (w *written) WriteHeader(status int) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.status = status
}

func (w *written) Write(p []byte) (int, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.body.Write(p)
}

func (w *written) Flush() {}

// text is what has been written so far.
func (w *written) text() string {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.body.String()
}

// answer waits for the end of the request.
func (w *written) answer() answer {
	<-w.done
	return answer{status: w.status, header: w.header, body: w.body.String()}
}

// begin begins a request. What it returns may be read while it lasts.
func (in *inhabitant) begin(ctx context.Context, method, path, token, body string) *written {
	in.world.t.Helper()
	var r io.Reader
	if body != "" {
		r = strings.NewReader(body)
	}
	req := httptest.NewRequestWithContext(ctx, method, path, r)
	req.Host = "localhost"
	req.Header.Set("Authorization", "Bearer "+token)
	w := &written{header: http.Header{}, status: http.StatusOK, done: make(chan struct{})}
	go func() {
		defer close(w.done)
		in.Handler().ServeHTTP(w, req)
	}()
	return w
}

// poll polls; the answer must be a good one.
func (in *inhabitant) poll(token, body string) pollAnswer {
	in.world.t.Helper()
	a, err := readPoll(in.begin(context.Background(), http.MethodPost, "/v1/poll", token, body).answer())
	require.NoError(in.world.t, err)
	return a
}

// command sends commands, and returns the frames that answer them.
func (in *inhabitant) command(token, body string) []wire.Frame {
	in.world.t.Helper()
	a := in.begin(context.Background(), http.MethodPost, "/v1/commands", token, body).answer()
	require.Equal(in.world.t, http.StatusOK, a.status, a.body)
	frames, err := wire.Message([]byte(a.body))
	require.NoError(in.world.t, err)
	return frames
}

// token mints a token for everything, for a day.
func (w *world) token(user string) string {
	w.t.Helper()
	all := []string{"*"}
	token, err := auth.Mint([]byte(secret), auth.Claims{
		User: user, Permissions: auth.Permissions{Subscribe: all, Publish: all, Presence: all, History: all},
	}, 24*time.Hour)
	require.NoError(w.t, err)
	return token
}

// A thousand polls that wait, and some streams, cost no time, and one event wakes all of them.
func TestWaitingIsIdle(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, nil, nil)
		g := w.gateway("gw-1")
		token := w.token("alice")
		polls, streams := make([]*written, 1000), make([]*written, 50)
		ctx, cancel := context.WithCancel(t.Context())
		defer cancel()
		start := publishWith(t, g.broker, "jobs:1", event(0)).String()
		for i := range polls {
			polls[i] = g.begin(ctx, http.MethodGet, "/v1/poll?channel=jobs:1@"+start+"&wait_ms=60000", token, "")
		}
		for i := range streams {
			streams[i] = g.begin(ctx, http.MethodGet, "/v1/sse?channel=jobs:1@"+start, token, "")
		}
		w.pass(30 * time.Second)
		require.Equal(t, len(polls)+len(streams), g.Overview().Subscriptions)
		messages := g.Counters().Messages.Load()
		last := publishWith(t, g.broker, "jobs:1", event(1))
		synctest.Wait()
		for _, p := range polls {
			select {
			case <-p.done:
			default:
				require.Fail(t, "a poll was not woken")
			}
			a, err := readPoll(p.answer())
			require.NoError(t, err)
			require.Equal(t, []string{"event"}, types(a.frames))
			require.Equal(t, last, *a.frames[0].Cursor)
		}
		for _, s := range streams {
			require.Contains(t, s.text(), `"cursor":"`+last.String())
		}
		require.EqualValues(t, len(polls)+len(streams), g.Counters().Messages.Load()-messages)
		cancel()
		synctest.Wait()
		require.Zero(t, g.Connections())
		require.Zero(t, g.Overview().Subscriptions)
	})
}

// A stream says something every 15 seconds at the latest, however silent its channels are.
func TestStreamsBeat(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, nil, nil)
		g := w.gateway("gw-1")
		ctx, cancel := context.WithCancel(t.Context())
		defer cancel()
		s := g.begin(ctx, http.MethodGet, "/v1/sse?channel=jobs:1", w.token("alice"), "")
		w.pass(time.Second)
		before := s.text()
		require.Contains(t, before, `"subscribed"`)
		for range 20 {
			w.pass(15 * time.Second)
			said := strings.TrimPrefix(s.text(), before)
			require.NotEmpty(t, said)
			require.Empty(t, strings.Trim(said, ":\n"), "comments and nothing else")
			require.LessOrEqual(t, len(said), 2*len(":\n\n"), "and few of them")
			before = s.text()
		}
	})
}

// everything is what a token may allow.
func everything() *auth.Permissions {
	all := []string{"*"}
	return &auth.Permissions{Subscribe: all, Publish: all, Presence: all, History: all, Edit: all}
}
