package gateway

import (
	"context"
	"errors"
	mathrand "math/rand/v2"
	"net"
	"runtime/debug"
	"strings"
	"sync"
	"sync/atomic"

	"github.com/tallywire/tallywire/gateway/wire"
)

// conn is one connection of a client: its reader, a goroutine of the transport, handles what the client
// sends; its flusher owns the write side, which ends in the transport's outlet.
type conn struct {
	// Static.
	gateway   *Gateway
	flusher   *flusher
	out       outlet
	transport transport
	remote    string
	agent     string // User-Agent, clipped
	since     int64  // flusher clock

	told    atomic.Bool // the directory is about to be told of the session
	listed  atomic.Bool // it was told
	session session

	lastRead atomic.Int64 // flusher clock
	queued   atomic.Bool  // in flusher.ready
	closing  atomic.Bool
	why      atomic.Int32 // why it ends: a close code or one of ours; 0 for the peer
	behind   atomic.Bool  // its session waits for room to be told of members

	mu       sync.Mutex // guards the following
	outbox   []byte     // frames to write, joined by commas
	inflight int        // publishes and openings of channels that the store has not answered
	throttle chan struct{}
	calmed   chan struct{} // closed when inflight is 0, if somebody waits for that

	// Owned by the flusher.
	index     int // in flusher.conns
	dirty     []*subscription
	inSet     bool // in flusher.set
	blocked   bool // a goroutine is finishing a frame
	removed   bool
	last      bool // what is written now is the last
	ended     bool // nothing more is written
	degraded  bool // the client was told that events are late
	lastWrite int64
	due       int64  // when flusher.later has it, 0 when it has not
	deadline  int64  // for `connect`; 0 once connected
	leave     int64  // when it is closed, since its client was told to move; 0 for never
	retire    int64  // when it has lasted as long as it may; 0 for never
	pending   int    // channels of a poll that are being opened; nothing is written before they are
	idle      func() // called when there was nothing to write, if set
}

// newConn returns a connection that no flusher serves yet.
func (g *Gateway) newConn(t transport, out outlet, remote, agent string) *conn {
	f := g.flushers[g.next.Add(1)%uint64(len(g.flushers))]
	now := f.clock()
	c := &conn{
		gateway: g, flusher: f, out: out, transport: t, since: now,
		remote: remote, agent: strings.Clone(agent[:min(len(agent), maxAgent)]),
	}
	c.session = session{conn: c, tokens: float64(g.options.Limits.Commands), filled: now, since: now}
	c.lastRead.Store(now)
	n := g.tally.transports[t]
	n.open.Add(1)
	n.accepted.Add(1)
	if age := g.options.MaxConnectionAge; age > 0 && (t == transportWebSocket || t == transportSSE) {
		c.retire = now + int64(age) - int64(age)/10 + mathrand.Int64N(int64(age)/5+1)
	}
	return c
}

// maxOutbox is how many bytes of answers may wait before the connection is not read from.
const maxOutbox = 64 << 10

// reply appends frames to the outbox and has them written. It never blocks.
func (c *conn) reply(appendFrame func([]byte) []byte) {
	c.mu.Lock()
	c.appendLocked(appendFrame)
	c.mu.Unlock()
	c.flusher.enqueue(c)
}

// hasRoom reports whether little enough waits for the client that more can be added without need.
func (c *conn) hasRoom() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return len(c.outbox) < maxOutbox/2
}

// tell is reply for a frame that the client can do without: it returns false, having done nothing, when
// too much waits already.
func (c *conn) tell(frame []byte) bool {
	c.mu.Lock()
	if len(c.outbox)+len(frame) > maxOutbox {
		c.mu.Unlock()
		return false
	}
	c.appendLocked(func(b []byte) []byte { return append(b, frame...) })
	c.mu.Unlock()
	c.flusher.enqueue(c)
	return true
}

// awaitRoom has the session resumed once what waits for the client is taken, also when it was meanwhile.
func (c *conn) awaitRoom() {
	c.behind.Store(true)
	c.flusher.enqueue(c)
}

func (c *conn) appendLocked(appendFrame func([]byte) []byte) {
	if len(c.outbox) > 0 {
		c.outbox = append(c.outbox, ',')
	} else if c.outbox == nil {
		c.outbox = (*outboxPool.Get().(*[]byte))[:0] //nolint:forcetypeassert // the pool holds nothing else
	}
	c.outbox = appendFrame(c.outbox)
}

// takeOutbox returns the frames that wait, and lets the reader go on.
func (c *conn) takeOutbox() []byte {
	c.mu.Lock()
	defer c.mu.Unlock()
	out := c.outbox
	c.outbox = nil
	c.releaseLocked()
	return out
}

var outboxPool = sync.Pool{New: func() any { b := make([]byte, 0, 512); return &b }}

func recycle(outbox []byte) {
	if cap(outbox) > 0 && cap(outbox) <= 2*maxOutbox {
		outboxPool.Put(&outbox)
	}
}

// begin counts publishes, or channels being opened, that are on their way to the store.
func (c *conn) begin(n int) {
	c.mu.Lock()
	c.inflight += n
	c.mu.Unlock()
}

