package mempresence

import (
	"context"
	"fmt"
	"sync"
	"sync/atomic"

	"github.com/tallywire/tallywire/presence"
)

// faults keep the store from a tracker. They are set by Faults only.
type faults struct {
	cut atomic.Bool // every call fails, nothing is heard

	mu      sync.Mutex
	stalled chan struct{} // guarded by mu: closed at the end of a stall; nil without one
}

// pass waits while the view is stalled and reports whether the store can be reached.
func (f *faults) pass(ctx context.Context) error {
	f.mu.Lock()
	stalled := f.stalled
	f.mu.Unlock()
	if stalled != nil {
		select {
		case <-stalled:
		case <-ctx.Done():
			return fmt.Errorf("%w: %w", presence.ErrUnavailable, ctx.Err())
		}
	}
	if f.cut.Load() {
		return presence.ErrUnavailable
	}
	return nil
}

// Faults damages what lies between a store and one of its trackers.
type Faults struct{ v *view }

// ForTest returns the means to damage the way from the store to the tracker, for tests.
func (t *Tracker) ForTest() Faults { return Faults{t.view} }

// Cut takes the store away: calls fail, changes are not heard.
func (x Faults) Cut() { x.v.faults.cut.Store(true) }

// Stall keeps calls waiting, as in a process that is stopped.
func (x Faults) Stall() {
	f := &x.v.faults
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.stalled == nil {
		f.stalled = make(chan struct{})
	}
}

// Heal ends both.
func (x Faults) Heal() {
	f := &x.v.faults
	if f.cut.Swap(false) {
		x.v.missed()
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.stalled != nil {
		close(f.stalled)
		f.stalled = nil
	}
}
