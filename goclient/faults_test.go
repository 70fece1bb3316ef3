package goclient

import (
	"fmt"
	"math/rand/v2"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/tallywire/tallywire/broker"
	"github.com/tallywire/tallywire/gateway/wire"
)

// TestExactlyOnceAcrossCuts publishes while connections are cut at random moments, asked to move, or
// closed as slow consumers, and demands every event once and in order.
func TestExactlyOnceAcrossCuts(t *testing.T) {
	g := newFake(t, nil)
	c := start(t, g, nil)
	const channels, each = 4, 150
	var rs [channels]*recorder
	for i := range rs {
		_, rs[i] = follow(t, c, fmt.Sprintf("jobs:%d", i))
	}
	rng := rand.New(rand.NewPCG(7, 11))
	for n := range each {
		for i := range rs {
			g.publish(fmt.Sprintf("jobs:%d", i), numbered(n+1))
		}
		if n%10 != 5 {
			continue
		}
		before := c.Stats().Connections
		switch last := g.newest(); rng.IntN(3) {
		case 0:
			last.cut()
		case 1:
			last.send(wire.AppendMoving(nil, 0))
		case 2:
			_ = last.ws.Close(wire.CloseSlowConsumer, "slow_consumer")
		}
		eventually(t, "the next connection", func() bool { return c.Stats().Connections > before })
	}
	for _, r := range rs {
		r.wait(t, each)
		require.Equal(t, upTo(each), r.numbers())
		require.Empty(t, listed(r, &r.resets))
		require.Empty(t, listed(r, &r.errs))
	}
	require.Zero(t, c.Violations())
}

// TestSeededFaults proves the checker: a gateway that loses, doubles or swaps events is found out, and
// the handler gets every event once and in order all the same.
func TestSeededFaults(t *testing.T) {
	for name, fault := range map[string]struct {
		mangle    func(held *[][]byte, frames [][]byte) [][]byte
		violation bool
	}{
		"loss": {func(_ *[][]byte, _ [][]byte) [][]byte { return nil }, true},
		"duplicate": {func(_ *[][]byte, frames [][]byte) [][]byte {
			return append(frames, frames...)
		}, false},
		"swap": {func(held *[][]byte, frames [][]byte) [][]byte {
			*held = frames
			return nil
		}, true},
	} {
		t.Run(name, func(t *testing.T) {
			var count int
			var held [][]byte // guarded by the gateway's lock, under which mangle is called
			g := newFake(t, func(g *fakeGateway) {
				g.mangle = func(_ *fakeConn, frames [][]byte) [][]byte {
					if len(frames) != 1 { // a replay is left alone
						held = nil
						return frames
					}
					count++
					if count == 5 {
						return fault.mangle(&held, frames)
					}
					frames = append(frames, held...)
					held = nil
					return frames
				}
			})
			c := start(t, g, nil)
			_, r := follow(t, c, "jobs:1")
			for i := range 8 {
				g.publish("jobs:1", numbered(i+1))
			}
			r.wait(t, 8)
			require.Equal(t, upTo(8), r.numbers())
			if !fault.violation {
				require.Zero(t, c.Violations())
				require.Equal(t, uint64(1), c.Stats().Duplicates)
				return
			}
			require.NotZero(t, c.Violations())
			errs := listed(r, &r.errs)
			require.NotEmpty(t, errs)
			var v *ViolationError
			require.ErrorAs(t, errs[0], &v)
			require.Equal(t, uint64(5), v.Position.Offset, "events 1 to 4 stand at offsets 2 to 5")
			require.Equal(t, uint64(7), v.Got.Offset)
			require.Equal(t, uint64(1), c.Stats().Connections, "the repair needs no new connection")
		})
	}
}

// TestSilentGapOnResume is a gateway that says "resumed" and goes on elsewhere.
func TestSilentGapOnResume(t *testing.T) {
	var lied atomic.Bool
	g := newFake(t, nil)
	g.onFrame = func(c *fakeConn, f *wire.ClientFrame) bool {
		if f.Type != wire.TypeSubscribe || c.n != 1 || lied.Swap(true) {
			return false
		}
		g.mu.Lock()
		defer g.mu.Unlock()
		head := g.logLocked("jobs:1").page().Cursor
		c.sendLocked(wire.AppendSubscribed(nil, f.ID, "jobs:1", head, head, true))
		return true
	}
	c := start(t, g, nil)
	_, r := follow(t, c, "jobs:1")
	g.publish("jobs:1", numbered(1))
	r.wait(t, 1)
	g.mu.Lock()
	g.conns[0].subs = map[string]bool{}
	g.mu.Unlock()
	g.publish("jobs:1", numbered(2))
	g.conn(0).cut()
	r.wait(t, 2)
	require.Equal(t, upTo(2), r.numbers())
	require.Equal(t, uint64(1), c.Violations())
}

