package relay

import "github.com/tallywire/tallywire/broker"

// Position is a reader's place in a channel. It belongs to the reader; the zero value is not usable,
// see [Relay.Tail] and [Relay.Resume].
type Position struct {
	// Cursor is the last entry that the reader has.
	Cursor broker.Cursor
	// lineage counts the resets that the relay has been through.
	lineage uint32
	// signals is the number of the last signal that the reader has.
	signals uint64
}

// Reset is a loss that the reader must be told of; its events go on after Cursor.
type Reset struct {
	Reason broker.Verdict
	Cursor broker.Cursor
	Head   broker.Cursor
}

// lineage is one point at which the relay's log was cut.
type lineage struct {
	number uint32
	reason broker.Verdict
	// shared is the last entry before the cut that the old log and the new one have in common, or,
	// where they have none, the entry after which the new log begins.
	shared broker.Cursor
}

// concerns reports whether a reader at c lost something at this cut.
func (l lineage) concerns(c broker.Cursor) bool {
	switch l.reason {
	case broker.Forked:
		return c.Offset > l.shared.Offset
	case broker.Trimmed:
		return c.Offset < l.shared.Offset
	default:
		return true
	}
}

// maxLineages bounds how many cuts a relay remembers; a reader that slept through more of them is
// checked against the stream.
const maxLineages = 16
