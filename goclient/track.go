package goclient

import (
	"github.com/tallywire/tallywire/broker"
	"github.com/tallywire/tallywire/gateway/wire"
)

// track is the position of one subscription, and the judge of what arrives for it. It is a pure state
// machine: no clock, no lock, no connection.
//
// There are two positions because two connections overlap while a client moves: the second one resumes
// from where the first was when it was asked, and repeats what the first has delivered meanwhile.
type track struct {
	known bool           // pos is meaningful
	pos   broker.Cursor  // the last event whose handler has run
	at    broker.Cursor  // the last event that the connection has sent; never beyond what was accepted
	owed  *broker.Cursor // the connection cannot resume from there and owes a `reset`
}

// verdict says what to do with something that arrived.
type verdict int

const (
	deliver   verdict = iota
	duplicate         // received before, on this connection or an earlier one
	violation         // neither next nor received before: a loss or a defect
)

// place returns a cursor's offset. The zero cursor stands at the genesis entry, which is never delivered.
func place(c broker.Cursor) uint64 { return max(c.Offset, 1) }

// before reports whether c may be an entry at or before ref in the same lineage. Offsets come again
// after a fork, stamps do not: a later offset with an earlier stamp belongs to another lineage.
func before(c, ref broker.Cursor) bool {
	return c == ref || c.Offset < ref.Offset && c.Stamp < ref.Stamp
}

// subscribed takes a connection's answer. sent is the cursor that was asked for, or nil. It reports
// false when the answer contradicts the request.
func (t *track) subscribed(sent *broker.Cursor, c broker.Cursor, resumed bool) bool {
	t.owed = nil
	if sent == nil {
		t.known, t.pos, t.at = true, c, c
		return true
	}
	if !resumed {
		t.owed = sent
		return true
	}
	if c != *sent && !(sent.IsZero() && place(c) == 1) {
		return false
	}
	if t.pos == *sent {
		t.pos = c // the genesis entry's own cursor, where the zero cursor was sent
	}
	t.at = c
	return true
}

// event judges an event and returns how many events before it were skipped since the last delivered.
func (t *track) event(c broker.Cursor, skipped uint64) (verdict, uint64) {
	v, gap := t.step(c, skipped+1)
	if v != deliver {
		return v, 0
	}
	return deliver, gap - 1
}

// skip judges a `skip` and returns how many events were skipped since the last delivered.
func (t *track) skip(c broker.Cursor, skipped uint64) (verdict, uint64) { return t.step(c, skipped) }

// step judges an advance by n entries to c; it returns how many entries it advances beyond pos.
func (t *track) step(c broker.Cursor, n uint64) (verdict, uint64) {
	switch {
	case t.owed != nil, c.IsZero():
		return violation, 0
	case c.Offset <= place(t.at):
		if before(c, t.at) {
			return duplicate, 0
		}
		return violation, 0
	case c.Offset-place(t.at) != n, c.Stamp <= t.at.Stamp:
		return violation, 0
	}
	t.at = c
	switch {
	case c.Offset <= place(t.pos):
		if before(c, t.pos) {
			return duplicate, 0
		}
		return violation, 0
	case c.Stamp <= t.pos.Stamp:
		return violation, 0
	}
	return deliver, c.Offset - place(t.pos)
}

// rewind takes a `reset` and reports whether it concerns the subscriber. It does not when a second
// connection could not resume from where the first was when it was asked, but the first has since
// delivered everything up to the reset's cursor.
func (t *track) rewind(reason string, c broker.Cursor) bool {
	overtaken := t.owed != nil && *t.owed != t.pos && before(c, t.pos)
	t.owed, t.at = nil, c
	return reason != wire.ReasonTrimmed || !overtaken
}

// commit moves the position once the handler has run.
func (t *track) commit(c broker.Cursor) { t.known, t.pos = true, c }
