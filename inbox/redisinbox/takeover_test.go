package redisinbox_test

import (
	"context"
	"fmt"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/tallywire/tallywire/inbox"
	"github.com/tallywire/tallywire/internal/redistest"
)

// writers add steps to channels until they are stopped, and say how many they added to each.
type writers struct {
	t      *testing.T
	cancel context.CancelFunc
	wg     sync.WaitGroup
	mu     sync.Mutex
	added  map[string]int
}

func startWriters(t *testing.T, s *redistest.Server, channels int) *writers {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	w := &writers{t: t, cancel: cancel, added: map[string]int{}}
	client := s.Admin()
	for c := range channels {
		channel := fmt.Sprint("jobs:", c)
		w.wg.Go(func() {
			for n := 1; ctx.Err() == nil; n++ {
				err := client.Do(context.WithoutCancel(ctx), "XADD", inboxKey, "*", "channel", channel, "event", step(n)).Err()
				if err != nil {
					t.Errorf("xadd: %v", err)
					return
				}
				w.mu.Lock()
				w.added[channel] = n
				w.mu.Unlock()
				timer := time.NewTimer(2 * time.Millisecond)
				select {
				case <-timer.C:
				case <-ctx.Done():
				}
				timer.Stop()
			}
		})
	}
	t.Cleanup(w.stop)
	return w
}

func (w *writers) stop() {
	w.cancel()
	w.wg.Wait()
}

// verify stops the writers and requires that every channel has every step, once and in order.
func (w *writers) verify(s *redistest.Server) {
	w.t.Helper()
	w.stop()
	drained(w.t, s)
	for channel, n := range w.added {
		require.Equal(w.t, upTo(n), log(w.t, s, channel), channel)
	}
}

// Three gateways, of which the active one is killed in the middle, again and again: its successor begins with
// what it had not finished, and nothing is lost, doubled or out of order.
func TestKilled(t *testing.T) {
	s := redistest.Start(t)
	w := startWriters(t, s, 8)
	type handle struct {
		*node
		proxy *redistest.Proxy
	}
	begin := func(i int) handle {
		proxy := redistest.StartProxy(t, s)
		return handle{startNode(t, proxy.URL(), fmt.Sprint("gw", i), brief), proxy}
	}
	handles := []handle{begin(0), begin(1), begin(2)}
	var claimed, terms uint64
	for round := range 4 {
		at := active(t, s, handles[0].node, handles[1].node, handles[2].node)
		s.Eventually("some entries", func() bool { return at.Stats().Published > 20 })
		for i, h := range handles {
			if h.node == at {
				h.proxy.Cut() // a dead process sends nothing more
				h.close()
				claimed, terms = claimed+at.Stats().Claimed, terms+at.Stats().Terms
				handles[i] = begin(10 + round)
			}
		}
	}
	w.verify(s)
	for _, h := range handles {
		claimed, terms = claimed+h.Stats().Claimed, terms+h.Stats().Terms
	}
	require.GreaterOrEqual(t, terms, uint64(5))
	require.NotZero(t, claimed, "nobody was killed in the middle of a batch")
}

// A gateway that ends in order gives the inbox away at once.
func TestHandedOver(t *testing.T) {
	s := redistest.Start(t)
	w := startWriters(t, s, 4)
	long := settings{Options: inbox.Options{LeaseTTL: time.Minute}}
	a, b := startNode(t, s.URL(), "a", long), startNode(t, s.URL(), "b", long)
	first := active(t, s, a, b)
	second := a
	if first == a {
		second = b
	}
	s.Eventually("some entries", func() bool { return first.Stats().Published > 20 })
	begun := time.Now()
	first.stop()
	require.False(t, first.Stats().Active)
	s.Eventually("the other one", func() bool { return second.Stats().Published > 20 })
	require.Less(t, time.Since(begun), 10*time.Second, "it did not wait for the end of the lease")
	require.Zero(t, first.Stats().Lost)
	w.verify(s)
}

// backlog adds many steps at once, so that whoever is active is in the middle of them, and returns how many each
// channel has then.
func backlog(t *testing.T, s *redistest.Server, from int) (to int) {
	t.Helper()
	const channels, each = 8, 400
	pipe := s.Admin().Pipeline()
	for n := from + 1; n <= from+each; n++ {
		for c := range channels {
			pipe.Do(t.Context(), "XADD", inboxKey, "*", "channel", fmt.Sprint("jobs:", c), "event", step(n))
		}
	}
	_, err := pipe.Exec(t.Context())
	require.NoError(t, err)
	return from + each
}

