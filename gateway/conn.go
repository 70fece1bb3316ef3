package gateway

import (
	"bytes"
	"context"
	"errors"
	"io"
	"net"
	"runtime/debug"
	"sync"
	"sync/atomic"
	"time"

	"github.com/coder/websocket"

	"github.com/tallywire/tallywire/gateway/wire"
)

// conn is one WebSocket. Its reader goroutine runs readLoop; its flusher owns the write side.
type conn struct {
	// Static.
	gateway *Gateway
	flusher *flusher
	ws      *websocket.Conn
	socket  *socket
	remote  string
	agent   string // User-Agent, clipped
	since   int64  // flusher clock

	told    atomic.Bool // the directory is about to be told of the session
	session session

	lastRead atomic.Int64 // flusher clock
	queued   atomic.Bool  // in flusher.ready
	closing  atomic.Bool
	behind   atomic.Bool // its session waits for room to be told of members

	mu       sync.Mutex // guards the following
	outbox   []byte     // frames to write, joined by commas
	inflight int        // publishes and openings of channels that the store has not answered
	throttle chan struct{}

	// Owned by the flusher.
	index     int // in flusher.conns
	dirty     []*subscription
	inSet     bool // in flusher.set
	blocked   bool // a goroutine is finishing a frame
	removed   bool
	ended     bool // nothing more is written
	degraded  bool // the client was told that events are late
	lastWrite int64
	due       int64 // when flusher.later has it, 0 when it has not
	nextPing  int64
	deadline  int64 // for `connect`; 0 once connected
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
	if c.throttle != nil && (!c.fullLocked() || c.closing.Load()) {
		close(c.throttle)
		c.throttle = nil
	}
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

// readLoop reads and handles messages until the connection ends.
func (c *conn) readLoop() {
	defer c.teardown()
	defer c.survive()
	limit := c.gateway.options.Limits.Message
	c.ws.SetReadLimit(int64(limit) * 16)
	for {
		kind, r, err := c.ws.Reader(context.Background())
		if err != nil {
			return
		}
		buf := messagePool.Get().(*[]byte) //nolint:forcetypeassert // the pool holds nothing else
		msg, err := readMessage(r, (*buf)[:0], limit)
		switch {
		case err == nil && kind == websocket.MessageText:
			c.handle(msg)
		case err == nil:
			c.lastRead.Store(c.flusher.clock())
			c.session.fail(nil, wire.Errorf(wire.CodeInvalidFrame, "messages are text, not binary"))
		case errors.Is(err, errTooLarge):
			c.lastRead.Store(c.flusher.clock())
			c.session.fail(nil, wire.Errorf(wire.CodeFrameTooLarge, "the message is larger than the limit"))
		}
		if cap(msg) <= 2*limit {
			*buf = msg
			messagePool.Put(buf)
		}
		if err != nil && !errors.Is(err, errTooLarge) {
			if errors.Is(err, websocket.ErrMessageTooBig) {
				c.linger()
			}
			return
		}
		c.wait()
	}
}

// linger lets a peer that is still sending see the close frame: to close a socket in which bytes are
// unread would discard what was written to it.
func (c *conn) linger() {
	c.closing.Store(true)
	c.flusher.call(func() { c.ended = true })
	_ = c.socket.SetReadDeadline(time.Now().Add(lingerTime))
	_, _ = io.Copy(io.Discard, c.socket)
}

const lingerTime = 2 * time.Second

var messagePool = sync.Pool{New: func() any { b := make([]byte, 0, 1024); return &b }}

var errTooLarge = errors.New("message too large")

// readMessage reads a message into buf. One that is larger than limit is read to its end and refused.
func readMessage(r io.Reader, buf []byte, limit int) ([]byte, error) {
	for {
		if len(buf) == cap(buf) {
			if len(buf) > limit {
				if _, err := io.Copy(io.Discard, r); err != nil {
					return buf, err //nolint:wrapcheck // internal
				}
				return buf, errTooLarge
			}
			buf = append(buf, 0)[:len(buf)]
		}
		n, err := r.Read(buf[len(buf):min(cap(buf), limit+1)])
		buf = buf[:len(buf)+n]
		switch {
		case errors.Is(err, io.EOF):
			if len(buf) > limit {
				return buf, errTooLarge
			}
			return buf, nil
		case err != nil:
			return buf, err //nolint:wrapcheck // internal
		case len(buf) > limit:
			if _, err := io.Copy(io.Discard, r); err != nil {
				return buf, err //nolint:wrapcheck // internal
			}
			return buf, errTooLarge
		}
	}
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

// busyGap is how close together messages come from a peer whose reader may as well have a large stack.
const busyGap = int64(2 * time.Millisecond)

// handle handles a message, and keeps the reader's stack small while the peer is not busy: it then does
// so on another goroutine, and waits.
func (c *conn) handle(msg []byte) {
	now := c.flusher.clock()
	quiet := now-c.lastRead.Swap(now) > busyGap
	switch {
	case bytes.Equal(msg, wire.PongFrame):
	case quiet || c.session.principal.Load() == nil:
		done := make(chan struct{})
		go func() {
			defer close(done)
			defer c.survive()
			c.session.message(msg)
		}()
		<-done
	default:
		c.session.message(msg)
	}
}

// shut closes the connection with a code, after what the outbox holds. No event and no command gets
// through any more. It does not wait.
func (c *conn) shut(code int, reason string) {
	if c.closing.Swap(true) {
		return
	}
	c.mu.Lock()
	c.releaseLocked()
	c.mu.Unlock()
	c.gateway.conns.Add(1)
	c.flusher.call(func() {
		c.dirty = nil
		c.flusher.flush(c)
		c.ended = true
		go func() {
			defer c.gateway.conns.Done()
			_ = c.ws.Close(websocket.StatusCode(code), reason)
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
	_ = c.socket.Close()
}

// teardown ends the connection's session. It runs once, at the end of the reader.
func (c *conn) teardown() {
	c.closing.Store(true)
	_ = c.ws.CloseNow()
	c.session.end()
	c.gateway.open.Add(-1)
	c.flusher.call(func() {
		c.flusher.remove(c)
		c.gateway.conns.Done() // so that whoever finds c at its flusher knows that Run still waits
	})
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
