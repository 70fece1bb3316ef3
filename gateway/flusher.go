package gateway

import (
	"container/heap"
	"context"
	"sync"
	"time"

	"github.com/tallywire/tallywire/broker"
	"github.com/tallywire/tallywire/gateway/inspect"
	"github.com/tallywire/tallywire/gateway/wire"
	"github.com/tallywire/tallywire/namespace"
)

// flusher writes to its share of the connections. One goroutine, run, owns everything that is not
// guarded by mu; others reach it through enqueue, enqueueTap and call.
type flusher struct {
	gateway *Gateway
	epoch   time.Time
	wake    chan struct{} // capacity 1
	ended   chan struct{} // closed when run returns

	mu    sync.Mutex // guards the following
	ready []*conn    // connections with answers to write
	taps  []*tap     // relays with something new
	calls []func()   // work that needs what run owns

	// Owned by run.
	conns     []*conn
	byRelay   map[string]*tap
	set       []*conn // to be flushed in this pass
	later     laterHeap
	nextSweep int64
	pass      int64 // the time of this pass
	writer    *writer
	scratch   []byte
	micros    int64 // microseconds since 1970 at this pass
	lag       timing
	fanout    timing
	batch     Histogram
	passages  map[*namespace.Options]*passage
	delivered bool // events, in this pass
	stopped   bool
	spare     struct { // the other halves of double buffers
		ready []*conn
		taps  []*tap
		calls []func()
		set   []*conn
	}
}

// sweepEvery is how often deadlines, tokens and silence are looked at.
const sweepEvery = int64(500 * time.Millisecond)

func newFlusher(g *Gateway) *flusher {
	return &flusher{
		gateway: g, epoch: time.Now(), wake: make(chan struct{}, 1), ended: make(chan struct{}),
		byRelay: map[string]*tap{}, writer: newWriter(), passages: map[*namespace.Options]*passage{},
		lag: newTiming(lagBounds), fanout: newTiming(fanoutBounds), batch: newHistogram(batchBounds),
	}
}

// clock returns the monotonic time in nanoseconds since the flusher was made.
func (f *flusher) clock() int64 { return int64(time.Since(f.epoch)) }

// wall returns the time of day at a time of the flusher's clock.
func (f *flusher) wall(at int64) time.Time { return f.epoch.Add(time.Duration(at)).Round(0) }

// ask runs fn in the flusher's goroutine and waits for it. It does nothing when the flusher has ended.
func (f *flusher) ask(fn func()) {
	done := make(chan struct{})
	f.call(func() {
		defer close(done)
		fn()
	})
	select {
	case <-done:
	case <-f.ended:
	}
}

func (f *flusher) signal() {
	select {
	case f.wake <- struct{}{}:
	default:
	}
}

// enqueue has a connection flushed.
func (f *flusher) enqueue(c *conn) {
	if c.queued.Swap(true) {
		return
	}
	f.mu.Lock()
	f.ready = append(f.ready, c)
	f.mu.Unlock()
	f.signal()
}

func (f *flusher) enqueueTap(t *tap) {
	f.mu.Lock()
	f.taps = append(f.taps, t)
	f.mu.Unlock()
	f.signal()
}

// call runs fn in the flusher's goroutine, after the calls before it.
func (f *flusher) call(fn func()) {
	f.mu.Lock()
	f.calls = append(f.calls, fn)
	f.mu.Unlock()
	f.signal()
}

// run serves until ctx ends.
func (f *flusher) run(ctx context.Context) {
	defer close(f.ended)
	timer := time.NewTimer(time.Hour)
	defer timer.Stop()
	f.nextSweep = f.clock() + sweepEvery
	for {
		f.once()
		if len(f.set) == 0 {
			next := f.nextSweep
			if len(f.later) > 0 {
				next = min(next, f.later[0].at)
			}
			timer.Reset(time.Duration(max(next-f.clock(), 0)))
			select {
			case <-f.wake:
			case <-timer.C:
			case <-ctx.Done():
				f.once() // calls that were made before the end
				return
			}
		} else if ctx.Err() != nil {
			return
		}
	}
}

// once is one pass: it takes what came in, decides who is to be written to, and writes.
func (f *flusher) once() {
	f.mu.Lock()
	ready, taps, calls := f.ready, f.taps, f.calls
	f.ready, f.taps, f.calls = f.spare.ready[:0], f.spare.taps[:0], f.spare.calls[:0]
	f.mu.Unlock()
	f.pass = f.clock()
	for _, fn := range calls {
		fn()
	}
	for _, t := range taps {
		t.queued.Store(false)
		f.serve(t)
	}
	for len(f.later) > 0 && f.later[0].at <= f.pass {
		switch l := heap.Pop(&f.later).(later); { //nolint:forcetypeassert // the heap holds nothing else
		case l.leave:
			if l.conn.leave == l.at && !l.conn.removed {
				l.conn.overdue()
			}
		case l.tap != nil:
			l.tap.due = false
			f.serve(l.tap)
		case l.conn.due == l.at:
			l.conn.due = 0
			f.include(l.conn)
		}
	}
	for _, c := range ready {
		c.queued.Store(false)
		f.include(c)
	}
	if f.pass >= f.nextSweep {
		f.sweep(f.pass)
		f.nextSweep = f.pass + sweepEvery
	}
	clear(ready)
	clear(taps)
	clear(calls)
	f.spare.ready, f.spare.taps, f.spare.calls = ready, taps, calls
	set := f.set
	f.set = f.spare.set[:0]
	if len(set) > 0 {
		f.micros = time.Now().UnixMicro()
	}
	f.delivered = false
	for _, c := range set {
		c.inSet = false
		f.flush(c)
	}
	if f.delivered {
		f.fanout.observe(time.Duration(f.clock() - f.pass).Seconds())
	}
	clear(set)
	f.spare.set = set
}

