package goclient

import (
	"maps"
	"slices"
	"time"

	"github.com/tallywire/tallywire/gateway/wire"
)

// Bounds of a client message.
const (
	// messageBytes is where a message is ended; only a single large event makes a longer one.
	messageBytes = 32 << 10
	// channelsPerFrame bounds the channels of one subscribe frame.
	channelsPerFrame = 100
)

// outbox builds one message.
type outbox struct {
	buf    []byte
	frames int
}

// room reports whether another frame of about n bytes belongs into the message.
func (o *outbox) room(n int) bool {
	return o.frames == 0 || o.frames < wire.MaxFrames && len(o.buf)+n <= messageBytes
}

// open begins a frame; close is implicit.
func (o *outbox) open() {
	if o.frames == 0 {
		o.buf = append(o.buf, '[')
	} else {
		o.buf = append(o.buf, ',')
	}
	o.frames++
}

// outgoing returns the next message for l, or how long nothing is due. The bytes are valid until the next call.
func (c *Client) outgoing(l *link, now time.Time) ([]byte, time.Duration) {
	o := outbox{buf: l.buf[:0]}
	if l.pingDue {
		l.pingDue = false
		o.open()
		o.buf = append(o.buf, wire.PingFrame...)
	}
	if l.pongDue.Swap(false) {
		o.open()
		o.buf = append(o.buf, wire.PongFrame...)
	}
	wait := time.Duration(1<<63 - 1)
	c.mu.Lock()
	if c.leaveLocked(l, &o) { // what is left comes before what is taken up again
		wait = c.staysLocked(l, &o, now)
		wait = min(wait, c.subscribeLocked(l, &o, now))
		c.carriedLocked(l, &o)
	}
	c.mu.Unlock()
	l.buf = o.buf[:0]
	if cap(l.buf) > 4*messageBytes {
		l.buf = nil // do not keep what a large event took
	}
	if o.frames == 0 {
		return nil, wait
	}
	return append(o.buf, ']'), 0
}

// leaveLocked writes the channels to unsubscribe, and reports whether all found room.
func (c *Client) leaveLocked(l *link, o *outbox) bool {
	if len(l.leave) == 0 {
		return true
	}
	names := slices.Sorted(maps.Keys(l.leave))
	for chunk := range slices.Chunk(names, channelsPerFrame) {
		if !o.room(channelsPerFrame * 140) {
			return false
		}
		o.open()
		o.buf = appendOpen(o.buf, wire.TypeUnsubscribe, c.nextIDLocked())
		o.buf = append(o.buf, `,"channels":[`...)
		for i, name := range chunk {
			if i > 0 {
				o.buf = append(o.buf, ',')
			}
			o.buf = appendRequest(o.buf, name, nil, "", false)
			delete(l.leave, name)
		}
		o.buf = append(o.buf, "]}"...)
	}
	return true
}

// subscribeLocked writes the subscriptions that are due and returns when the next one is.
func (c *Client) subscribeLocked(l *link, o *outbox, now time.Time) time.Duration {
	wait := time.Duration(1<<63 - 1)
	if len(l.dirty) == 0 {
		return wait
	}
	var due []*Subscription
	later := l.dirty[:0]
	for _, s := range l.dirty {
		switch d := s.due.Sub(now); {
		case c.subs[s.channel] != s || s.state != wanted:
			s.dirty = false
		case d > 0:
			wait = min(wait, d)
			later = append(later, s)
		case len(due) < channelsPerFrame && (len(due) > 0 || o.room(channelsPerFrame*200)):
			due = append(due, s)
		default:
			wait = 0
			later = append(later, s)
		}
	}
	clear(l.dirty[len(later):])
	l.dirty = later
	if len(due) > 0 {
		c.requestsLocked(l, o, due)
	}
	l.settleLocked()
	return wait
}

// requestsLocked writes one subscribe frame. A gateway that has a subscription to a channel already
// replaces it.
func (c *Client) requestsLocked(l *link, o *outbox, due []*Subscription) {
	id := c.nextIDLocked()
	o.open()
	o.buf = appendOpen(o.buf, wire.TypeSubscribe, id)
	o.buf = append(o.buf, `,"channels":[`...)
	for i, s := range due {
		if i > 0 {
			o.buf = append(o.buf, ',')
		}
		s.answeredLocked()
		s.dirty, s.link, s.asked, s.req = false, l, l, id
		var since string
		s.sent, since = s.positionLocked()
		l.unanswered++
		o.buf = appendRequest(o.buf, s.channel, s.sent, since, s.members)
	}
	o.buf = append(o.buf, "]}"...)
}

// carriedLocked writes calls as long as there is room.
func (c *Client) carriedLocked(l *link, o *outbox) {
	for len(l.fifo) > 0 {
		x := l.fifo[0]
		live := c.calls[x.id] == x
		if live && !o.room(len(x.frame)) {
			return
		}
		l.fifo[0] = nil
		l.fifo = l.fifo[1:]
		if !live {
			continue // withdrawn
		}
		o.open()
		o.buf = append(o.buf, x.frame...)
		x.sent++
		if x.oneway {
			c.finishLocked(x, answer{})
		}
	}
	l.fifo = nil
}
