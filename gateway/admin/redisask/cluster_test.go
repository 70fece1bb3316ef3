package redisask_test

import (
	"context"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"
	"github.com/rs/zerolog"
	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"github.com/tallywire/tallywire/broker"
	"github.com/tallywire/tallywire/gateway/admin"
	"github.com/tallywire/tallywire/gateway/admin/redisask"
	"github.com/tallywire/tallywire/gateway/inspect"
	"github.com/tallywire/tallywire/internal/redisconn"
	"github.com/tallywire/tallywire/internal/redistest"
	"github.com/tallywire/tallywire/presence"
)

func TestMain(m *testing.M) {
	redisconn.LogTo(func(string) {})
	goleak.VerifyTestMain(m)
}

const patience = 20 * time.Second

// local is a gateway with sessions, that counts what it is told to disconnect.
type local struct {
	id       string
	sessions []inspect.Session

	mu     sync.Mutex
	closed []string
}

func (l *local) Overview() inspect.Overview { return inspect.Overview{Gateway: l.id, Ready: true} }

func (l *local) Channels(string, string, int) []inspect.Channel { return nil }

func (l *local) Sessions(string) []inspect.Session { return l.sessions }

func (l *local) Disconnect(_, session string) int {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.closed = append(l.closed, session)
	return 1
}

func (l *local) disconnected() int {
	l.mu.Lock()
	defer l.mu.Unlock()
	return len(l.closed)
}

func (l *local) Explain(context.Context, string, string, broker.Cursor) []inspect.Trace { return nil }

// gateways is who is known; the same for all of a test.
type gateways struct {
	mu   sync.Mutex
	list []presence.GatewayInfo
}

func (g *gateways) Gateways(context.Context) ([]presence.GatewayInfo, error) {
	g.mu.Lock()
	defer g.mu.Unlock()
	return append([]presence.GatewayInfo(nil), g.list...), nil
}

func (g *gateways) set(id string, live bool) {
	g.mu.Lock()
	defer g.mu.Unlock()
	for i := range g.list {
		if g.list[i].ID == id {
			g.list[i].Live = live
			return
		}
	}
	g.list = append(g.list, presence.GatewayInfo{ID: id, Live: live})
}

// node is one gateway of a cluster.
type node struct {
	*redisask.Cluster
	local *local
	stop  func()
}

// start runs a gateway that reaches Redis at a URL.
func start(t *testing.T, url, id string, known *gateways, change func(*redisask.Options)) *node {
	t.Helper()
	return startDoubting(t, url, id, known, time.Minute, change)
}

// startDoubting has it doubt its connection after a silence.
func startDoubting(t *testing.T, url, id string, known *gateways, silence time.Duration, change func(*redisask.Options)) *node {
	t.Helper()
	client, _, err := redisconn.Open(url)
	require.NoError(t, err)
	n := &node{local: &local{id: id}}
	o := redisask.Options{Responder: admin.NewResponder(n.local, zerolog.Nop()), Gateways: known, Timeout: patience, Log: zerolog.Nop()}
	if change != nil {
		change(&o)
	}
	n.Cluster, err = redisask.New(client, o)
	require.NoError(t, err)
	n.SetSilence(silence)
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- n.Run(ctx) }()
	n.stop = sync.OnceFunc(func() {
		cancel()
		require.NoError(t, <-ended)
		require.NoError(t, client.Close())
	})
	t.Cleanup(n.stop)
	require.Eventually(t, n.Listening, patience, time.Millisecond)
	known.set(id, true)
	return n
}

func three(t *testing.T, url string, change func(*redisask.Options)) (*gateways, []*node) {
	t.Helper()
	known := &gateways{}
	return known, []*node{
		start(t, url, "gw-1", known, change), start(t, url, "gw-2", known, change), start(t, url, "gw-3", known, change),
	}
}

func names(r admin.Reply) (answered []string) {
	for _, a := range r.Answers {
		answered = append(answered, a.Gateway)
	}
	return answered
}

var overview = admin.Question{Kind: admin.AskOverview}

func short(o *redisask.Options) { o.Timeout = 400 * time.Millisecond }

func TestEverybodyAnswers(t *testing.T) {
	s := redistest.Start(t)
	_, nodes := three(t, s.URL(), nil)
	for _, n := range nodes {
		began := time.Now()
		reply, err := n.Ask(t.Context(), overview)
		require.NoError(t, err)
		require.Equal(t, []string{"gw-1", "gw-2", "gw-3"}, names(reply))
		require.Empty(t, reply.Missing)
		require.Less(t, time.Since(began), patience/2, "nobody waits when everybody has answered")
	}
	reply, err := nodes[0].Ask(t.Context(), admin.Question{Kind: admin.AskDisconnect, User: "alice", Session: "tab-1"})
	require.NoError(t, err)
	require.Len(t, reply.Answers, 3)
	for _, n := range nodes {
		require.Equal(t, 1, n.local.disconnected(), "asked once each, this gateway too")
	}
}

