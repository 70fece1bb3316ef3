package gateway

import (
	"bytes"
	"fmt"
	"math/rand/v2"
	"net/http"
	"strconv"
	"time"

	"github.com/labstack/echo/v4"

	"github.com/tallywire/tallywire/gateway/wire"
)

// eventStream is an event stream (text/event-stream) as the outlet of a connection. The goroutine of its
// request, stream, writes what the flusher puts into the mailbox.
type eventStream struct {
	*mailbox
	hint   int   // owned by the flusher: milliseconds before the next connection, to be told with the next message
	beatAt int64 // owned by the flusher: when the next heartbeat is due
}

var _ outlet = (*eventStream)(nil)

const (
	mimeEventStream   = "text/event-stream"
	headerLastEventID = "Last-Event-ID"
	// heartbeat is the longest silence of a stream, shorter than proxies' patience.
	heartbeat = 15 * time.Second
)

// sse handles GET and POST /v1/sse.
func (g *Gateway) sse(e echo.Context) error {
	r, err := g.readStream(e)
	if err != nil {
		return err
	}
	if id := e.Request().Header.Get(headerLastEventID); id != "" {
		if err := r.resume(id); err != nil {
			return err
		}
	}
	if len(r.Present) > 0 {
		return &wire.Error{
			Code: wire.CodeInvalidRequest, Message: "present: is a poll's; over an event stream send `presence` to /v1/commands", Path: "/present",
		}
	}
	if !g.arrivals.Allow() || !g.admitConnection() {
		return g.full(e, transportSSE)
	}
	s := &eventStream{mailbox: newMailbox(r.places)}
	c := g.newConn(transportSSE, s, e.RealIP(), e.Request().UserAgent())
	s.conn = c
	defer c.teardown()
	c.start(r)
	return s.stream(e)
}

// stream writes until the stream ends. It never leaves an error to be answered: the answer has begun.
func (s *eventStream) stream(e echo.Context) error {
	c := s.conn
	w, rc := e.Response(), http.NewResponseController(e.Response())
	h := w.Header()
	h.Set(echo.HeaderContentType, mimeEventStream)
	h.Set(echo.HeaderCacheControl, "no-store")
	h.Set("X-Accel-Buffering", "no") // nginx would hold events back
	w.WriteHeader(http.StatusOK)
	var buf bytes.Buffer
	send := func() bool {
		_ = rc.SetWriteDeadline(time.Now().Add(c.gateway.options.Limits.WriteTimeout))
		_, err := w.Write(buf.Bytes())
		if err == nil {
			err = rc.Flush()
		}
		_ = rc.SetWriteDeadline(time.Time{}) // over HTTP/2 it would end the stream although nothing is being written
		buf.Reset()
		if err != nil {
			c.writeFailed(err)
		}
		return err == nil
	}
	// A browser that loses the stream waits so long; jitter, lest all come back at once.
	fmt.Fprintf(&buf, "retry: %d\n\n", 1000+rand.IntN(2000)) //nolint:gosec // jitter
	if !send() {
		return nil
	}
	for {
		select {
		case l := <-s.box:
			appendLetter(&buf, l)
			ok := send()
			c.flusher.call(func() { c.flusher.unblock(c, ok) })
			if !ok {
				return nil
			}
		case <-s.end:
			s.farewell(&buf)
			send()
			return nil
		case <-s.gone:
			return nil
		case <-e.Request().Context().Done():
			return nil
		}
	}
}

// farewell writes what is left to say. An answer that found the client busy is told without a cursor, since
// it moves none.
func (s *eventStream) farewell(buf *bytes.Buffer) {
	select {
	case l := <-s.box:
		appendLetter(buf, l)
	default:
	}
	if out := s.conn.takeOutbox(); len(out) > 0 {
		fmt.Fprintf(buf, "data: [%s]\n\n", out)
		recycle(out)
	}
}

// appendLetter writes a message as an event of the stream. Messages have no line ends: whatever JSON an
// event holds was made compact.
func appendLetter(buf *bytes.Buffer, l letter) {
	if l.hint > 0 {
		buf.WriteString("retry: " + strconv.Itoa(l.hint) + "\n")
	}
	if len(l.text) == 0 {
		buf.WriteString(":\n\n")
		return
	}
	buf.WriteString("id: " + l.id + "\ndata: ")
	buf.Write(l.text)
	buf.WriteString("\n\n")
}

// write implements outlet.
func (s *eventStream) write(_ *flusher, m message) {
	s.locate(m.text)
	id := appendCursors(make([]byte, 0, 64), s.places)
	s.put(letter{text: m.text, id: string(id), hint: s.hint}, m.shared)
	s.hint = 0
}

// tick implements outlet: it breaks the silence. A peer that is gone is found by what is written to it.
func (s *eventStream) tick(f *flusher, _ int64) {
	if c := s.conn; !c.blocked && f.pass-c.lastWrite > int64(heartbeat)-int64(2*sweepEvery) && f.pass > s.beatAt {
		s.beatAt = f.pass + int64(heartbeat)/2
		s.put(letter{}, true)
	}
}

// move implements outlet.
func (s *eventStream) move(after time.Duration) (overlap bool) {
	s.hint = 1 + int(rand.Int64N(int64(leaveAfter/time.Millisecond))) // a client that only reads comes back when the stream ends
	s.conn.reply(func(b []byte) []byte { return wire.AppendMoving(b, after.Milliseconds()) })
	return true
}
