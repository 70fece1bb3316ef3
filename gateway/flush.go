package gateway

import (
	"math/rand/v2"
	"slices"
	"time"

	"github.com/tallywire/tallywire/broker"
	"github.com/tallywire/tallywire/broker/relay"
	"github.com/tallywire/tallywire/gateway/inspect"
	"github.com/tallywire/tallywire/gateway/wire"
)

// flush writes one frame with a connection's answers and what is new in its channels.
func (f *flusher) flush(c *conn) {
	if c.blocked || c.removed || c.ended || c.pending > 0 {
		return
	}
	c.queued.Store(false)
	outbox := c.takeOutbox()
	if c.behind.Load() && c.behind.Swap(false) {
		f.gateway.rooms.resume(&c.session) // into the next frame
	}
	if len(outbox) == 0 {
		switch len(c.dirty) {
		case 0:
			recycle(outbox)
			if c.idle != nil {
				c.idle()
			}
			return
		case 1:
			if f.flushShared(c) {
				return
			}
		}
	}
	m := f.assemble(c, outbox)
	recycle(outbox)
	switch {
	case m.text != nil:
		c.out.write(f, m)
	case c.idle != nil:
		c.idle()
	}
	if len(c.dirty) > 0 && !c.blocked {
		f.include(c)
	}
}

// flushShared is the common case of one channel with something new: the frame is the same for all
// connections at that position. It returns false, having done nothing, when the case is another.
func (f *flusher) flushShared(c *conn) bool {
	s := c.dirty[0]
	b := s.tap.pull(s, f.gateway.options.Limits.Frame)
	if b.Reset != nil || b.Behind || b.Framed == nil {
		return false
	}
	f.took(s, b)
	if b.More {
		f.include(c)
	} else {
		f.clean(c, 0)
	}
	c.out.write(f, message{text: b.Message, framed: b.Framed, shared: true})
	return true
}

func (t *tap) pull(s *subscription, limit int) relay.Batch {
	if t == nil {
		return relay.Batch{Next: s.pos}
	}
	return t.relay.Pull(s.pos, s.page, limit)
}

// took moves a subscription behind a batch that is about to be written.
func (f *flusher) took(s *subscription, b relay.Batch) {
	s.pos = b.Next
	if b.Events > 0 {
		f.delivered = true
		f.batch.observe(float64(b.Events))
		if s.live {
			f.lag.observe(float64(max(f.micros-int64(b.Next.Cursor.Stamp), 0)) / 1e6) //nolint:gosec // a stamp fits
		}
	}
	s.live = s.live || !b.More
	n := &f.gateway.counters
	n.Events.Add(uint64(b.Events)) //nolint:gosec // not negative
	p := s.tap.passage
	p.delivered += uint64(b.Events) //nolint:gosec // as above
	if b.Skipped > 0 {
		n.Skipped.Add(b.Skipped)
		p.skipped += b.Skipped
	}
	if b.Lost > 0 {
		n.SignalsLost.Add(b.Lost)
	}
}

// clean takes the dirty subscription i off the list.
func (f *flusher) clean(c *conn, i int) {
	s := c.dirty[i]
	s.dirty = false
	s.page = nil
	last := len(c.dirty) - 1
	c.dirty[i] = c.dirty[last]
	c.dirty[last] = nil
	c.dirty = c.dirty[:last]
	if last == 0 {
		c.dirty = nil
	}
}

// assemble builds a message from the outbox and the dirty subscriptions, empty when there is nothing to
// say. It leaves on the list those for which there was no room.
func (f *flusher) assemble(c *conn, outbox []byte) message {
	limit := f.gateway.options.Limits.Frame
	buf := append(f.scratch[:0], make([]byte, maxHeader+1)...)
	buf = append(buf, outbox...)
	if len(outbox) > 0 {
		buf = append(buf, ',')
	}
	i := 0
	for i < len(c.dirty) && len(buf) < limit {
		var more bool
		if buf, more = f.appendNew(buf, c.dirty[i], limit-len(buf)); more {
			i++
			continue
		}
		f.clean(c, i)
	}
	if i < len(c.dirty) { // those that had no room go first the next time
		slices.Reverse(c.dirty[:i])
		slices.Reverse(c.dirty[i:])
		slices.Reverse(c.dirty)
	}
	f.scratch = buf
	if len(buf) == maxHeader+1 {
		return message{}
	}
	buf[maxHeader] = '['
	buf[len(buf)-1] = ']'
	text := buf[maxHeader:]
	return message{text: text, framed: buf[maxHeader-frameHeader(buf[:maxHeader], len(text)):]}
}

const maxHeader = 10

