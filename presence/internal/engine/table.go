package engine

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/tallywire/tallywire/presence"
)

// key names an entry; the channel is empty for a session of the directory.
type key struct{ channel, user, session string }

// local is what the gateway told about one session in one channel, or about one session. It is guarded by
// Engine.mu.
type local struct {
	key
	claim  string
	name   string
	status json.RawMessage // nil: unknown, the store's stays
	set    bool            // status is news
	grace  time.Duration
	info   []byte // of a session
	at     time.Time

	leaving bool
	now     bool      // leave without grace
	left    time.Time // when it was told to leave

	moved bool // another claim holds the session; the store is not told any more
	sent  bool // the store may know the entry
	known bool // the store has confirmed the current claim
	other bool // the store may know the entry under an earlier claim

	told, done uint64 // changes so far, and those that the store has
	queued     bool   // in Engine.dirty
	waiters    []waiter
}

// waiter is a call that waits for the store to have a change.
type waiter struct {
	told   uint64
	answer chan error // buffered by one
}

// Enter implements presence.Tracker.
func (e *Engine) Enter(ctx context.Context, entry presence.Entry) error {
	if err := entry.Validate(); err != nil {
		return fmt.Errorf("enter: %w", err)
	}
	status := entry.Status
	if status != nil {
		var b bytes.Buffer
		if err := json.Compact(&b, status); err != nil {
			return fmt.Errorf("enter: %w: status: %w", presence.ErrInvalid, err)
		}
		status = b.Bytes()
	}
	err := e.tell(ctx, key{entry.Channel, entry.User, entry.Session}, e.marker+entry.Claim, true, func(l *local) {
		l.name, l.grace = entry.Name, entry.Grace
		if status != nil {
			l.status, l.set = status, true
		}
	})
	if err != nil {
		return fmt.Errorf("enter %s: %w", entry.Channel, err)
	}
	return nil
}

// Leave implements presence.Tracker.
func (e *Engine) Leave(ctx context.Context, exit presence.Exit) error {
	if err := exit.Validate(); err != nil {
		return fmt.Errorf("leave: %w", err)
	}
	err := e.tell(ctx, key{exit.Channel, exit.User, exit.Session}, e.marker+exit.Claim, false, func(l *local) {
		l.now = l.now || exit.Now
		if exit.Grace > 0 {
			l.grace = exit.Grace
		}
	})
	if err != nil && !errors.Is(err, presence.ErrMoved) {
		return fmt.Errorf("leave %s: %w", exit.Channel, err)
	}
	return nil
}

// tell changes an entry and waits until the store has it.
func (e *Engine) tell(ctx context.Context, k key, claim string, enter bool, change func(*local)) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	ctx, cancel := e.within(ctx)
	defer cancel()
	var answer chan error
	var err error
	if enter {
		answer, err = e.arrive(k, claim, change)
	} else {
		answer, err = e.depart(k, claim, change)
	}
	if answer == nil || err != nil {
		return err
	}
	select {
	case err := <-answer:
		return err
	case <-ctx.Done():
		return fmt.Errorf("%w: %w", presence.ErrUnavailable, ctx.Err())
	case <-e.ended:
		return errEnded
	}
}

var errEnded = fmt.Errorf("%w: the tracker has ended", presence.ErrUnavailable)

func (e *Engine) arrive(k key, claim string, change func(*local)) (chan error, error) {
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.stopped {
		return nil, errEnded
	}
	l := e.table[k]
	switch {
	case l == nil:
		if len(e.table) >= e.options.MaxEntries {
			e.stats.overloaded.Add(1)
			return nil, presence.ErrOverloaded
		}
		l = &local{key: k, claim: claim, at: time.Now()}
		e.table[k] = l
		e.countLocked(k, 1)
		e.useLocked(k.channel, 1)
	case l.claim == claim && l.moved:
		return nil, presence.ErrMoved
	case l.claim != claim:
		if l.moved || !l.set {
			l.status, l.set = nil, false // the store knows better
		}
		l.other = l.other || l.sent
		l.claim, l.known, l.moved = claim, false, false
	}
	l.leaving, l.now = false, false
	change(l)
	return e.enqueueLocked(l), nil
}

func (e *Engine) depart(k key, claim string, change func(*local)) (chan error, error) {
	e.mu.Lock()
	defer e.mu.Unlock()
	l := e.table[k]
	switch {
	case e.stopped:
		return nil, errEnded
	case l == nil || l.claim != claim:
		return nil, nil
	case l.moved || !l.sent:
		e.dropLocked(l, nil)
		return nil, nil
	}
	if !l.leaving {
		l.leaving, l.left = true, time.Now()
	}
	change(l)
	return e.enqueueLocked(l), nil
}

// enqueueLocked makes an entry dirty and returns where its outcome will be told.
func (e *Engine) enqueueLocked(l *local) chan error {
	l.told++
	e.stats.told.Add(1)
	answer := make(chan error, 1)
	l.waiters = append(l.waiters, waiter{l.told, answer})
	e.queueLocked(l)
	return answer
}

func (e *Engine) queueLocked(l *local) {
	if !l.queued {
		l.queued = true
		e.dirty = append(e.dirty, l)
	}
	poke(e.wake)
}

// dropLocked forgets an entry and answers whoever waits for it.
func (e *Engine) dropLocked(l *local, err error) {
	l.answer(l.told, err)
	if e.table[l.key] == l {
		delete(e.table, l.key)
		e.countLocked(l.key, -1)
		e.useLocked(l.channel, -1)
	}
}

// countLocked counts an entry that came or went; sessions are none.
func (e *Engine) countLocked(k key, n int) {
	if k.channel != "" {
		e.members += n
	}
}

// answer tells those who wait for the changes up to told.
func (l *local) answer(told uint64, err error) {
	rest := l.waiters[:0]
	for _, w := range l.waiters {
		if w.told <= told {
			w.answer <- err
		} else {
			rest = append(rest, w)
		}
	}
	clear(l.waiters[len(rest):])
	l.waiters = rest
}

// failWaiting answers everyone who waits. What they told stays to be done.
func (e *Engine) failWaiting(err error) {
	e.mu.Lock()
	defer e.mu.Unlock()
	for _, l := range e.dirty {
		l.answer(l.told, err)
	}
}
