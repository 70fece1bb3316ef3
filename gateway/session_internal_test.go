package gateway

import (
	"context"
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/tallywire/tallywire/broker/membroker"
	"github.com/tallywire/tallywire/events"
	"github.com/tallywire/tallywire/gateway/auth"
	"github.com/tallywire/tallywire/namespace"
)

// A subscribe may be taken back between the moment that it has its relay and the moment that it tells
// its flusher: the flusher then hears of the end first.
func TestDetachBeforeAttach(t *testing.T) {
	table, err := namespace.NewTable(nil)
	require.NoError(t, err)
	registry, err := events.NewRegistry(events.Options{})
	require.NoError(t, err)
	authenticator, err := auth.New(auth.Options{Insecure: true})
	require.NoError(t, err)
	g, err := New(Options{
		Broker: membroker.NewStore(membroker.Options{}).Broker(), Namespaces: table, Registry: registry, Auth: authenticator,
	})
	require.NoError(t, err)
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() { ended <- g.hub.Run(ctx) }()
	defer func() {
		cancel()
		require.NoError(t, <-ended)
	}()
	require.Eventually(t, func() bool { return g.hub.HealthNow().OK }, 10*time.Second, time.Millisecond)
	r, err := g.hub.Acquire(ctx, "jobs:1")
	require.NoError(t, err)

	f := newFlusher(g) // which does not run
	c := &conn{gateway: g, flusher: f, out: &webSocket{}}
	c.session.conn = c
	sub := &subscription{conn: c, channel: "jobs:1"}
	s := &c.session
	s.addLocked(sub)
	s.activate(want{sub: sub}, r, r.Tail(), nil)
	s.mu.Lock()
	s.removeLocked(sub)
	s.mu.Unlock()
	s.drop(sub)
	require.Len(t, f.calls, 2)
	slices.Reverse(f.calls)
	for _, call := range f.calls {
		call()
	}
	require.Nil(t, sub.tap)
	require.Empty(t, f.byRelay)
	require.Empty(t, c.outbox, "nor is it answered after its end")
}

// A subscription that was replaced does not take its successor out of the index when it ends.
func TestReplacedSubscriptionLeavesTheIndex(t *testing.T) {
	for _, many := range []int{0, manySubs + 1} {
		var s session
		for n := range many {
			s.addLocked(&subscription{channel: fmt.Sprintf("other:%d", n)})
		}
		old, successor := &subscription{channel: "jobs:1"}, &subscription{channel: "jobs:1"}
		s.addLocked(old)
		s.removeLocked(old)
		s.addLocked(successor)
		s.removeLocked(old)
		require.True(t, old.cancelled)
		require.False(t, successor.cancelled)
		require.Same(t, successor, s.findLocked("jobs:1"))
		s.removeLocked(successor)
		require.Nil(t, s.findLocked("jobs:1"))
		require.Len(t, s.subs, many)
	}
}