// appendNew appends what a subscription has not had, each frame followed by a comma. more is set when
// there is more than the limit allowed.
func (f *flusher) appendNew(buf []byte, s *subscription, limit int) (_ []byte, more bool) {
	for limit > 0 {
		b := s.tap.pull(s, limit)
		switch {
		case b.Reset != nil:
			buf = f.appendReset(buf, s, b.Reset)
			f.lost(s, b.Reset)
			s.pos = b.Next
			continue
		case b.Behind:
			s.pos, s.page = b.Next, nil
			f.fetch(s)
			return buf, false
		case b.Message == nil:
			s.pos = b.Next
			if b.More {
				continue
			}
			return buf, false
		}
		f.took(s, b)
		buf = append(buf, b.Message[1:len(b.Message)-1]...)
		buf = append(buf, ',')
		limit -= len(b.Message)
		if !b.More {
			return buf, false
		}
	}
	return buf, true
}

func (f *flusher) appendReset(buf []byte, s *subscription, r *relay.Reset) []byte {
	f.gateway.countReset(r.Reason.String())
	buf = wire.AppendReset(buf, s.channel, r.Reason.String(), r.Cursor, r.Head)
	return append(buf, ',')
}

// lost remembers what a reset tells a subscription that it has lost, and what it had until then. From
// here on the subscription counts as one that began at the reset's cursor.
func (f *flusher) lost(s *subscription, r *relay.Reset) {
	had := s.pos.Cursor
	if r.Cursor.Offset < had.Offset {
		had = r.Cursor
	}
	if had.Offset > s.from.Offset {
		f.record(s, inspect.Delivered, s.from, had, "")
	}
	f.recordReset(s, s.pos.Cursor, r)
	s.from, s.since = r.Cursor, f.pass
}

// recordReset remembers that a reset told a subscription of what lies between its position and the
// reset's cursor.
func (f *flusher) recordReset(s *subscription, pos broker.Cursor, r *relay.Reset) {
	from, to := pos, r.Cursor
	if to.Offset < from.Offset {
		from, to = to, from
	}
	f.record(s, inspect.ResetOver, from, to, r.Reason.String())
}

// fetch gets the page that a subscription needs; it is served again when that has come.
func (f *flusher) fetch(s *subscription) {
	if s.fetching || s.tap == nil {
		return
	}
	s.fetching = true
	s.tap.relay.Fetch(s.pos, func(page *relay.Page, reset *relay.Reset, err error) {
		f.call(func() { f.fetched(s, page, reset, err) })
	})
}

func (f *flusher) fetched(s *subscription, page *relay.Page, reset *relay.Reset, err error) {
	s.fetching = false
	if s.tap == nil || s.conn.removed {
		return
	}
	if err != nil {
		// The store is away, or the channel is being repaired. Nothing is lost: the position stays.
		f.retry(s)
		return
	}
	if reset != nil {
		f.gateway.countReset(reset.Reason.String())
		f.lost(s, reset)
		s.pos.Cursor = reset.Cursor
		s.conn.reply(func(b []byte) []byte {
			return wire.AppendReset(b, s.channel, reset.Reason.String(), reset.Cursor, reset.Head)
		})
	}
	s.page = page
	if !s.dirty {
		s.dirty = true
		s.conn.dirty = append(s.conn.dirty, s)
	}
	f.include(s.conn)
}

// retry serves a subscription again after a pause of 50 to 500 ms.
func (f *flusher) retry(s *subscription) {
	if !s.dirty {
		s.dirty = true
		s.conn.dirty = append(s.conn.dirty, s)
	}
	pause := int64(50*time.Millisecond) + rand.Int64N(int64(450*time.Millisecond))
	f.postpone(s.conn, f.pass+pause)
}

// unblock lets a connection be written to again.
func (f *flusher) unblock(c *conn, ok bool) {
	c.blocked = false
	c.lastWrite = f.clock()
	if ok {
		f.include(c)
	}
}

// sweep looks at deadlines, tokens and silence.
func (f *flusher) sweep(now int64) {
	o := &f.gateway.options
	wall := time.Now()
	for _, c := range f.conns {
		if c.closing.Load() {
			continue
		}
		p := c.session.principal.Load()
		switch {
		case c.deadline != 0 && now > c.deadline:
			c.session.expel(wire.CodeConnectTimeout, "no connect frame in time", wire.CloseConnectTimeout)
		case p != nil && !p.Expires.IsZero() && wall.After(p.Expires):
			c.session.expel(wire.CodeTokenExpired, "the token has expired", wire.CloseUnauthorized)
		case p != nil && o.Auth.Revoked(p):
			c.session.expel(wire.CodeTokenRevoked, "the token was revoked", wire.CloseUnauthorized)
		case c.retire != 0 && now > c.retire:
			c.retire = 0
			c.move(time.Duration(rand.Int64N(int64(sweepEvery))), leaveAfter)
		default:
			c.out.tick(f, now-c.lastRead.Load())
		}
	}
}
