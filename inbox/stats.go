package inbox

import (
	"sync/atomic"
	"time"
)

// Stats are what an Inbox has done since it was made, and what it last knew of the whole. All but the last
// group are totals of this gateway.
type Stats struct {
	// Terms counts how often this gateway became the active one, Lost how often it lost its lease while it was.
	Terms, Lost uint64
	// Taken counts entries, Claimed those of them that had been taken before and not finished.
	Taken, Claimed uint64
	// Published counts entries that are in their channels, Duplicates those of them that were there already.
	Published, Duplicates uint64
	// Refused counts entries that are in the dead letters; LettersLost those that should be, but the store
	// refused the letter: they are in the log only.
	Refused, LettersLost uint64
	// Retried counts tries beyond the first, to publish or to bury. Errors counts failed calls of the store.
	Retried, Errors uint64

	// Active says whether this gateway holds the lease, Holder who does as far as it knows.
	Active bool
	Holder string
	// Held and HeldBytes are what this gateway has taken and not yet finished.
	Held, HeldBytes int
	// Waiting is how many entries the inbox had at the time At, and Oldest how old the first of them was.
	Waiting int64
	Oldest  time.Duration
	At      time.Time
}

// counters count for Stats.
type counters struct {
	terms, lost, taken, claimed, published, duplicates, refused, lettersLost, retried, errors atomic.Uint64
	active                                                                                    atomic.Bool
	lease                                                                                     atomic.Pointer[seen]
	window                                                                                    atomic.Pointer[window]
}

// seen is a Lease and when it was seen.
type seen struct {
	Lease
	at time.Time
}

// Stats returns the counts.
func (i *Inbox) Stats() Stats {
	c := &i.counters
	s := Stats{
		Terms: c.terms.Load(), Lost: c.lost.Load(), Taken: c.taken.Load(), Claimed: c.claimed.Load(),
		Published: c.published.Load(), Duplicates: c.duplicates.Load(),
		Refused: c.refused.Load(), LettersLost: c.lettersLost.Load(), Retried: c.retried.Load(), Errors: c.errors.Load(),
		Active: c.active.Load(),
	}
	if l := c.lease.Load(); l != nil {
		s.Holder, s.Waiting, s.Oldest, s.At = l.Holder, l.Waiting, l.Oldest, l.at
	}
	if w := c.window.Load(); w != nil {
		s.Held, s.HeldBytes = w.held()
	}
	return s
}