// serve marks the subscriptions of a tap for this pass, or for the end of the flush interval when the
// last time is not long enough ago.
func (f *flusher) serve(t *tap) {
	if wait := t.lastFlush + t.flush - f.pass; wait > 0 {
		if !t.due {
			t.due = true
			heap.Push(&f.later, later{at: f.pass + wait, tap: t})
		}
		return
	}
	t.lastFlush = f.pass
	for _, s := range t.subs {
		f.mark(s)
	}
}

// mark has a subscription served when its connection is next flushed.
func (f *flusher) mark(s *subscription) {
	if s.dirty || s.fetching {
		return
	}
	s.dirty = true
	c := s.conn
	c.dirty = append(c.dirty, s)
	if wait := c.lastWrite + s.tap.flush - f.pass; wait > 0 && !c.inSet {
		f.postpone(c, f.pass+wait)
		return
	}
	f.include(c)
}

// postpone has a busy connection collect what comes until a time.
func (f *flusher) postpone(c *conn, at int64) {
	if c.due == 0 || at < c.due { // an earlier time makes the later one void
		c.due = at
		heap.Push(&f.later, later{at: at, conn: c})
	}
}

// include has a connection flushed in this pass.
func (f *flusher) include(c *conn) {
	if !c.inSet {
		c.inSet = true
		f.set = append(f.set, c)
	}
}

// add takes over a new connection.
func (f *flusher) add(c *conn) {
	c.index = len(f.conns)
	f.conns = append(f.conns, c)
	if f.stopped {
		c.shut(wire.CloseRestart, "gateway is restarting")
	}
}

// remove forgets a connection. Its session has ended.
func (f *flusher) remove(c *conn) {
	if c.removed {
		return
	}
	c.removed = true
	last := len(f.conns) - 1
	f.conns[c.index] = f.conns[last]
	f.conns[c.index].index = c.index
	f.conns[last] = nil
	f.conns = f.conns[:last]
	c.dirty = nil
	recycle(c.takeOutbox())
}

// attach begins to serve a subscription from its position.
func (f *flusher) attach(s *subscription) {
	t := f.byRelay[s.channel]
	if t == nil || t.relay != s.relay {
		ns := s.relay.Namespace()
		if f.passages[ns] == nil {
			f.passages[ns] = &passage{}
		}
		t = &tap{flusher: f, relay: s.relay, flush: int64(ns.Flush), passage: f.passages[ns], lastFlush: -1 << 62}
		t.stop = s.relay.Listen(t)
		f.byRelay[s.channel] = t
	}
	s.tap = t
	s.from, s.since = s.pos.Cursor, f.pass
	f.gateway.subscriptions.Add(1)
	s.tapIndex = len(t.subs)
	t.subs = append(t.subs, s)
	s.dirty = true
	s.conn.dirty = append(s.conn.dirty, s)
	f.include(s.conn)
}

// detach ends it, for good.
func (f *flusher) detach(s *subscription) {
	s.ended = true
	t := s.tap
	if t == nil {
		return
	}
	s.tap = nil
	f.gateway.subscriptions.Add(-1)
	f.record(s, inspect.Delivered, s.from, s.pos.Cursor, "")
	last := len(t.subs) - 1
	t.subs[s.tapIndex] = t.subs[last]
	t.subs[s.tapIndex].tapIndex = s.tapIndex
	t.subs[last] = nil
	t.subs = t.subs[:last]
	if last == 0 {
		t.stop()
		if f.byRelay[s.channel] == t {
			delete(f.byRelay, s.channel)
		}
	}
}

// record remembers what became of a part of a channel for a session.
func (f *flusher) record(s *subscription, o inspect.Outcome, from, to broker.Cursor, detail string) {
	p := s.conn.session.principal.Load()
	f.gateway.traces.add(record{
		user: p.User, session: s.conn.session.id, channel: s.channel, outcome: o, from: from, to: to,
		end: time.Now(), detail: detail,
	})
}

// announceHealth tells every connection that events are late, or not any more.
func (f *flusher) announceHealth(h broker.Health) {
	for _, c := range f.conns {
		if c.deadline == 0 {
			f.tellHealth(c, h)
		}
	}
	if h.OK {
		for _, t := range f.byRelay {
			f.serve(t) // those whose fetch failed
		}
	}
}

// tellHealth tells a connection unless it knows.
func (f *flusher) tellHealth(c *conn, h broker.Health) {
	if c.degraded == !h.OK || c.transport == transportPoll || c.transport == transportCommands {
		return // the answer to a poll says how things are then
	}
	c.degraded = !h.OK
	c.reply(func(b []byte) []byte { return wire.AppendDegraded(b, !h.OK, h.Reason, h.Since.UnixMilli()) })
}

// later is something to do at a time.
type later struct {
	at    int64
	tap   *tap
	conn  *conn
	leave bool // the connection is to be closed
}

// laterHeap implements heap.Interface, earliest first.
type laterHeap []later

func (h laterHeap) Len() int           { return len(h) }
func (h laterHeap) Less(i, j int) bool { return h[i].at < h[j].at }
func (h laterHeap) Swap(i, j int)      { h[i], h[j] = h[j], h[i] }

// Push implements heap.Interface.
func (h *laterHeap) Push(x any) { *h = append(*h, x.(later)) } //nolint:forcetypeassert // as above

// Pop implements heap.Interface.
func (h *laterHeap) Pop() any {
	old := *h
	x := old[len(old)-1]
	old[len(old)-1] = later{}
	*h = old[:len(old)-1]
	return x
}
