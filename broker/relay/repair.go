package relay

import (
	"context"
	"math/rand/v2"
	"time"

	"github.com/tallywire/tallywire/broker"
)

// startRepairLocked has the stream read from the last good entry on, once at a time.
func (r *Relay) startRepairLocked() {
	if r.state != live {
		r.overflow = true // the reader at work looks again before it ends
		return
	}
	if r.hub.spawn(r.repair) {
		r.state = repairing
	}
}

// repair reads the stream until the log has reached its head. The store may be away for long: repair
// then tries again with growing pauses until the gateway ends.
func (r *Relay) repair(ctx context.Context) {
	r.hub.counters.Repairing.Add(1)
	defer r.hub.counters.Repairing.Add(-1)
	for attempt := 0; ; attempt++ {
		done, err := r.repairOnce(ctx)
		if done {
			return
		}
		if err == nil {
			attempt = -1
			continue
		}
		if ctx.Err() == nil {
			r.hub.counters.Failed.Add(1)
		}
		pause := time.Duration(rand.Int64N(int64(min(50*time.Millisecond<<min(attempt, 6), 2*time.Second))))
		select {
		case <-time.After(pause):
		case <-ctx.Done():
			return
		}
	}
}

// repairOnce reads one page. done is set when the log is live again.
func (r *Relay) repairOnce(ctx context.Context) (done bool, err error) {
	if !r.hub.holds(r) {
		return true, nil // closed, with nobody reading
	}
	r.mu.Lock()
	head, settled := r.log.head, len(r.pending)
	r.mu.Unlock()
	page, err := r.hub.read(ctx, r.channel, broker.ReadRequest{From: head.Offset + 1, Limit: broker.MaxReadLimit})
	if err != nil {
		return false, err
	}
	switch verdict := page.Check(head); verdict {
	case broker.Valid:
		return r.extend(page, settled), nil
	case broker.Forked:
		shared, err := r.sharedEntry(ctx)
		if err != nil {
			return false, err
		}
		r.cut(verdict, shared)
	case broker.Trimmed:
		r.cut(verdict, resetTo(page.Head))
	case broker.Expired:
		if !page.Exists {
			return false, r.hub.reopen(ctx, r.channel) // until then there is nothing to go on from
		}
		r.cut(verdict, resetTo(page.Head))
	case broker.Unknown:
		return false, ErrRetry
	}
	return false, nil
}

// extend appends a page that continues the log, and ends the repair when that reaches the head. settled
// entries were held when it was read.
func (r *Relay) extend(page broker.Page, settled int) (done bool) {
	items := make([]item, 0, len(page.Entries))
	for _, e := range page.Entries {
		items = append(items, r.encode(e))
	}
	r.mu.Lock()
	for _, it := range items {
		if r.acceptLocked(it) == appended {
			r.hub.counters.Repaired.Add(1)
		}
	}
	r.trimLocked()
	if done = r.log.head.Offset >= page.Cursor.Offset; done {
		r.state = live
		r.drainLocked(settled)
	}
	r.mu.Unlock()
	if done {
		r.hub.counters.Repairs.Add(1)
	}
	r.wake()
	return done
}

// cut ends the log's lineage: what came after shared is not in the stream any more.
func (r *Relay) cut(reason broker.Verdict, shared broker.Cursor) {
	r.mu.Lock()
	r.lineage++
	if len(r.cuts) == maxLineages {
		r.cuts = append(r.cuts[:0], r.cuts[1:]...)
	}
	r.cuts = append(r.cuts, lineage{number: r.lineage, reason: reason, shared: shared})
	if r.log.contains(shared) {
		r.log.truncate(shared)
	} else {
		r.log.open(shared)
	}
	r.pages.clear()
	r.batches = [4]cachedBatch{}
	r.suspect = broker.Cursor{}
	r.mu.Unlock()
	r.hub.counters.Cuts.Add(1)
	r.wake()
}

// sharedEntry finds the last entry that the recent events share with the stream.
func (r *Relay) sharedEntry(ctx context.Context) (broker.Cursor, error) {
	r.mu.Lock()
	floor, head := r.log.floor, r.log.head
	r.mu.Unlock()
	before := head.Offset + 1
	for before > floor.Offset {
		page, err := r.hub.read(ctx, r.channel, broker.ReadRequest{Before: before, Limit: broker.MaxReadLimit})
		if err != nil {
			return broker.Cursor{}, err
		}
		if len(page.Entries) == 0 {
			break
		}
		r.mu.Lock()
		for i := len(page.Entries) - 1; i >= 0; i-- {
			if c := page.Entries[i].Cursor; r.log.contains(c) {
				r.mu.Unlock()
				return c, nil
			}
		}
		r.mu.Unlock()
		before = page.Entries[0].Cursor.Offset
	}
	shared, _, err := r.lastShared(ctx, floor)
	return shared, err
}
