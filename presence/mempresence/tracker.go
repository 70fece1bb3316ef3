package mempresence

import (
	"context"
	"slices"
	"sync/atomic"

	"golang.org/x/sync/errgroup"

	"github.com/tallywire/tallywire/presence"
	"github.com/tallywire/tallywire/presence/internal/engine"
)

// Tracker is one gateway's part in the presence of a Store. It implements [presence.Tracker] and
// [presence.Directory]; all methods are safe for concurrent use. Its sink is told the changes of every
// channel.
type Tracker struct {
	*engine.Engine
	view    *view
	started atomic.Bool
}

var (
	_ presence.Tracker   = (*Tracker)(nil)
	_ presence.Directory = (*Tracker)(nil)
)

// Run implements [presence.Tracker].
func (t *Tracker) Run(ctx context.Context, sink presence.Sink) error {
	if t.started.Swap(true) {
		return t.Engine.Run(ctx, sink) // says what is wrong
	}
	t.view.join()
	defer t.view.part()
	g, ctx := errgroup.WithContext(ctx)
	g.Go(func() error { return t.Engine.Run(ctx, sink) })
	g.Go(func() error { t.deliver(ctx); return nil })
	return g.Wait()
}

// deliver tells the sink what the store's channels tell, until ctx ends.
func (t *Tracker) deliver(ctx context.Context) {
	for {
		select {
		case c := <-t.view.queue:
			t.Hear(c)
		case <-t.view.recount:
			t.Overflow()
			t.Stale("")
		case <-ctx.Done():
			return
		}
	}
}

// view is a Store as one tracker sees it. It implements engine.Store.
type view struct {
	*Store
	queue   chan presence.Change // bounded; what does not fit is made good by recount
	recount chan struct{}        // buffered by one: changes were dropped
	faults  faults
}

// join and part let a view hear changes, or not any more.
func (v *view) join() {
	v.mu.Lock()
	defer v.mu.Unlock()
	v.trackers = append(v.trackers, v)
}

func (v *view) part() {
	v.mu.Lock()
	defer v.mu.Unlock()
	v.trackers = slices.DeleteFunc(v.trackers, func(x *view) bool { return x == v })
}

// tell queues a change. The caller holds Store.mu, so that changes are queued in their order.
func (v *view) tell(c presence.Change) {
	if v.faults.cut.Load() {
		return // Heal tells
	}
	select {
	case v.queue <- c:
	default:
		v.missed()
	}
}

// missed lets the sink know that changes were dropped.
func (v *view) missed() {
	select {
	case v.recount <- struct{}{}:
	default:
	}
}
