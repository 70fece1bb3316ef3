package inbox_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"time"

	"github.com/tallywire/tallywire/inbox"
)

// memory is an inbox in memory, with all that Redis' has: a lease by its own clock, entries that are pending, and
// answers that get lost.
type memory struct {
	mu      sync.Mutex
	holder  string
	expires time.Time
	entries map[string]inbox.Entry
	order   []string        // ids, in order
	taken   map[string]bool // pending
	n       int
	added   chan struct{} // closed by the next add
	removed chan struct{} // closed by the next Done
	// faults says what happens to the next calls; nil for nothing.
	faults func(call string) fault
}

// fault is what happens to a call.
type fault int

const (
	none fault = iota
	away       // it does not arrive
	mute       // it is done, and its answer is lost
)

var errFault = errors.New("the store is away")

func newMemory() *memory {
	return &memory{entries: map[string]inbox.Entry{}, taken: map[string]bool{}, added: make(chan struct{}), removed: make(chan struct{})}
}

// add adds an entry.
func (m *memory) add(channel, event string) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.n++
	id := fmt.Sprintf("1795514042000-%06d", m.n)
	m.entries[id] = inbox.Entry{ID: id, Channel: channel, Event: []byte(event), Size: len(event)}
	m.order = append(m.order, id)
	close(m.added)
	m.added = make(chan struct{})
}

// left returns how many entries there are, and what is closed when some have been removed.
func (m *memory) left() (int, <-chan struct{}) {
	m.mu.Lock()
	defer m.mu.Unlock()
	return len(m.entries), m.removed
}

// call does f, unless a fault is due.
func (m *memory) call(ctx context.Context, name string, f func() error) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	if ctx.Err() != nil {
		return ctx.Err()
	}
	what := none
	if m.faults != nil {
		what = m.faults(name)
	}
	if what == away {
		return errFault
	}
	if err := f(); err != nil {
		return err
	}
	if what == mute {
		return errFault
	}
	return nil
}

func (m *memory) Hold(ctx context.Context, token string, ttl time.Duration) (l inbox.Lease, err error) {
	err = m.call(ctx, "hold", func() error {
		now := time.Now()
		if m.holder != token && now.Before(m.expires) {
			l = inbox.Lease{Holder: m.holder, Left: m.expires.Sub(now), Waiting: int64(len(m.entries))}
			return nil
		}
		m.holder, m.expires = token, now.Add(ttl)
		l = inbox.Lease{Held: true, Holder: token, Left: ttl, Waiting: int64(len(m.entries))}
		return nil
	})
	return l, err
}

func (m *memory) Release(ctx context.Context, token string) error {
	return m.call(ctx, "release", func() error {
		if m.holder == token {
			m.expires = time.Time{}
		}
		return nil
	})
}

func (m *memory) Take(ctx context.Context, token, after string, limit int) (b inbox.Batch, err error) {
	err = m.call(ctx, "take", func() error {
		if m.holder != token || !time.Now().Before(m.expires) {
			return inbox.ErrLost
		}
		var pending, fresh []inbox.Entry
		for _, id := range m.order {
			e, there := m.entries[id]
			switch {
			case !there:
			case m.taken[id] && id > after:
				pending = append(pending, e)
			case !m.taken[id]:
				fresh = append(fresh, e)
			}
		}
		b = inbox.Batch{Entries: pending, Claimed: true}
		if len(pending) == 0 {
			b = inbox.Batch{Entries: fresh}
		}
		b.Entries = slices.Clone(b.Entries[:min(limit, len(b.Entries))])
		for _, e := range b.Entries {
			m.taken[e.ID] = true
		}
		return nil
	})
	if err != nil {
		b = inbox.Batch{}
	}
	return b, err
}

func (m *memory) Wait(ctx context.Context, after string, d time.Duration) (bool, error) {
	end := time.NewTimer(d)
	defer end.Stop()
	for {
		m.mu.Lock()
		more := len(m.order) > 0 && m.order[len(m.order)-1] > after
		added := m.added
		m.mu.Unlock()
		if more {
			return true, nil
		}
		select {
		case <-end.C:
			return false, nil
		case <-ctx.Done():
			return false, ctx.Err()
		case <-added:
		}
	}
}

func (m *memory) Done(ctx context.Context, ids []string) error {
	return m.call(ctx, "done", func() error {
		for _, id := range ids {
			delete(m.entries, id)
			delete(m.taken, id)
		}
		close(m.removed)
		m.removed = make(chan struct{})
		m.order = slices.DeleteFunc(m.order, func(id string) bool { _, there := m.entries[id]; return !there })
		return nil
	})
}