// A process that is stopped for longer than its lease, and then goes on where it was, takes nothing more and
// adds nothing: what it repeats is recognised.
func TestStoppedProcess(t *testing.T) {
	s := redistest.Start(t)
	p := startProcess(t, s.URL())
	to := 0
	for range 3 {
		// The process is the only one, and in the middle.
		before := to
		to = backlog(t, s, to)
		s.Eventually("a term of the process", func() bool { return len(log(t, s, "jobs:1")) > before+20 })
		p.signal(syscall.SIGSTOP)
		b := startNode(t, s.URL(), "b", brief)
		s.Eventually("a takeover", func() bool { return b.Stats().Published > 20 })
		p.signal(syscall.SIGCONT)
		drained(t, s)
		b.close()
	}
	said := p.end()
	for c := range 8 {
		require.Equal(t, upTo(to), log(t, s, fmt.Sprint("jobs:", c)))
	}
	require.Regexp(t, `Terms:[3-9] Lost:[3-9] `, said)
}

// What a gateway had sent, and Redis sees only after another one went on, changes nothing.
func TestLatePackets(t *testing.T) {
	s := redistest.Start(t)
	proxy := redistest.StartProxy(t, s)
	patient := brief
	patient.timeout = time.Minute // it waits for its answers
	a := startNode(t, proxy.URL(), "a", patient)
	to, duplicates := 0, uint64(0)
	for lost := range uint64(3) {
		active(t, s, a)
		before := a.Stats().Published
		to = backlog(t, s, to)
		s.Eventually("some entries", func() bool { return a.Stats().Published > before+100 })
		proxy.Stall() // with publishes under way, or their answers
		b := startNode(t, s.URL(), "b", brief)
		s.Eventually("a takeover", func() bool { return b.Stats().Published > 500 })
		require.NotZero(t, b.Stats().Claimed)
		proxy.Heal()
		s.Eventually("the end of its term", func() bool { return a.Stats().Lost > lost })
		drained(t, s)
		duplicates += b.Stats().Duplicates
		b.close()
	}
	for c := range 8 {
		require.Equal(t, upTo(to), log(t, s, fmt.Sprint("jobs:", c)))
	}
	require.NotZero(t, duplicates+a.Stats().Duplicates, "nothing was repeated")
}

// Redis goes away and comes back with its data, and the inbox goes on where it was.
func TestRedisRestarts(t *testing.T) {
	s := redistest.Start(t, redistest.WithAOF())
	a, b := startNode(t, s.URL(), "a", brief), startNode(t, s.URL(), "b", brief)
	active(t, s, a, b)
	for round := range 3 {
		for i := 1; i <= 200; i++ {
			add(t, s, "channel", fmt.Sprint("jobs:", i%4), "event", step(round*200+i))
		}
		if round == 1 {
			s.Kill()
		}
		s.Restart()
	}
	drained(t, s)
	for c := range 4 {
		got := log(t, s, fmt.Sprint("jobs:", c))
		require.Len(t, got, 150)
		require.IsIncreasing(t, got)
	}
}

// A Redis that has lost everything, library and group included, is like a new one.
func TestRedisIsWiped(t *testing.T) {
	s := redistest.Start(t)
	n := startNode(t, s.URL(), "a", settings{})
	for round := 1; round <= 3; round++ {
		add(t, s, "channel", "jobs:1", "event", step(1))
		drained(t, s)
		require.Equal(t, upTo(1), log(t, s, "jobs:1"))
		switch round {
		case 1:
			s.Restart()
		case 2:
			s.Do("FLUSHALL")
			s.Do("FUNCTION", "FLUSH")
		}
	}
	// Without its group, the inbox is taken from its beginning.
	n.stop()
	for i := 2; i <= 5; i++ {
		add(t, s, "channel", "jobs:1", "event", step(i))
	}
	s.Do("XGROUP", "DESTROY", inboxKey, "gateways")
	startNode(t, s.URL(), "b", settings{})
	drained(t, s)
	require.Equal(t, upTo(5), log(t, s, "jobs:1"))
}

// An answer that is lost is asked for again: what it held is neither lost nor overtaken.
func TestLostAnswers(t *testing.T) {
	s := redistest.Start(t)
	w := startWriters(t, s, 4)
	proxy := redistest.StartProxy(t, s)
	n := startNode(t, proxy.URL(), "a", settings{Options: inbox.Options{LeaseTTL: 3 * time.Second}})
	for _, call := range []string{"tw_inbox_take", "tw_inbox_done", "tw_inbox_hold", "tw_publish", "tw_inbox_take", "xread"} {
		before := n.Stats().Published
		s.Eventually("some entries", func() bool { return n.Stats().Published > before+20 })
		proxy.LoseReplies(2, call)
		s.Eventually("lost answers to "+call, func() bool { return proxy.Lost() == 0 })
	}
	w.verify(s)
	require.NotZero(t, n.Stats().Errors)
	require.EqualValues(t, 1, n.Stats().Terms)
	require.NotZero(t, n.Stats().Claimed, "an answer with entries was lost")
}
