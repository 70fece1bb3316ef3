package gateway

import (
	"container/heap"
	"context"
	"errors"
	"math/rand/v2"
	"sync"
	"time"

	"github.com/tallywire/tallywire/gateway/inspect"
	"github.com/tallywire/tallywire/gateway/wire"
)

// ErrDraining is returned for a drain while one is under way or done.
var ErrDraining = errors.New("the gateway is draining already")

// ErrEnding is returned for a drain, or the end of one, when the gateway is about to end.
var ErrEnding = errors.New("the gateway is ending")

// leaveAfter is how long after its time a client that was told to move may take at most until its connection
// is closed: to open the next one, resume, and close the old one itself.
const leaveAfter = 3 * time.Second

// Drain is how the connections of a gateway are moved away.
type Drain = inspect.Drain

// drainer drains a gateway: for an operator, who can take that back, or for good.
type drainer struct {
	gateway *Gateway
	force   chan struct{} // closed when the rest is to be closed at once

	mu      sync.Mutex         // guards the following
	cancel  context.CancelFunc // of the operator's drain; nil where there is none
	ended   chan struct{}      // closed when its goroutine has
	since   time.Time          // when the gateway became not ready
	through bool               // the operator's drain has come to its end by itself
	ending  bool               // for good
	forceOf sync.Once
}

// StartDrain implements inspect.Drainer.
func (g *Gateway) StartDrain(o Drain) error { return g.drainer.start(o) }

// UndoDrain implements inspect.Drainer.
func (g *Gateway) UndoDrain() error { return g.drainer.undo() }

// Force ends the drain of a gateway that is ending: what is left is closed at once.
func (g *Gateway) Force() {
	g.drainer.forceOf.Do(func() { close(g.drainer.force) })
}

func (d *drainer) start(o Drain) error {
	d.mu.Lock()
	defer d.mu.Unlock()
	switch {
	case d.ending:
		return ErrEnding
	case d.cancel != nil:
		return ErrDraining
	}
	ctx, cancel := context.WithCancel(context.Background())
	d.cancel, d.ended, d.since, d.through = cancel, make(chan struct{}), time.Now(), false
	d.gateway.leaving.Store(true)
	d.gateway.counters.Drains.Add(1)
	go func(ended chan struct{}) {
		defer close(ended)
		if d.run(ctx, o) {
			d.mu.Lock()
			d.through = true
			d.mu.Unlock()
		}
	}(d.ended)
	return nil
}

// stop ends the operator's drain, if there is one, and waits for that. midway is set when it was not at its end.
func (d *drainer) stop() (since time.Time, midway bool) {
	d.mu.Lock()
	cancel, ended, since := d.cancel, d.ended, d.since
	d.cancel = nil
	d.mu.Unlock()
	if cancel == nil {
		return time.Time{}, false
	}
	cancel()
	<-ended
	d.mu.Lock()
	defer d.mu.Unlock()
	return since, !d.through
}

