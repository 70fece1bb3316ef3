package broker

// Verdict says whether reading may go on after a cursor.
type Verdict int

// Verdicts. Their texts are the reasons of a `reset`.
const (
	// Valid: the cursor's entry exists, is the head, or is the one before the oldest retained entry.
	Valid Verdict = iota
	// Trimmed: entries after the cursor are no longer retained.
	Trimmed
	// Forked: the channel has, or had, another entry at the cursor's offset, or none so far.
	Forked
	// Expired: the stream is gone, or is younger than the cursor.
	Expired
	// Unknown: the page does not reach the cursor; read from the offset after it.
	Unknown
)

// String returns the reason as it stands in a `reset`.
func (v Verdict) String() string {
	switch v {
	case Valid:
		return "valid"
	case Trimmed:
		return "trimmed"
	case Forked:
		return "forked"
	case Expired:
		return "expired"
	case Unknown:
		return "unknown"
	}
	return "unknown"
}

// Check judges cursor c against a page that was read from the offset after c (or from any offset, as
// long as the page holds the entry at c or the one after it). It is a pure function of the two: any
// gateway comes to the same verdict.
func (p Page) Check(c Cursor) Verdict {
	switch {
	case !p.Exists:
		return Expired
	case c == p.Cursor:
		return Valid
	}
	oldest := p.oldest()
	switch {
	case !c.IsZero() && p.First.Offset == 1 && c.Stamp < p.First.Stamp:
		return Expired // the whole stream is younger than the cursor
	case c.Offset >= p.Cursor.Offset:
		return Forked // from the future, or the head with another stamp
	case c.Offset < oldest.Offset:
		return Trimmed
	case c.Offset == oldest.Offset:
		return chained(c, oldest)
	}
	for i := range p.Entries {
		switch e := &p.Entries[i]; {
		case e.Cursor.Offset == c.Offset:
			return chained(c, e.Cursor)
		case e.Cursor.Offset == c.Offset+1:
			return chained(c, e.Before())
		}
	}
	return Unknown
}

func chained(c, want Cursor) Verdict {
	if c == want {
		return Valid
	}
	return Forked
}

// oldest returns the oldest cursor after which nothing is missing.
func (h Head) oldest() Cursor {
	if h.First.IsZero() {
		return h.Cursor // nothing retained: only the head itself may go on
	}
	return Entry{Cursor: h.First, Prev: h.FirstPrev}.Before()
}

// Oldest returns the cursor to which a reader that is too far behind is reset: everything retained
// comes after it.
func (h Head) Oldest() Cursor { return h.oldest() }