// TestManyAtOnce: answers find their own question.
func TestManyAtOnce(t *testing.T) {
	s := redistest.Start(t)
	_, nodes := three(t, s.URL(), nil)
	var work sync.WaitGroup
	for i := range 60 {
		work.Go(func() {
			reply, err := nodes[i%3].Ask(t.Context(), overview)
			if err != nil || len(reply.Answers) != 3 {
				t.Errorf("%v %v %v", names(reply), reply.Missing, err)
			}
		})
	}
	work.Wait()
}

// TestDeadGateway: one that was killed a moment ago is expected, and named; when its lease has ended nobody
// waits for it, and it is named still.
func TestDeadGateway(t *testing.T) {
	s := redistest.Start(t)
	known, nodes := three(t, s.URL(), short)
	nodes[2].stop()
	reply, err := nodes[0].Ask(t.Context(), overview)
	require.NoError(t, err)
	require.Equal(t, []string{"gw-1", "gw-2"}, names(reply))
	require.Equal(t, []admin.Missing{{Gateway: "gw-3", Reason: admin.NoAnswer}}, reply.Missing)

	known.set("gw-3", false)
	reply, err = nodes[0].Ask(t.Context(), overview)
	require.NoError(t, err)
	require.Equal(t, []string{"gw-1", "gw-2"}, names(reply))
	require.Equal(t, []admin.Missing{{Gateway: "gw-3", Reason: admin.LeaseOver}}, reply.Missing)
}

// TestFrozenGateway: what is asked of a gateway that is frozen is not done when it comes back.
func TestFrozenGateway(t *testing.T) {
	s := redistest.Start(t)
	proxy := redistest.StartProxy(t, s)
	known := &gateways{}
	asker := start(t, s.URL(), "gw-1", known, short)
	frozen := start(t, proxy.URL(), "gw-2", known, short)
	proxy.Stall()
	reply, err := asker.Ask(t.Context(), admin.Question{Kind: admin.AskDisconnect, User: "alice", Session: "tab-1"})
	require.NoError(t, err)
	require.Equal(t, []admin.Missing{{Gateway: "gw-2", Reason: admin.NoAnswer}}, reply.Missing)
	proxy.Heal()
	require.Eventually(t, func() bool { return frozen.Counters().Late.Load() == 1 }, patience, time.Millisecond)
	require.Zero(t, frozen.local.disconnected())
	reply, err = asker.Ask(t.Context(), overview)
	require.NoError(t, err)
	require.Equal(t, []string{"gw-1", "gw-2"}, names(reply))
}

// TestSilentConnection: a connection that is dead without a word is noticed and made again. Meanwhile the
// gateway is missing to others, and says that it could not ask them itself.
func TestSilentConnection(t *testing.T) {
	s := redistest.Start(t)
	proxy := redistest.StartProxy(t, s)
	known := &gateways{}
	asker := start(t, s.URL(), "gw-1", known, short)
	silent := startDoubting(t, proxy.URL(), "gw-2", known, 100*time.Millisecond, short)
	proxy.Stall()
	require.Eventually(t, func() bool { return silent.Counters().Lost.Load() > 0 }, patience, time.Millisecond)
	require.Eventually(t, func() bool { return !silent.Listening() }, patience, time.Millisecond)
	reply, err := silent.Ask(t.Context(), overview)
	require.ErrorIs(t, err, admin.ErrUnasked)
	require.Equal(t, []string{"gw-2"}, names(reply), "it still answers for itself")
	require.Equal(t, []admin.Missing{{Gateway: "gw-1", Reason: admin.NotAsked}}, reply.Missing)
	proxy.Heal()
	require.Eventually(t, func() bool {
		reply, err := asker.Ask(t.Context(), overview)
		return err == nil && len(reply.Answers) == 2
	}, patience, 5*time.Millisecond)
}

func TestQuietConnectionIsKept(t *testing.T) {
	s := redistest.Start(t)
	n := startDoubting(t, s.URL(), "gw-1", &gateways{}, 20*time.Millisecond, nil)
	ping := func() string { return s.Info("cmdstat_ping") }
	before := ping()
	require.Eventually(t, func() bool { return ping() != before }, patience, 5*time.Millisecond)
	later := ping()
	require.Eventually(t, func() bool { return ping() != later }, patience, 5*time.Millisecond)
	require.True(t, n.Listening())
	require.Zero(t, n.Counters().Lost.Load())
}