func (d *drainer) undo() error {
	d.mu.Lock()
	ending, none := d.ending, d.cancel == nil
	d.mu.Unlock()
	switch {
	case ending:
		return ErrEnding
	case none:
		return nil
	}
	d.stop()
	g := d.gateway
	for _, f := range g.flushers {
		f.call(func() {
			for _, c := range f.conns {
				c.leave = 0
			}
		})
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.ending || d.cancel != nil {
		return nil // another one has begun meanwhile
	}
	g.takeNew()
	g.leaving.Store(false)
	g.counters.DrainsUndone.Add(1)
	g.options.Log.Info().Str("event", "drain_undone").Msg("the gateway takes connections again")
	return nil
}

// finish drains for good and closes what is left.
func (d *drainer) finish(o Drain) {
	d.mu.Lock()
	d.ending = true
	d.mu.Unlock()
	since, midway := d.stop()
	n := &d.gateway.counters
	if !midway { // otherwise the same drain goes on
		n.Drains.Add(1)
	}
	d.gateway.leaving.Store(true)
	if !since.IsZero() { // load balancers know since then
		o.Wait = max(0, o.Wait-time.Since(since))
	}
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	stopped := make(chan struct{})
	go func() {
		defer close(stopped)
		select {
		case <-d.force:
			cancel()
		case <-ctx.Done():
		}
	}()
	if !d.run(ctx, o) {
		n.DrainsForced.Add(1)
	}
	cancel()
	<-stopped
	d.gateway.closeAll()
}

// abandon ends what an operator began, for good, and drains nothing.
func (d *drainer) abandon() {
	d.mu.Lock()
	d.ending = true
	d.mu.Unlock()
	d.stop()
}

// run drains until nobody is left, the time is over, or ctx ends. through is set unless it was ctx.
func (d *drainer) run(ctx context.Context, o Drain) (through bool) {
	g := d.gateway
	began := time.Now()
	g.options.Log.Info().Str("event", "drain_started").Dur("wait_ms", o.Wait).Dur("window_ms", o.Window).
		Int64("connections", g.open.Load()).Msg("draining")
	if !pause(ctx, o.Wait) {
		return false
	}
	g.refuseNew()
	before := g.open.Load()
	g.moveAll(o.Window)
	patience := time.NewTimer(o.Window + leaveAfter + time.Second)
	defer patience.Stop()
	look := time.NewTicker(20 * time.Millisecond)
	defer look.Stop()
	say := time.NewTicker(drainReport)
	defer say.Stop()
	for g.open.Load() > 0 {
		select {
		case <-look.C:
			continue
		case <-say.C:
			g.options.Log.Info().Str("event", "draining").Int64("left", g.open.Load()).Int64("before", before).
				Dur("took_ms", time.Since(began)).Msg("draining")
			continue
		case <-patience.C:
		case <-ctx.Done():
		}
		break
	}
	g.options.Log.Info().Str("event", "drain_ended").Int64("left", g.open.Load()).Int64("before", before).
		Dur("took_ms", time.Since(began)).Msg("drained")
	if through = ctx.Err() == nil; through {
		g.counters.DrainsEnded.Add(1)
	}
	return through
}

// drainReport is how often the log says what is left.
const drainReport = 5 * time.Second

// pause waits, and reports whether ctx did not end meanwhile.
func pause(ctx context.Context, d time.Duration) bool {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return true
	case <-ctx.Done():
		return false
	}
}

// moveAll tells every connection to move, each in its own part of the window: clients that obey reconnect
// at an even pace, and so are those closed that do not.
func (g *Gateway) moveAll(window time.Duration) {
	for _, f := range g.flushers {
		f.call(func() {
			if len(f.conns) == 0 {
				return
			}
			overlap := min(leaveAfter, window)
			part := float64(window) / float64(len(f.conns))
			for i, c := range f.conns {
				c.move(time.Duration((float64(i)+rand.Float64())*part), overlap) //nolint:gosec // jitter
			}
		})
	}
}

// move tells the client to open its next connection after a time, and closes this one when both have
// overlapped long enough. It is called in the flusher's goroutine.
func (c *conn) move(after, overlap time.Duration) {
	if c.transport == transportCommands || c.closing.Load() || c.leave != 0 {
		return
	}
	c.gateway.counters.Moved.Add(1)
	c.leave = c.flusher.pass + int64(after)
	if c.out.move(after) {
		c.leave += int64(overlap)
	}
	heap.Push(&c.flusher.later, later{at: c.leave, conn: c, leave: true})
}

// overdue closes a connection whose time to leave has come.
func (c *conn) overdue() {
	c.leave = 0
	c.gateway.counters.Leftovers.Add(1)
	c.shut(wire.CloseRestart, "gateway is restarting")
}

// forcedClose is how long a peer gets to answer its close frame when nobody wants to wait.
const forcedClose = 500 * time.Millisecond

// awaitConnections waits until all connections have ended. Once it is forced, those that take their time are cut
// off.
func (g *Gateway) awaitConnections() {
	gone := make(chan struct{})
	go func() {
		defer close(gone)
		g.conns.Wait()
	}()
	select {
	case <-gone:
		return
	case <-g.drainer.force:
	}
	patience := time.NewTimer(forcedClose)
	defer patience.Stop()
	select {
	case <-gone:
		return
	case <-patience.C:
	}
	for _, f := range g.flushers {
		f.call(func() {
			for _, c := range f.conns {
				c.abort()
			}
		})
	}
	<-gone
}

// closeAll closes every connection with 1012, and what is kept of sessions between their requests.
func (g *Gateway) closeAll() {
	g.refuseNew()
	for _, f := range g.flushers {
		f.call(func() {
			f.stopped = true
			for _, c := range f.conns {
				c.shut(wire.CloseRestart, "gateway is restarting")
			}
		})
	}
}
