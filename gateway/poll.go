package gateway

import (
	"context"
	"crypto/rand"
	mathrand "math/rand/v2"
	"net/http"
	"slices"
	"strconv"
	"time"

	"github.com/labstack/echo/v4"

	"github.com/tallywire/tallywire/gateway/wire"
)

// poll is the answer to one poll as the outlet of a connection: it takes one message, and that ends it.
type poll struct {
	*mailbox
	older *conn // owned by the handler: the session's poll before this one, which this one is to end; nil for none

	// Owned by the flusher.
	kept    []byte      // frames to be answered with, joined by commas, while pages are being read
	waited  bool        // long enough: what there is, or nothing, is the answer
	overdue bool        // whatever the store is about to say
	refused int         // channels that were refused
	problem *wire.Error // the first reason
}

var _ outlet = (*poll)(nil)

const (
	// pollGrace is how long a poll that has waited is held for pages that are being read.
	pollGrace = 5 * time.Second
)

// poll handles GET and POST /v1/poll.
func (g *Gateway) poll(e echo.Context) error {
	r, err := g.readStream(e)
	if err != nil {
		return err
	}
	if !g.admitConnection() {
		return g.full(e, transportPoll)
	}
	p := &poll{mailbox: newMailbox(r.places)}
	c := g.newConn(transportPoll, p, e.RealIP(), e.Request().UserAgent())
	p.conn, c.idle = c, p.idle
	if r.Session != "" {
		key := visitKey{r.principal.User, r.Session}
		p.older = g.polls.enter(key, c)
		defer func() {
			g.polls.leave(key, c, p.older)
			p.older = nil // or each would keep all before it
		}()
	}
	defer c.teardown()
	c.pending = len(r.Channels) + 1
	c.start(r)
	defer g.attend(r, c)()
	c.opened(nil)
	return p.serve(e, r)
}

// attend takes a poll as the sign of life of a session that is present in channels, until leave.
func (g *Gateway) attend(r *streamRequest, c *conn) (leave func()) {
	if len(r.Present) == 0 {
		return g.visits.hold(r.principal.User, r.Session)
	}
	ctx, cancel := context.WithTimeout(background(), presenceTimeout)
	defer cancel()
	v, err := g.visits.enter(ctx, r.principal, r.Session, c.remote, c.agent)
	if err != nil {
		c.session.refuse(nil, wireError(err))
		return func() {}
	}
	defer v.leave()
	if out := v.attend(r.Present); len(out) > 0 {
		c.reply(func(b []byte) []byte { return append(b, out...) })
		recycle(out)
	}
	return v.hold()
}

// start begins the session of a connection whose request names its channels.
func (c *conn) start(r *streamRequest) {
	id := r.Session
	if id == "" {
		id = rand.Text()
	}
	c.gateway.counters.Accepted.Add(1)
	c.flusher.call(func() { c.flusher.add(c) })
	c.session.begin(nil, id, r.principal)
	c.session.subscribe(r.frame())
}

// serve waits for the answer and writes it.
func (p *poll) serve(e echo.Context, r *streamRequest) error {
	c := p.conn
	wait := time.NewTimer(r.wait)
	defer wait.Stop()
	replace := time.NewTimer(replaceAfter)
	defer replace.Stop()
	for {
		select {
		case <-replace.C:
			if p.older != nil {
				p.older.replace()
			}
		case l := <-p.box:
			return p.answer(e, r, l)
		case <-wait.C:
			c.flusher.call(func() {
				p.overdue, p.waited = p.waited, true
				c.flusher.include(c)
			})
			wait.Reset(pollGrace)
		case <-p.end: // the flusher has said last what there was to say
			select {
			case l := <-p.box:
				return p.answer(e, r, l)
			default:
				return c.gateway.full(e, transportPoll)
			}
		case <-p.gone:
			return c.gateway.full(e, transportPoll)
		case <-e.Request().Context().Done():
			return nil
		}
	}
}

