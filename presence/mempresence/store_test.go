package mempresence

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/tallywire/tallywire/presence"
	"github.com/tallywire/tallywire/presence/internal/engine"
)

// hand is a view of a store whose clock the test moves.
type hand struct {
	*testing.T
	*view
	now time.Time
}

func newHand(t *testing.T) *hand {
	t.Helper()
	h := &hand{T: t, now: time.Date(2026, 11, 24, 10, 0, 0, 0, time.UTC)}
	h.view = &view{
		Store: NewStore(StoreOptions{Clock: func() time.Time { return h.now }}),
		queue: make(chan presence.Change, 2), recount: make(chan struct{}, 1),
	}
	return h
}

func (h *hand) apply(o engine.Owner, op engine.Op) engine.Result {
	h.Helper()
	op.Channel, op.User, op.Session = "room:1", "alice", "s"
	r := h.Apply(h.Context(), o, []engine.Op{op})[0]
	require.NoError(h, r.Err)
	return r
}

// What a reaped incarnation sends late is refused; its successor is not.
func TestFence(t *testing.T) {
	h := newHand(t)
	dead, heir, next := engine.Owner{Gateway: "a", Incarnation: 1}, engine.Owner{Gateway: "b", Incarnation: 1}, engine.Owner{Gateway: "a", Incarnation: 2}
	enter := engine.Op{Kind: engine.Enter, Claim: "c"}
	require.Equal(t, engine.Done, h.apply(dead, enter).Code)
	sweep, err := h.Reap(t.Context(), "room:1", dead, heir, h.now)
	require.NoError(t, err)
	require.Equal(t, engine.Sweep{Next: -1}, sweep)
	require.Equal(t, engine.Void, h.apply(dead, enter).Code)
	require.Equal(t, engine.Void, h.apply(dead, engine.Op{Kind: engine.Leave, Claim: "c"}).Code)
	sweep, err = h.Reap(t.Context(), "room:1", heir, dead, h.now)
	require.NoError(t, err)
	require.True(t, sweep.Void)
	require.Equal(t, engine.Done, h.apply(next, enter).Code)

	_, err = h.Close(t.Context(), dead)
	require.NoError(t, err)
	open, err := h.List(t.Context(), dead, []string{"room:2"}, nil)
	require.NoError(t, err)
	require.False(t, open)
	h.now = h.now.Add(fenceTTL + time.Second)
	require.Equal(t, engine.Done, h.apply(dead, enter).Code, "a fence does not stand for ever")
}

// A store forgets what has been empty for long.
func TestSweep(t *testing.T) {
	h := newHand(t)
	o := engine.Owner{Gateway: "a", Incarnation: 1}
	h.apply(o, engine.Op{Kind: engine.Enter, Claim: "c"})
	h.apply(o, engine.Op{Kind: engine.Enter, Claim: "d"})
	h.apply(o, engine.Op{Kind: engine.SetSession, Claim: "c", TTL: time.Hour})
	_, err := h.Reap(t.Context(), "room:1", engine.Owner{Gateway: "x"}, o, h.now)
	require.NoError(t, err)
	_, err = h.Close(t.Context(), engine.Owner{Gateway: "x"})
	require.NoError(t, err)
	version := h.channels["room:1"].version
	sweep := func() {
		h.mu.Lock()
		defer h.mu.Unlock()
		h.sweepLocked(h.now)
	}
	h.now = h.now.Add(versionTTL + time.Hour)
	sweep()
	require.Len(t, h.channels, 1, "somebody is there")
	require.Empty(t, h.users)
	require.Empty(t, h.closed)
	require.Empty(t, h.channels["room:1"].fences)
	require.Empty(t, h.channels["room:1"].moved)
	h.apply(o, engine.Op{Kind: engine.Leave, Claim: "d"})
	h.now = h.now.Add(versionTTL)
	sweep()
	require.Len(t, h.channels, 1, "the version is kept")
	h.now = h.now.Add(sweepEvery)
	sweep()
	require.Empty(t, h.channels)
	h.apply(o, engine.Op{Kind: engine.Enter, Claim: "e"})
	require.Greater(t, h.channels["room:1"].version, version)
}

// A sink that is too slow loses changes, and learns that it has.
func TestOverflow(t *testing.T) {
	h := newHand(t)
	h.join()
	defer h.part()
	o := engine.Owner{Gateway: "a", Incarnation: 1}
	for i, kind := range []engine.Kind{engine.Enter, engine.Leave, engine.Enter} {
		h.apply(o, engine.Op{Kind: kind, Claim: "c"})
		require.Len(t, h.recount, max(0, i-1))
	}
	require.Len(t, h.queue, 2)
}
