package engine

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	mathrand "math/rand/v2"
	"sync"
	"sync/atomic"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/tallywire/tallywire/presence"
)

// Engine is a tracker over a Store. All methods are safe for concurrent use.
type Engine struct {
	store   Store            // static
	options presence.Options // static
	marker  string           // static: makes this tracker's claims unique

	sink    atomic.Pointer[presence.Sink] // set once, by Run
	ended   chan struct{}                 // closed when Run's context has ended
	pages   *pages
	stats   counters
	wake    chan struct{} // buffered by one: the writer has something to do
	suspect chan struct{} // buffered by one: the lease may be void
	seek    chan struct{} // buffered by one: the reaper looks at the index now
	timer   chan struct{} // buffered by one: the grace timers have changed
	listing chan struct{} // buffered by one: held while lists are changed, see lists.go

	mu      sync.Mutex
	owner   Owner           // guarded by mu; incarnation 0 while there is no lease
	quiet   time.Time       // guarded by mu: until then the reaper leaves others alone
	table   map[key]*local  // guarded by mu
	members int             // guarded by mu: those of table that are in a channel
	dirty   []*local        // guarded by mu: what the store does not know yet, oldest first
	lists   map[string]*use // guarded by mu: the channels in use, by name
	tidy    bool            // guarded by mu: the writer unlists what is not in use
	due     dues            // guarded by mu
	stopped bool            // guarded by mu: Run's context has ended
}

// New returns an engine; nothing happens before Run or a call.
func New(store Store, o presence.Options) (*Engine, error) {
	o, err := o.WithDefaults()
	if err != nil {
		return nil, err
	}
	return &Engine{
		store: store, options: o, marker: rand.Text()[:12] + ".",
		ended: make(chan struct{}), pages: newPages(),
		wake: make(chan struct{}, 1), suspect: make(chan struct{}, 1), seek: make(chan struct{}, 1),
		timer: make(chan struct{}, 1), listing: make(chan struct{}, 1),
		table: map[key]*local{}, lists: map[string]*use{}, due: dues{at: map[string]time.Time{}},
	}, nil
}

var errRunTwice = errors.New("run: a tracker runs once")

// Run implements presence.Tracker.
func (e *Engine) Run(ctx context.Context, sink presence.Sink) error {
	if !e.sink.CompareAndSwap(nil, &sink) {
		return errRunTwice
	}
	g, ctx := errgroup.WithContext(ctx)
	g.Go(func() error { e.holdLease(ctx); return nil })
	g.Go(func() error { e.write(ctx); return nil })
	g.Go(func() error { e.reapLoop(ctx); return nil })
	g.Go(func() error { e.expireLoop(ctx); return nil })
	err := g.Wait()
	e.stop()
	e.leave(context.WithoutCancel(ctx))
	return err
}

// stop lets every call that waits return.
func (e *Engine) stop() {
	e.mu.Lock()
	e.stopped = true
	e.mu.Unlock()
	close(e.ended)
}

// leave gives the lease up. What is still here goes into grace, counted from now, by the hands of the
// gateways that are left.
func (e *Engine) leave(ctx context.Context) {
	e.mu.Lock()
	owner, rest := e.owner, len(e.table)+len(e.due.at)
	e.mu.Unlock()
	if owner.Incarnation == 0 {
		return
	}
	ctx, cancel := e.within(ctx)
	defer cancel()
	var err error
	if rest == 0 {
		err = e.store.Forget(ctx, owner)
	} else {
		err = e.store.Release(ctx, owner, e.options.TTL)
	}
	if err != nil {
		e.stats.failures.Add(1) // the lease ends by itself
	}
}

// Hear tells the sink of a change.
func (e *Engine) Hear(c presence.Change) {
	if s := e.sink.Load(); s != nil {
		e.stats.changes.Add(1)
		(*s).Change(c)
	}
}

// Stale tells the sink that changes of a channel (or of all, "") may have been missed.
func (e *Engine) Stale(channel string) {
	if s := e.sink.Load(); s != nil {
		e.stats.stale.Add(1)
		(*s).Stale(channel)
	}
}

// Members implements presence.Tracker.
func (e *Engine) Members(ctx context.Context, channel string, r presence.PageRequest) (presence.Page, error) {
	if err := checkPage(channel, r); err != nil {
		return presence.Page{}, fmt.Errorf("members: %w", err)
	}
	r = r.WithDefaults()
	inner, cancel := e.within(ctx)
	defer cancel()
	asked := time.Now()
	page, err := e.store.Page(inner, channel, r)
	if err == nil {
		e.pages.put(channel, r, page, asked)
		return page, nil
	}
	if ctx.Err() == nil && errors.Is(err, presence.ErrUnavailable) {
		if page, ok := e.pages.get(channel, r); ok {
			e.stats.stalePages.Add(1)
			return page, nil
		}
	}
	return presence.Page{}, fmt.Errorf("members of %s: %w", channel, err)
}

func (e *Engine) within(ctx context.Context) (context.Context, context.CancelFunc) {
	return context.WithTimeout(ctx, e.options.Timeout)
}

// hold returns the current incarnation.
func (e *Engine) hold() (Owner, bool) {
	e.mu.Lock()
	defer e.mu.Unlock()
	return e.owner, e.owner.Incarnation != 0
}

// poke signals a channel that is buffered by one.
func poke(c chan struct{}) {
	select {
	case c <- struct{}{}:
	default:
	}
}

// pause waits for d or until ctx ends.
func pause(ctx context.Context, d time.Duration) {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
	case <-ctx.Done():
	}
}

// jitter returns between 90 % and all of d.
func jitter(d time.Duration) time.Duration { return d - mathrand.N(d/10+1) }