// answer writes the response in one piece, so that it passes through proxies that collect.
func (p *poll) answer(e echo.Context, r *streamRequest, l letter) error {
	h := e.Response().Header()
	if l.problem != nil {
		return l.problem
	}
	h.Set(echo.HeaderCacheControl, "no-store")
	if r.wait == 0 {
		h.Set(echo.HeaderCacheControl, "private, no-cache")
		// A poll that names cursors and gets nothing but them, or one that names none and gets the same as
		// before, has not changed.
		if notModified(e, `"`+l.id+`"`) && !l.refused && (len(l.text) == 2 || !r.located()) {
			return e.NoContent(http.StatusNotModified) //nolint:wrapcheck // echo
		}
	}
	if p.conn.gateway.draining.Load() {
		h.Set(echo.HeaderConnection, "close") // the next one is for another gateway
	}
	h.Set(echo.HeaderContentType, echo.MIMEApplicationJSON)
	h.Set(echo.HeaderContentLength, strconv.Itoa(len(l.text)+len(l.tail)+min(len(l.text)-2, 1)))
	w := e.Response()
	w.WriteHeader(http.StatusOK)
	_ = http.NewResponseController(w).SetWriteDeadline(time.Now().Add(p.conn.gateway.options.Limits.WriteTimeout))
	body := append(make([]byte, 0, len(l.text)+len(l.tail)+1), l.text[:len(l.text)-1]...)
	if len(l.text) > 2 {
		body = append(body, ',')
	}
	body = append(append(body, l.tail...), ']')
	if _, err := w.Write(body); err != nil {
		p.conn.writeFailed(err)
	}
	return nil
}

// write implements outlet: the message is the answer. While pages are being read for other channels it
// waits for those, lest a poll that is behind be answered many times with little.
func (p *poll) write(_ *flusher, m message) {
	p.locate(m.text)
	if len(p.kept) == 0 && !p.reading() {
		p.finish(m.text, m.shared)
		return
	}
	if len(p.kept) > 0 {
		p.kept = append(p.kept, ',')
	}
	p.kept = append(p.kept, m.text[1:len(m.text)-1]...)
	if !p.reading() || p.overdue || len(p.kept) >= p.conn.gateway.options.Limits.Frame || p.conn.last {
		p.answerKept()
	}
}

func (p *poll) answerKept() { p.finish(append(append([]byte{'['}, p.kept...), ']'), true) }

// idle is called when there is nothing to tell.
func (p *poll) idle() {
	switch {
	case len(p.kept) > 0:
		if p.overdue || p.conn.last || !p.reading() {
			p.answerKept()
		}
	case p.conn.last:
		p.locate(nil)
		p.finish(movingNow(), true)
	case p.overdue, p.waited && !p.reading():
		p.locate(nil)
		p.finish([]byte("[]"), true)
	}
}

// reading reports whether there is more of one of the channels, or a page of it is being read.
func (p *poll) reading() bool {
	s := &p.conn.session
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, sub := range s.subs {
		if sub.fetching || sub.dirty {
			return true
		}
	}
	return false
}

// finish puts the answer. Nothing is written after it.
func (p *poll) finish(text []byte, shared bool) {
	c := p.conn
	if c.ended {
		return
	}
	l := letter{text: text, refused: p.refused > 0}
	if p.refused < len(p.places) {
		places := slices.DeleteFunc(slices.Clone(p.places), func(at place) bool { return at.refused })
		l.id = string(appendCursors(make([]byte, 0, 64), places))
		l.tail = wire.AppendNext(nil, &wire.Next{
			Channels: nextChannels(places), Cursors: l.id, More: p.reading(), Degraded: !c.gateway.hub.HealthNow().OK,
		})
	} else {
		l.problem = p.problem
	}
	p.put(l, shared)
	c.ended = true
}

// nextChannels lists places as the next request may name them.
func nextChannels(places []place) []wire.NextChannel {
	out := make([]wire.NextChannel, len(places))
	for i := range places {
		at := &places[i]
		out[i] = wire.NextChannel{Channel: at.channel, Presence: at.presence, Members: at.members}
		if at.known {
			out[i].Cursor = &at.cursor
		} else {
			out[i].Since = at.since
		}
	}
	return out
}

// refuse notes that a channel is refused. It is called in the flusher's goroutine.
func (p *poll) refuse(e *wire.Error) {
	p.refused++
	if p.problem == nil {
		p.problem = e
	}
	if e.Code.Retry() || e.Code == wire.CodeInvalidChannel {
		return // of a name that is not valid the error repeats a part, and its place is refused already
	}
	if at := findPlace(p.places, e.Channel); at != nil {
		at.refused = true
	}
}

// tick implements outlet: a poll is answered in time anyway.
func (p *poll) tick(*flusher, int64) {}

// move implements outlet: to move is to be answered, when the time has come.
func (p *poll) move(time.Duration) (overlap bool) { return false }

// movingNow is the message of a poll that has to go on at another gateway.
func movingNow() []byte {
	b := wire.AppendMoving([]byte{'['}, mathrand.Int64N(100))
	return append(b, ']')
}
