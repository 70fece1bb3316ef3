package engine

import (
	"context"
	"errors"
	"math/rand/v2"
	"time"

	"github.com/tallywire/tallywire/presence"
)

const (
	batchSize    = 128
	firstBackoff = 50 * time.Millisecond
)

// lastBackoff bounds the pause between two attempts well below the time that gateways leave each other
// after an outage.
func (e *Engine) lastBackoff() time.Duration {
	return max(firstBackoff, min(time.Second, e.options.TTL/6))
}

// sent is an entry as it went into a batch.
type sent struct {
	l    *local
	told uint64
	last int // index of its last Op
}

// write brings the store up to what was told, batch by batch, until ctx ends.
func (e *Engine) write(ctx context.Context) {
	backoff := firstBackoff
	for {
		select {
		case <-e.wake:
		case <-ctx.Done():
			return
		}
		for ctx.Err() == nil {
			owner, ok := e.hold()
			if !ok {
				break // begin wakes
			}
			more, err := e.writeOnce(ctx, owner)
			if err != nil {
				e.stats.failures.Add(1)
				pause(ctx, rand.N(backoff)+backoff/2)
				backoff = min(2*backoff, e.lastBackoff())
				continue
			}
			backoff = firstBackoff
			if !more {
				break
			}
		}
	}
}

// writeOnce writes one batch and reports whether there may be more to do.
func (e *Engine) writeOnce(ctx context.Context, owner Owner) (bool, error) {
	batch, ops, fresh := e.take()
	if len(batch) == 0 {
		return false, e.unlist(ctx, owner)
	}
	err := e.list(ctx, owner, fresh)
	results := make([]Result, len(ops))
	if err != nil {
		for i := range results {
			results[i].Err = err
		}
	} else {
		inner, cancel := e.within(ctx)
		results = e.store.Apply(inner, owner, ops)
		cancel()
	}
	e.stats.batches.Add(1)
	return true, e.settle(batch, ops, results)
}

// take returns the next batch: what is dirty, as commands, and the channels that have to be listed first.
func (e *Engine) take() (batch []sent, ops []Op, fresh []string) {
	e.mu.Lock()
	defer e.mu.Unlock()
	n := min(batchSize, len(e.dirty))
	for _, l := range e.dirty[:n] {
		l.queued = false
		if e.table[l.key] != l {
			continue // dropped
		}
		if u := e.lists[l.channel]; u != nil && !u.listed && !u.asked {
			u.asked = true
			fresh = append(fresh, l.channel)
		}
		ops = l.appendOps(ops, e.options.SessionTTL)
		batch = append(batch, sent{l, l.told, len(ops) - 1})
		l.sent = true
	}
	for _, channel := range fresh {
		e.lists[channel].asked = false
	}
	clear(e.dirty[:n])
	e.dirty = e.dirty[n:]
	if len(e.dirty) == 0 {
		e.dirty = nil
	}
	return batch, ops, fresh
}

// appendOps appends what makes the store know the entry.
func (l *local) appendOps(ops []Op, sessionTTL time.Duration) []Op {
	op := Op{Channel: l.channel, User: l.user, Session: l.session, Claim: l.claim}
	// What leaves under a claim that the store has never seen has to come first, or an earlier claim stays.
	if !l.leaving || l.other {
		enter := op
		if l.channel == "" {
			enter.Kind, enter.Info, enter.First, enter.TTL = SetSession, l.info, !l.known, sessionTTL
		} else {
			enter.Kind, enter.Name, enter.Status, enter.Set, enter.Grace = Enter, l.name, l.status, l.set, l.grace
		}
		ops = append(ops, enter)
	}
	switch {
	case l.leaving && l.channel == "":
		op.Kind = RemoveSession
		ops = append(ops, op)
	case l.leaving:
		op.Kind = Leave
		if rest := l.grace - time.Since(l.left); !l.now && rest > 0 {
			op.Grace = rest
		}
		ops = append(ops, op)
	}
	return ops
}

// settle takes the results of a batch. It returns an error when the writer should rest before the next.
func (e *Engine) settle(batch []sent, ops []Op, results []Result) (failure error) {
	e.mu.Lock()
	defer e.mu.Unlock()
	for _, b := range batch {
		l, r, op := b.l, results[b.last], ops[b.last]
		if r.Err == nil && r.Left > 0 {
			e.dueLocked(l.channel, r.Left)
		}
		if e.table[l.key] != l {
			continue
		}
		if l.claim != op.Claim && r.Err == nil && r.Code != Void {
			l.answer(b.told, nil) // replaced while it was under way, and queued again
			continue
		}
		switch {
		case errors.Is(r.Err, presence.ErrUnavailable), errors.Is(r.Err, presence.ErrRefused):
			failure = r.Err
			l.answer(b.told, r.Err)
			e.queueLocked(l)
		case r.Code == Void:
			e.queueLocked(l)
			failure = errVoid
			poke(e.suspect)
		case r.Code == Moved:
			e.stats.moved.Add(1)
			e.movedLocked(l, b.told)
		case r.Code == Full:
			e.dropLocked(l, presence.ErrTooManySessions)
		case l.told != b.told:
			l.answer(b.told, nil) // changed while it was under way, and queued again
			e.confirmLocked(l, op)
		case op.Kind == Leave || op.Kind == RemoveSession:
			e.dropLocked(l, nil)
		default:
			if r.Status != nil && !l.set {
				l.status = r.Status
			}
			l.set = false
			l.done = b.told
			e.confirmLocked(l, op)
			l.answer(b.told, nil)
		}
	}
	return failure
}

var errVoid = errors.New("incarnation void")

func (e *Engine) confirmLocked(l *local, op Op) {
	if op.Kind == Enter || op.Kind == SetSession {
		l.known, l.other = true, false
		l.at = time.Now()
	}
}

// movedLocked keeps an entry whose session is elsewhere, so that updates which still come with its claim
// do not take the session back.
func (e *Engine) movedLocked(l *local, told uint64) {
	if l.leaving {
		e.dropLocked(l, nil)
		return
	}
	l.moved, l.set = true, false
	l.done = l.told
	l.answer(told, presence.ErrMoved)
	l.answer(l.told, presence.ErrMoved)
}