// TestRedisAway: a gateway answers for itself at once, and with everybody again when Redis is back.
func TestRedisAway(t *testing.T) {
	s := redistest.Start(t)
	_, nodes := three(t, s.URL(), short)
	s.Kill()
	require.Eventually(t, func() bool { return !nodes[0].Listening() }, patience, time.Millisecond)
	reply, err := nodes[0].Ask(t.Context(), overview)
	require.ErrorIs(t, err, admin.ErrUnasked)
	require.Equal(t, []string{"gw-1"}, names(reply))
	require.Len(t, reply.Missing, 2)
	s.Restart()
	require.Eventually(t, func() bool {
		reply, err := nodes[0].Ask(t.Context(), overview)
		return err == nil && len(reply.Answers) == 3
	}, patience, 5*time.Millisecond)
}

// TestWhatElseIsPublished: nobody is misled by messages that are not ours, or that are of another version.
func TestWhatElseIsPublished(t *testing.T) {
	s := redistest.Start(t)
	known, nodes := three(t, s.URL(), short)
	for _, message := range []string{
		"", "hello", "[]", `{"v":1,"kind":"overview"}`, `{"id":"A","reply":"x:y{}","v":1,"kind":"disconnect","user":"a","session":"b"}`,
		strings.Repeat("x", 8<<10),
	} {
		s.Do("PUBLISH", "tw:_ask", message)
	}
	for i, n := range nodes {
		require.Eventually(t, func() bool { return n.Counters().Malformed.Load() == 6 }, patience, time.Millisecond, "gateway %d", i)
	}
	// A gateway of the next version asks something that nobody knows yet, and hears so.
	sub := s.Admin().Subscribe(t.Context(), "tw:_ask:NEXT")
	defer sub.Close()
	_, err := sub.Receive(t.Context())
	require.NoError(t, err)
	s.Do("PUBLISH", "tw:_ask", `{"id":"Q1","reply":"NEXT","until_us":9000000000000000,"v":2,"kind":"overview","more":{}}`)
	for range nodes {
		m, err := sub.ReceiveMessage(t.Context())
		require.NoError(t, err)
		require.Contains(t, m.Payload, `"failure":"unsupported"`)
	}
	// Answers that are not for any question, and one that pretends to be somebody's.
	inboxes := s.Do("PUBSUB", "CHANNELS", "tw:_ask:*").([]any)
	for _, inbox := range inboxes {
		s.Do("PUBLISH", inbox, `{"id":"GONE","v":1,"gateway":"gw-9"}`)
		s.Do("PUBLISH", inbox, `{"v":1}`)
	}
	for _, n := range nodes {
		require.Eventually(t, func() bool {
			return n.Counters().Unclaimed.Load() == 1 && n.Counters().Malformed.Load() == 7
		}, patience, time.Millisecond)
	}
	known.set("gw-4", true)
	reply, err := nodes[0].Ask(t.Context(), overview)
	require.NoError(t, err)
	require.Len(t, reply.Answers, 3)
	require.Equal(t, []admin.Missing{{Gateway: "gw-4", Reason: admin.NoAnswer}}, reply.Missing)
}

// TestLargeAnswer: an answer is cut before it is too large, and says so.
func TestLargeAnswer(t *testing.T) {
	s := redistest.Start(t)
	_, nodes := three(t, s.URL(), nil)
	for range 400 {
		nodes[1].local.sessions = append(nodes[1].local.sessions, inspect.Session{User: "alice", UserAgent: strings.Repeat("x", 1<<10)})
	}
	reply, err := nodes[0].Ask(t.Context(), admin.Question{Kind: admin.AskSessions, User: "alice"})
	require.NoError(t, err)
	require.True(t, reply.Answers[1].Cut)
	require.NotEmpty(t, reply.Answers[1].Sessions)
	require.Less(t, len(reply.Answers[1].Sessions), 200)
}

// TestUser: the rights that the document gives to a gateway are enough.
func TestUser(t *testing.T) {
	s := redistest.Start(t)
	users := s.Users("../../../docs/redis-contract.md")
	known := &gateways{}
	url := "redis://" + users["gateway"] + "@" + s.Addr()
	first := start(t, url, "gw-1", known, nil)
	start(t, url, "gw-2", known, nil)
	reply, err := first.Ask(t.Context(), overview)
	require.NoError(t, err)
	require.Equal(t, []string{"gw-1", "gw-2"}, names(reply))
	worker := redis.NewClient(&redis.Options{Addr: s.Addr(), Username: "worker", Password: strings.TrimPrefix(users["worker"], "worker:"), Protocol: 2, MaxRetries: -1, DisableIdentity: true})
	defer worker.Close()
	require.ErrorContains(t, worker.Publish(t.Context(), "tw:_ask", "{}").Err(), "NOPERM", "a worker cannot ask")
}