// end answers a publish.
func (c *conn) end(appendFrame func([]byte) []byte) {
	c.mu.Lock()
	c.inflight--
	c.appendLocked(appendFrame)
	c.releaseLocked()
	c.mu.Unlock()
	c.flusher.enqueue(c)
}

func (c *conn) fullLocked() bool {
	return len(c.outbox) > maxOutbox || c.inflight >= c.gateway.options.Limits.Inflight
}

func (c *conn) releaseLocked() {
	if c.calmed != nil && c.inflight == 0 {
		close(c.calmed)
		c.calmed = nil
	}
	if c.throttle != nil && (!c.fullLocked() || c.closing.Load()) {
		close(c.throttle)
		c.throttle = nil
	}
}

// calm waits until everything that was asked for is answered, and reports whether it is.
func (c *conn) calm(ctx context.Context) bool {
	for {
		c.mu.Lock()
		if c.inflight == 0 {
			c.mu.Unlock()
			return true
		}
		if c.calmed == nil {
			c.calmed = make(chan struct{})
		}
		ch := c.calmed
		c.mu.Unlock()
		select {
		case <-ch:
		case <-ctx.Done():
			return false
		}
	}
}

// awaits returns how many things have to come before a connection's first message for each that it asks
// for: only the answer to a poll waits.
func (c *conn) awaits() int {
	if c.transport == transportPoll {
		return 1
	}
	return 0
}

// opened notes that a channel of a poll was opened, or what refuses it, or that its members were sent.
func (c *conn) opened(refused *wire.Error) {
	p, ok := c.out.(*poll)
	if !ok {
		return
	}
	c.flusher.call(func() {
		if refused != nil {
			p.refuse(refused)
		}
		c.pending--
		c.flusher.include(c)
	})
}

// wait holds the reader back while too much of what it asked for is unanswered.
func (c *conn) wait() {
	c.mu.Lock()
	for c.fullLocked() && !c.closing.Load() {
		if c.throttle == nil {
			c.throttle = make(chan struct{})
		}
		ch := c.throttle
		c.mu.Unlock()
		<-ch
		c.mu.Lock()
	}
	c.mu.Unlock()
}

// survive keeps a panic of one connection from taking the process: it ends the connection, since the
// client waits for an answer that does not come.
func (c *conn) survive() {
	if p := recover(); p != nil {
		c.gateway.counters.Panics.Add(1)
		c.gateway.options.Log.Error().Str("event", "connection_panic").Interface("panic", p).
			Bytes("stack", debug.Stack()).Msg("panic in a connection")
		c.shut(wire.CloseInternal, string(wire.CodeInternal))
	}
}

// shut closes the connection with a code, after what the outbox holds. No event and no command gets
// through any more. It does not wait.
func (c *conn) shut(code int, reason string) {
	if c.closing.Swap(true) {
		return
	}
	c.why.CompareAndSwap(0, int32(code)) //nolint:gosec // a close code
	c.mu.Lock()
	c.releaseLocked()
	c.mu.Unlock()
	c.gateway.conns.Add(1)
	c.flusher.call(func() {
		c.dirty, c.pending, c.last = nil, 0, true
		c.flusher.flush(c)
		c.ended = true
		go func() {
			defer c.gateway.conns.Done()
			c.out.close(code, reason)
		}()
	})
}

// abort closes the connection without a word.
func (c *conn) abort() {
	if !c.closing.Swap(true) {
		c.mu.Lock()
		c.releaseLocked()
		c.mu.Unlock()
	}
	c.out.abort()
}

// teardown ends the connection's session. It runs once, at the end of the reader.
func (c *conn) teardown() {
	c.closing.Store(true)
	c.out.abort()
	c.session.end()
	t := c.gateway.tally.transports[c.transport]
	t.open.Add(-1)
	if c.transport != transportCommands {
		c.gateway.open.Add(-1)
	}
	if c.transport == transportWebSocket || c.transport == transportSSE { // a poll ends when it is answered
		c.gateway.tally.ended(int(c.why.Load()))
		c.logEnded()
	}
	c.flusher.call(func() {
		c.flusher.remove(c)
		c.gateway.conns.Done() // so that whoever finds c at its flusher knows that Run still waits
	})
}

// block keeps the connection from being written to. The pages that its subscriptions hold are let go. It
// is called in the flusher's goroutine.
func (c *conn) block() {
	c.blocked = true
	for _, s := range c.dirty {
		s.page = nil
	}
}

// writeFailed ends a connection that cannot be written to.
func (c *conn) writeFailed(err error) {
	if timedOut(err) {
		c.why.CompareAndSwap(0, droppedSlow)
		c.gateway.counters.SlowConsumers.Add(1)
		c.gateway.options.Log.Info().Str("event", "slow_consumer").Str("remote", c.remote).
			Msg("connection closed: it did not read")
	}
	c.abort()
}

// timedOut reports whether a write failed because the peer did not read.
func timedOut(err error) bool {
	var ne net.Error
	return errors.As(err, &ne) && ne.Timeout()
}

// endQuietly ends a publish that is not answered, or the opening of a channel.
func (c *conn) endQuietly() {
	c.mu.Lock()
	c.inflight--
	c.releaseLocked()
	c.mu.Unlock()
}
