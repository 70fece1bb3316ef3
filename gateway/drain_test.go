package gateway_test

import (
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/tallywire/tallywire/gateway"
	"github.com/tallywire/tallywire/gateway/wire"
)

// TestDrainIsEvenlySpread: the times at which connections are told to move, and at which those that do not
// are closed, are spread evenly, whatever the number of flushers.
func TestDrainIsEvenlySpread(t *testing.T) {
	const n, window = 60, time.Second
	r := newRig(t, rigOptions{change: func(o *gateway.Options) { o.DrainWindow, o.Flushers = window, 3 }})
	clients := make([]*client, n)
	for i := range clients {
		clients[i] = r.connect("alice", nil)
	}
	began := time.Now()
	var wg sync.WaitGroup
	wg.Go(r.stop)
	after, closed := make([]time.Duration, n), make([]time.Duration, n)
	for i, c := range clients {
		wg.Go(func() {
			f, err := c.read()
			if err != nil || f.Type != "moving" {
				t.Errorf("wanted to be told to move: %+v, %v", f, err)
				return
			}
			after[i] = time.Duration(f.AfterMS) * time.Millisecond
			for err == nil {
				_, err = c.read()
			}
			closed[i] = time.Since(began)
		})
	}
	wg.Wait()
	for _, times := range [][]time.Duration{after, closed} {
		slices.Sort(times)
		for tenth := range 10 {
			in := 0
			for _, d := range times {
				if at := d - times[0]; int(at*10/(times[n-1]-times[0]+1)) == tenth {
					in++
				}
			}
			require.InDelta(t, n/10, in, 4, "in tenth %d of %v", tenth, times)
		}
	}
	require.Greater(t, closed[n-1]-closed[0], window/2, "they are not closed together")
	require.EqualValues(t, n, r.gateway.Counters().Leftovers.Load())
}

func TestDrainServesOnWhileItWaits(t *testing.T) {
	r := newRig(t, rigOptions{change: func(o *gateway.Options) { o.DrainWait = time.Hour }})
	before := r.connect("alice", nil)
	before.subscribe("jobs:1", "")
	stopped := make(chan struct{})
	go func() {
		defer close(stopped)
		r.stop()
	}()
	r.eventually("not ready", func() bool { ok, why := r.gateway.Ready(); return !ok && why == "draining" })
	late := r.connect("bob", nil)
	late.subscribe("jobs:1", "")
	r.publish("jobs:1", event(1))
	before.expect("event")
	late.expect("event")
	r.gateway.Force()
	late.expectClose(wire.CloseRestart)
	before.expectClose(wire.CloseRestart)
	<-stopped
}

func TestOperatorDrains(t *testing.T) {
	r := newRig(t, rigOptions{})
	c := r.connect("alice", nil)
	require.NoError(t, r.gateway.StartDrain(gateway.Drain{Window: 10 * time.Millisecond}))
	require.ErrorIs(t, r.gateway.StartDrain(gateway.Drain{}), gateway.ErrDraining)
	c.expect("moving")
	_ = c.ws.CloseNow()
	r.eventually("empty", func() bool { return r.gateway.Connections() == 0 })
	ok, why := r.gateway.Ready()
	require.False(t, ok)
	require.Equal(t, "draining", why)
	resp := r.get("/v1/poll?channel=jobs:1", r.token("bob", nil), nil)
	require.Equal(t, 503, resp.status)
	require.NotEmpty(t, resp.header.Get("Retry-After"))

	require.NoError(t, r.gateway.UndoDrain())
	require.NoError(t, r.gateway.UndoDrain(), "nothing to undo")
	ok, _ = r.gateway.Ready()
	require.True(t, ok)
	c = r.connect("alice", nil)
	c.subscribe("jobs:1", "")
	_ = c.ws.CloseNow()

	require.NoError(t, r.gateway.StartDrain(gateway.Drain{Wait: time.Hour}))
	r.stop()
	require.ErrorIs(t, r.gateway.StartDrain(gateway.Drain{}), gateway.ErrEnding)
	require.ErrorIs(t, r.gateway.UndoDrain(), gateway.ErrEnding)
}

