package gateway

import (
	"bytes"
	"context"
	"errors"
	"io"
	"math/rand/v2"
	"sync"
	"sync/atomic"
	"time"

	"github.com/coder/websocket"

	"github.com/tallywire/tallywire/gateway/wire"
)

// webSocket is a WebSocket as the outlet of a connection, and the reader of what comes in through it.
type webSocket struct {
	conn     *conn
	ws       *websocket.Conn
	socket   *socket
	nextPing int64 // owned by the flusher
	// pinged is when the peer was pinged that has not answered yet, 0 for not; flusher clock.
	pinged atomic.Int64
	// measured is when the peer was last pinged only to see how long it takes; owned by the reader, flusher clock.
	measured int64
}

var _ outlet = (*webSocket)(nil)

// readLoop reads and handles messages until the connection ends.
func (w *webSocket) readLoop() {
	c := w.conn
	defer func() {
		_ = w.ws.CloseNow()
		c.teardown()
	}()
	defer c.survive()
	limit := c.gateway.options.Limits.Message
	w.ws.SetReadLimit(int64(limit) * 16)
	for {
		kind, r, err := w.ws.Reader(context.Background())
		if err != nil {
			return
		}
		buf := messagePool.Get().(*[]byte) //nolint:forcetypeassert // the pool holds nothing else
		msg, err := readMessage(r, (*buf)[:0], limit)
		switch {
		case err == nil && kind == websocket.MessageText:
			c.gateway.counters.BytesIn.Add(uint64(len(msg)))
			w.handle(msg)
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
				w.linger()
			}
			return
		}
		c.wait()
	}
}

// linger lets a peer whose message was too big, and that is still sending, see the close frame: to close a socket
// in which bytes are unread would discard what was written to it.
func (w *webSocket) linger() {
	c := w.conn
	c.why.CompareAndSwap(0, wire.CloseTooBig) // the library has said so
	c.closing.Store(true)
	c.flusher.call(func() { c.ended = true })
	_ = w.socket.SetReadDeadline(time.Now().Add(lingerTime))
	_, _ = io.Copy(io.Discard, w.socket)
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

// busyGap is how close together messages come from a peer whose reader may as well have a large stack.
const busyGap = int64(2 * time.Millisecond)

// handle handles a message, and keeps the reader's stack small while the peer is not busy: it then does
// so on another goroutine, and waits.
func (w *webSocket) handle(msg []byte) {
	c := w.conn
	now := c.flusher.clock()
	quiet := now-c.lastRead.Swap(now) > busyGap
	switch {
	case bytes.Equal(msg, wire.PongFrame):
		w.ponged(now)
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

// write implements outlet: it writes as much as the socket takes, and has a goroutine finish the rest.
func (w *webSocket) write(f *flusher, m message) {
	c, n := w.conn, &f.gateway.counters
	rest, result := f.writer.tryWrite(w.socket, m.framed)
	switch result {
	case wroteAll:
		c.lastWrite = f.pass
	case wroteSome, wroteNone:
		if result == wroteSome {
			n.Blocked.Add(1)
		}
		w.block(f, append([]byte(nil), rest...), w.socket.finish)
	case wroteBusy:
		w.block(f, append([]byte(nil), rest...), func(rest []byte, timeout time.Duration) error {
			w.socket.mu.Lock()
			return w.socket.finish(rest, timeout)
		})
	case wroteFail:
		c.abort()
		return
	}
	n.Messages.Add(1)
	n.Bytes.Add(uint64(len(m.framed)))
}

// block hands the rest of a frame to a goroutine; the connection is not written to until it is out.
func (w *webSocket) block(f *flusher, rest []byte, finish func([]byte, time.Duration) error) {
	c := w.conn
	c.block()
	c.gateway.conns.Add(1)
	go func() {
		defer c.gateway.conns.Done()
		err := finish(rest, c.gateway.options.Limits.WriteTimeout)
		if err != nil {
			c.writeFailed(err)
		}
		f.call(func() { f.unblock(c, err == nil) })
	}()
}

// tick implements outlet: it pings a peer that is silent, and gives up one that stays so.
func (w *webSocket) tick(f *flusher, silence int64) {
	c, ping := w.conn, f.gateway.options.Ping
	switch {
	case silence > int64(2*ping):
		c.why.CompareAndSwap(0, droppedSilent)
		c.abort()
	case silence > int64(ping) && f.pass > w.nextPing && c.deadline == 0:
		// Spread, so that connections that were made together are not pinged together for ever.
		w.nextPing = f.pass + int64(ping)/2 + rand.Int64N(int64(ping)/4)
		w.pinged.CompareAndSwap(0, f.pass)
		c.reply(func(b []byte) []byte { return append(b, wire.PingFrame...) })
	}
}

// measureEvery is how many ping intervals a peer that pings by itself, and so is never silent, is left alone.
const measureEvery = 4

// measures reports whether the peer is to be pinged beside the pong that it gets now.
func (w *webSocket) measures(now int64) bool {
	if now-max(w.measured, w.conn.since) < measureEvery*int64(w.conn.gateway.options.Ping) || !w.pinged.CompareAndSwap(0, now) {
		return false
	}
	w.measured = now
	return true
}

// ponged measures how long the peer took to answer, if it was asked.
func (w *webSocket) ponged(now int64) {
	if w.pinged.Load() == 0 {
		return
	}
	if at := w.pinged.Swap(0); at != 0 {
		w.conn.gateway.tally.ponged(time.Duration(now - at))
	}
}

// move implements outlet.
func (w *webSocket) move(after time.Duration) (overlap bool) {
	w.conn.reply(func(b []byte) []byte { return wire.AppendMoving(b, after.Milliseconds()) })
	return true
}

// close implements outlet.
func (w *webSocket) close(code int, reason string) {
	_ = w.ws.Close(websocket.StatusCode(code), reason)
}

// abort implements outlet.
func (w *webSocket) abort() { w.socket.drop() }
