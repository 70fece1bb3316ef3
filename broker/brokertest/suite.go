package brokertest

import (
	"context"
	"fmt"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"github.com/tallywire/tallywire/broker"
	"github.com/tallywire/tallywire/namespace"
)

// Backend is one empty store under test.
type Backend interface {
	// Brokers returns two brokers over the store, built with [Namespaces], not yet running. The suite
	// runs and ends them; what else the backend needs it releases with t.Cleanup.
	Brokers() (a, b broker.Broker)
}

// Cutter can take the store away from one broker.
type Cutter interface {
	// Cut breaks the connections of broker which (0 or 1) and keeps it from making new ones.
	Cut(which int)
	// Heal lets it connect again.
	Heal(which int)
}

// Forker can lose the end of a log.
type Forker interface {
	// Fork takes the last k entries back, as a failover to a replica that lacked them does.
	Fork(channel string, k int)
}

// Expirer knows how long streams live.
type Expirer interface {
	// TTL returns how long the stream lives if nothing happens to it; 0 when there is none.
	TTL(channel string) time.Duration
	// Expire ends the stream's life now. The channel has no subscribers.
	Expire(channel string)
}

// Staller can keep a channel's publishes from being answered.
type Staller interface {
	// Stall holds publishes through the first broker until release is called. Its queue, which should
	// be small for the test's sake, then fills.
	Stall(channel string) (release func())
}

// Namespaces returns the table that backends use: "small" retains 8 entries, "one" a single entry,
// "brief" lives for 30 seconds. Everything else has the defaults.
func Namespaces(t testing.TB) *namespace.Table {
	t.Helper()
	table, err := namespace.NewTable(map[string]namespace.Options{
		"small": {MaxLen: smallLen},
		"one":   {MaxLen: 1},
		"brief": {TTL: 30 * time.Second},
	})
	require.NoError(t, err)
	return table
}

const smallLen = 8

// Run tests an implementation. Every case gets a new backend and leaves no goroutine behind. Cases
// that need a capability that the backend lacks are skipped.
func Run(t *testing.T, newBackend func(t *testing.T) Backend) {
	t.Helper()
	for _, group := range [][]testCase{publishCases, readCases, liveCases, checkCases, lifeCases, faultCases} {
		for _, c := range group {
			t.Run(c.name, func(t *testing.T) {
				running := goleak.IgnoreCurrent()
				t.Cleanup(func() { goleak.VerifyNone(t, running) }) // runs last
				c.run(start(t, newBackend(t)))
			})
		}
	}
}

type testCase struct {
	name string
	run  func(s *suite)
}

// suite is a case in progress.
type suite struct {
	*testing.T
	ctx     context.Context //nolint:containedctx // a test's context, for the helpers
	backend Backend
	a, b    *node
}

// node is a running broker and its sink.
type node struct {
	broker.Broker
	*Sink
	// stop ends Run and waits for it.
	stop func()
}

// start runs both brokers until the end of the test.
func start(t *testing.T, backend Backend) *suite {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 3*Patience)
	t.Cleanup(cancel)
	a, b := backend.Brokers()
	s := &suite{T: t, ctx: ctx, backend: backend}
	s.a, s.b = s.node(a), s.node(b)
	s.a.UntilHealthy(t, true)
	s.b.UntilHealthy(t, true)
	return s
}

func (s *suite) node(b broker.Broker) *node {
	ctx, cancel := context.WithCancel(context.Background())
	n := &node{Broker: b, Sink: &Sink{}}
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		if err := b.Run(ctx, n.Sink); err != nil {
			s.Errorf("Run: %v", err)
		}
	}()
	n.stop = func() {
		cancel()
		select {
		case <-ended:
		case <-time.After(Patience):
			s.Errorf("Run did not return within %s of the end of its context", Patience)
		}
	}
	s.Cleanup(func() {
		n.stop()
		for _, v := range n.Violations() {
			s.Error(v)
		}
	})
	return n
}

var channelCount atomic.Int64

// channel returns a name that no other case uses, so that backends may share a server.
func (s *suite) channel(ns string) string {
	return fmt.Sprintf("%s:%d", ns, channelCount.Add(1))
}

// publish publishes one event and waits for its receipt.
func (s *suite) publish(n *node, channel, event string) broker.Receipt {
	s.Helper()
	return s.send(n, broker.Publication{Channel: channel, Event: []byte(event)})
}

func (s *suite) send(n *node, p broker.Publication) broker.Receipt {
	s.Helper()
	r, err := broker.PublishWait(s.ctx, n, p)
	require.NoError(s, err)
	return r
}

// fill publishes count numbered events, pipelined, and returns their cursors.
func (s *suite) fill(n *node, channel string, count int) []broker.Cursor {
	s.Helper()
	type answer struct {
		i   int
		r   broker.Receipt
		err error
	}
	answers := make(chan answer, count)
	for i := range count {
		p := broker.Publication{Channel: channel, Event: numbered(i)}
		n.Publish(s.ctx, p, func(r broker.Receipt, err error) { answers <- answer{i, r, err} })
	}
	cursors := make([]broker.Cursor, count)
	for range count {
		select {
		case a := <-answers:
			require.NoError(s, a.err)
			cursors[a.i] = a.r.Cursor
		case <-s.ctx.Done():
			s.Fatal("not every publish was answered")
		}
	}
	return cursors
}

func numbered(i int) []byte { return fmt.Appendf(nil, `{"n":%d}`, i) }

func (s *suite) subscribe(n *node, channel string) broker.Head {
	s.Helper()
	h, err := n.Subscribe(s.ctx, channel)
	require.NoError(s, err)
	return h
}

func (s *suite) read(n *node, channel string, r broker.ReadRequest) broker.Page {
	s.Helper()
	p, err := n.Read(s.ctx, channel, r)
	require.NoError(s, err)
	return p
}

// log reads the whole log in pages, from the oldest retained entry.
func (s *suite) log(n *node, channel string) []broker.Entry {
	s.Helper()
	var log []broker.Entry
	for from := uint64(1); ; {
		p := s.read(n, channel, broker.ReadRequest{From: from, Limit: broker.MaxReadLimit})
		log = append(log, p.Entries...)
		if len(p.Entries) == 0 || p.Entries[len(p.Entries)-1].Cursor == p.Head.Cursor {
			return log
		}
		from = p.Entries[len(p.Entries)-1].Cursor.Offset + 1
	}
}

// chained requires consecutive offsets, increasing stamps and an unbroken Prev chain.
func (s *suite) chained(log []broker.Entry) {
	s.Helper()
	for i := 1; i < len(log); i++ {
		before, e := log[i-1].Cursor, log[i]
		require.Equal(s, before.Offset+1, e.Cursor.Offset, "a hole after %s", before)
		require.Greater(s, e.Cursor.Stamp, before.Stamp, "stamps do not increase after %s", before)
		require.Equal(s, before.Stamp, e.Prev, "the chain is broken after %s", before)
	}
}

// without the genesis entry, which no reader is shown.
func visible(log []broker.Entry) []broker.Entry {
	var out []broker.Entry
	for _, e := range log {
		if !e.Genesis() {
			out = append(out, e)
		}
	}
	return out
}

func cursorsOf(log []broker.Entry) []broker.Cursor {
	out := make([]broker.Cursor, len(log))
	for i, e := range log {
		out[i] = e.Cursor
	}
	return out
}

// capability returns the backend as T, or skips the case.
func capability[T any](s *suite) T {
	s.Helper()
	c, ok := s.backend.(T)
	if !ok {
		s.Skipf("the backend is no %T", (*T)(nil))
	}
	return c
}
