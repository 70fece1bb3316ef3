package broker

// Entry is one record of a channel's log.
type Entry struct {
	Cursor Cursor
	// Prev is the stamp of the entry before (0 for the genesis entry). It chains the log: the entry
	// after cursor c has offset c.Offset+1 and Prev == c.Stamp, or the log has forked.
	Prev uint64
	// Event is the event's JSON as it was published. It is empty for the genesis entry, which opens a
	// stream and is never delivered. It must not be changed.
	Event []byte
	// Vetted says that this process has validated the event before it was published.
	Vetted bool
}

// Genesis reports whether e only opens its stream.
func (e Entry) Genesis() bool { return len(e.Event) == 0 }

// Before returns the cursor of the entry before e.
func (e Entry) Before() Cursor {
	if e.Cursor.Offset <= 1 {
		return Cursor{}
	}
	return Cursor{Offset: e.Cursor.Offset - 1, Stamp: e.Prev}
}