// TestUndoKeepsConnections: who was told to move and did not is not closed after all.
func TestUndoKeepsConnections(t *testing.T) {
	r := newRig(t, rigOptions{})
	c := r.connect("alice", nil)
	require.NoError(t, r.gateway.StartDrain(gateway.Drain{Window: time.Hour}))
	c.expect("moving")
	require.NoError(t, r.gateway.UndoDrain())
	c.subscribe("jobs:1", "")
	r.publish("jobs:1", event(1))
	c.expect("event")
	require.Zero(t, r.gateway.Counters().Leftovers.Load())
}

// TestDrainsAreCounted by how they went: one that an operator began is the same drain when the process is told to
// end meanwhile.
func TestDrainsAreCounted(t *testing.T) {
	r := newRig(t, rigOptions{})
	n := r.gateway.Counters()
	counts := func() [4]uint64 {
		return [...]uint64{n.Drains.Load(), n.DrainsEnded.Load(), n.DrainsUndone.Load(), n.DrainsForced.Load()}
	}
	start := func(o gateway.Drain) { require.NoError(t, r.gateway.StartDrain(o)) }

	start(gateway.Drain{}) // nobody is there
	r.eventually("at its end", func() bool { return n.DrainsEnded.Load() == 1 })
	require.NoError(t, r.gateway.UndoDrain())
	require.Equal(t, [...]uint64{1, 1, 1, 0}, counts())
	c := r.connect("alice", nil)
	start(gateway.Drain{Window: time.Hour})
	c.expect("moving")
	require.NoError(t, r.gateway.UndoDrain())
	require.NoError(t, r.gateway.UndoDrain(), "nothing to undo")
	require.Equal(t, [...]uint64{2, 1, 2, 0}, counts())

	start(gateway.Drain{Wait: time.Hour})
	r.gateway.Force()
	r.stop()
	require.Equal(t, [...]uint64{3, 1, 2, 1}, counts())
}

// TestDrainAtTheEndIsCounted, once, also after one that an operator had seen to its end.
func TestDrainAtTheEndIsCounted(t *testing.T) {
	for _, before := range []bool{false, true} {
		r := newRig(t, rigOptions{})
		n := r.gateway.Counters()
		begun := uint64(1)
		if before {
			require.NoError(t, r.gateway.StartDrain(gateway.Drain{}))
			r.eventually("at its end", func() bool { return n.DrainsEnded.Load() == 1 })
			begun++
		}
		r.stop()
		require.Equal(t, []uint64{begun, begun, 0, 0},
			[]uint64{n.Drains.Load(), n.DrainsEnded.Load(), n.DrainsUndone.Load(), n.DrainsForced.Load()})
	}
}

func TestConnectionsAge(t *testing.T) {
	r := newRig(t, rigOptions{change: func(o *gateway.Options) { o.MaxConnectionAge = time.Second }})
	c := r.connect("alice", nil)
	c.expect("moving")
	c.expectClose(wire.CloseRestart)
}

func TestConnectionsAreTakenAtARate(t *testing.T) {
	r := newRig(t, rigOptions{change: func(o *gateway.Options) { o.Limits.Rate = 2 }})
	r.connect("alice", nil)
	r.connect("bob", nil)
	resp := r.get("/v1/sse?channel=jobs:1", r.token("carol", nil), nil)
	require.Equal(t, 503, resp.status)
	require.NotEmpty(t, resp.header.Get("Retry-After"))
	resp = r.get("/v1/poll?channel=jobs:1&wait_ms=0", r.token("carol", nil), nil)
	require.Equal(t, 200, resp.status, "a poll is no arrival")
}