func TestResets(t *testing.T) {
	g := newFake(t, nil)
	c := start(t, g, nil)
	s, r := follow(t, c, "jobs:1")
	for i := range 6 {
		g.publish("jobs:1", numbered(i+1))
	}
	r.wait(t, 6)

	// Offline, the log loses its tail and gets another one: the same offsets with other stamps.
	g.mu.Lock()
	g.conns[0].subs = map[string]bool{}
	l := g.logs["jobs:1"]
	l.entries = l.entries[:5]
	g.mu.Unlock()
	for i := range 3 {
		g.publish("jobs:1", numbered(100+i))
	}
	g.conn(0).cut()
	r.wait(t, 9)
	require.Equal(t, append(upTo(6), 100, 101, 102), r.numbers())
	resets := listed(r, &r.resets)
	require.Len(t, resets, 1)
	require.Equal(t, wire.ReasonForked, resets[0].Reason)
	require.Equal(t, uint64(5), resets[0].Cursor.Offset)

	// Offline, retention passes the position.
	g.mu.Lock()
	g.conns[1].subs = map[string]bool{}
	g.mu.Unlock()
	for i := range 5 {
		g.publish("jobs:1", numbered(200+i))
	}
	g.mu.Lock()
	g.logs["jobs:1"].trimmed = 11 // offsets 9 to 13 are new
	g.mu.Unlock()
	g.conn(1).cut()
	r.wait(t, 11)
	require.Equal(t, []int64{203, 204}, r.numbers()[9:])
	resets = listed(r, &r.resets)
	require.Len(t, resets, 2)
	require.Equal(t, wire.ReasonTrimmed, resets[1].Reason)
	require.Equal(t, uint64(11), resets[1].Cursor.Offset)
	eventually(t, "the position", func() bool { pos, _ := s.Cursor(); return pos.Offset == 13 })
	require.Zero(t, c.Violations(), "an announced loss is no violation")
	require.Equal(t, uint64(2), c.Stats().Resets)
}

// TestForbiddenThenRefreshed loses the permission for a channel and gets it back with a token.
func TestForbiddenThenRefreshed(t *testing.T) {
	g := newFake(t, nil)
	c := start(t, g, func(o *Options) { o.Token = "old" })
	_, r := follow(t, c, "jobs:1")
	g.publish("jobs:1", numbered(1))
	r.wait(t, 1)
	conn := g.conn(0)
	g.mu.Lock()
	delete(conn.subs, "jobs:1")
	conn.sendLocked(wire.AppendReset(nil, "jobs:1", wire.ReasonForbidden, broker.Cursor{}, broker.Cursor{}))
	g.mu.Unlock()
	eventually(t, "the reset", func() bool { return counted(r, &r.resets) == 1 })
	g.publish("jobs:1", numbered(2))
	require.NoError(t, c.Refresh(within(t), "new"))
	r.wait(t, 2)
	require.Equal(t, upTo(2), r.numbers())
	require.Equal(t, wire.ReasonForbidden, listed(r, &r.resets)[0].Reason)
	g.mu.Lock()
	require.Equal(t, "new", conn.token)
	g.mu.Unlock()
}

func TestMoveOverlaps(t *testing.T) {
	release := make(chan struct{})
	g := newFake(t, nil)
	g.onFrame = func(c *fakeConn, f *wire.ClientFrame) bool {
		if c.n == 1 && f.Type == wire.TypeSubscribe {
			<-release // the second connection is slow to answer
		}
		return false
	}
	var mu sync.Mutex
	var states []State
	c := start(t, g, func(o *Options) {
		o.OnStatus = func(s Status) {
			mu.Lock()
			defer mu.Unlock()
			states = append(states, s.State)
		}
	})
	_, r := follow(t, c, "jobs:1")
	old := g.conn(0)
	old.send(wire.AppendMoving(nil, 0))
	next := g.conn(1)
	eventually(t, "the second connection", func() bool { return c.Stats().Connections == 2 })
	for i := range 20 { // the first connection still delivers
		g.publish("jobs:1", numbered(i+1))
	}
	r.wait(t, 20)
	close(release)
	eventually(t, "the first connection's end", func() bool {
		select {
		case <-old.done:
			return true
		default:
			return false
		}
	})
	g.publish("jobs:1", numbered(21))
	r.wait(t, 21)
	require.Equal(t, upTo(21), r.numbers())
	require.Equal(t, uint64(1), c.Stats().Moves)
	require.Zero(t, c.Violations())
	g.mu.Lock()
	require.Equal(t, old.session, next.session)
	g.mu.Unlock()
	mu.Lock()
	defer mu.Unlock()
	require.NotContains(t, states, StateDisconnected)
	require.Contains(t, states, StateMoving)
}

func TestChannelErrors(t *testing.T) {
	var asked atomic.Int32
	g := newFake(t, nil)
	g.onFrame = func(c *fakeConn, f *wire.ClientFrame) bool {
		if f.Type != wire.TypeSubscribe {
			return false
		}
		switch f.Channels[0].Channel {
		case "jobs:away":
			if asked.Add(1) <= 3 {
				c.fail(f.ID, "jobs:away", wire.CodeUnavailable)
				return true
			}
		case "jobs:closed":
			c.fail(f.ID, "jobs:closed", wire.CodeForbidden)
			return true
		case "jobs:limit": // the frame as a whole
			if asked.Add(1) <= 5 {
				c.fail(f.ID, "", wire.CodeRateLimited)
				return true
			}
		}
		return false
	}
	c := start(t, g, nil)
	_, r := follow(t, c, "jobs:away")
	require.Equal(t, 3, counted(r, &r.errs))
	var ce *ChannelError
	require.ErrorAs(t, listed(r, &r.errs)[0], &ce)
	require.True(t, ce.Retry)

	closed := &recorder{}
	s, err := c.Subscribe("jobs:closed", SubscribeOptions{Handler: closed.handler()})
	require.NoError(t, err)
	err = s.Ready(within(t))
	require.ErrorAs(t, err, &ce)
	require.Equal(t, wire.CodeForbidden, ce.Err.Code)

	asked.Store(3)
	_, r = follow(t, c, "jobs:limit")
	require.Equal(t, 2, counted(r, &r.errs))

	// Trouble while the channel is followed: asked for again, nothing is lost.
	g.mu.Lock()
	g.conns[0].subs = map[string]bool{}
	g.mu.Unlock()
	g.publish("jobs:limit", numbered(1))
	g.conn(0).fail(nil, "jobs:limit", wire.CodeUnavailable)
	r.wait(t, 1)
	require.Equal(t, uint64(1), c.Stats().Connections)
}
