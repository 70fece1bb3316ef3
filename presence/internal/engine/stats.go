package engine

import (
	"sync/atomic"

	"github.com/tallywire/tallywire/presence"
)

type counters struct {
	refreshes, incarnations, voids, reaped, moved, told atomic.Uint64
	batches, failures, overloaded                       atomic.Uint64
	changes, stale, stalePages, malformed, overflow     atomic.Uint64
}

func (c *counters) read() presence.Stats {
	return presence.Stats{
		Refreshes: c.refreshes.Load(), Incarnations: c.incarnations.Load(), Voids: c.voids.Load(),
		Reaped: c.reaped.Load(), Moved: c.moved.Load(), Told: c.told.Load(),
		Batches: c.batches.Load(), Failures: c.failures.Load(), Overloaded: c.overloaded.Load(),
		Changes: c.changes.Load(), Stale: c.stale.Load(), StalePages: c.stalePages.Load(),
		Malformed: c.malformed.Load(), Overflows: c.overflow.Load(),
	}
}

// Malformed counts a message that was none of ours.
func (e *Engine) Malformed() { e.stats.malformed.Add(1) }

// Overflow counts changes that had to be dropped, for which the sink is told Stale.
func (e *Engine) Overflow() { e.stats.overflow.Add(1) }
