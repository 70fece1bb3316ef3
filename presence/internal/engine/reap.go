package engine

import (
	"context"
	"math/rand/v2"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/tallywire/tallywire/presence"
)

const (
	reapParallel = 8
	// reapSpread keeps gateways that see a lease end at the same moment from all doing the same work.
	reapSpread = 100 * time.Millisecond
	// reapLag keeps a look at a lease from coming a moment before it ends.
	reapLag = 5 * time.Millisecond
)

// neighbour is another incarnation as the reaper last saw it. It is owned by reapLoop.
type neighbour struct {
	Indexed
	refreshed time.Time // by the store's clock; zero while unknown
	look      time.Time // when its lease has to be looked at
	dead      bool
}

// reapLoop watches the leases of others until ctx ends. It reads the index at a third of the lease's
// lifetime, and a lease when it could have ended: so the end of a lease is seen at once, and gateways that
// are well cost less than one command per lifetime and neighbour.
func (e *Engine) reapLoop(ctx context.Context) {
	known := map[Owner]*neighbour{}
	timer := time.NewTimer(0)
	defer timer.Stop()
	var indexAt time.Time
	for {
		select {
		case <-timer.C:
		case <-e.seek:
			indexAt = time.Time{}
		case <-ctx.Done():
			return
		}
		if _, ok := e.hold(); !ok {
			timer.Reset(jitter(e.options.TTL / 3)) // begin seeks
			continue
		}
		if !time.Now().Before(indexAt) {
			if err := e.readIndex(ctx, known); err != nil {
				e.stats.failures.Add(1)
				timer.Reset(jitter(e.options.TTL / 10))
				continue
			}
			indexAt = time.Now().Add(jitter(e.options.TTL / 3))
		}
		e.lookAll(ctx, known)
		next := time.Until(indexAt)
		for _, n := range known {
			next = min(next, time.Until(n.look))
		}
		timer.Reset(max(next, time.Millisecond))
	}
}

// readIndex takes in which incarnations there are.
func (e *Engine) readIndex(ctx context.Context, known map[Owner]*neighbour) error {
	ctx, cancel := e.within(ctx)
	defer cancel()
	index, err := e.store.Index(ctx)
	if err != nil {
		return err
	}
	self, _ := e.hold()
	there := make(map[Owner]bool, len(index))
	for _, i := range index {
		if i.Owner == self {
			continue
		}
		there[i.Owner] = true
		n := known[i.Owner]
		if n == nil {
			n = &neighbour{}
			known[i.Owner] = n
		}
		if !i.Released.IsZero() && n.Released.IsZero() {
			n.look = time.Time{}
		}
		n.Indexed = i
	}
	for o := range known {
		if !there[o] {
			delete(known, o)
		}
	}
	return nil
}

// lookAll looks at the leases that could have ended, and reaps where one has.
func (e *Engine) lookAll(ctx context.Context, known map[Owner]*neighbour) {
	var due []*neighbour
	var gateways []string
	now := time.Now()
	for _, n := range known {
		if !n.look.After(now) {
			due = append(due, n)
			gateways = append(gateways, n.Gateway)
		}
	}
	if len(due) == 0 {
		return
	}
	inner, cancel := e.within(ctx)
	leases, err := e.store.Lookup(inner, gateways)
	cancel()
	if err != nil {
		e.stats.failures.Add(1)
		for _, n := range due {
			n.look = now.Add(jitter(e.options.TTL / 10))
		}
		return
	}
	for i, n := range due {
		e.judge(ctx, n, leases[i])
	}
}

// judge decides on an incarnation by its gateway's lease, and reaps it where it is dead.
func (e *Engine) judge(ctx context.Context, n *neighbour, l Lease) {
	now := time.Now()
	if l.Owner == n.Owner {
		n.refreshed, n.dead = l.Refreshed, false
		n.look = now.Add(l.Left + reapLag)
		return
	}
	e.mu.Lock()
	quiet := e.quiet
	e.mu.Unlock()
	if now.Before(quiet) {
		n.look = quiet
		return
	}
	if !n.dead { // just died: let one of us be first
		n.dead = true
		n.look = now.Add(rand.N(reapSpread))
		return
	}
	if err := e.reap(ctx, n.Owner, n.seen(l)); err != nil {
		e.stats.failures.Add(1)
		n.look = now.Add(jitter(e.options.TTL / 10))
		return
	}
	n.look = now.Add(e.options.TTL) // the index does not have it any more
}

// seen returns the latest moment, by the store's clock, at which a dead incarnation may have been alive.
// Where its last refresh was not seen, the end of its lease tells: at the latest now, or when another
// incarnation took it.
func (n *neighbour) seen(l Lease) time.Time {
	if !n.Released.IsZero() {
		return n.Released
	}
	at := l.Now.Add(-n.TTL)
	if l.Incarnation > n.Incarnation {
		at = time.UnixMicro(int64(l.Incarnation)) //nolint:gosec // microseconds since 1970
	}
	if !n.refreshed.IsZero() && n.refreshed.Before(at) {
		return n.refreshed
	}
	return at
}

// reap ends what a dead incarnation has left and forgets it. It may run on several gateways at once.
func (e *Engine) reap(ctx context.Context, dead Owner, seen time.Time) error {
	heir, ok := e.hold()
	if !ok {
		return errVoid
	}
	inner, cancel := e.within(ctx)
	channels, err := e.store.Close(inner, dead)
	cancel()
	if err != nil {
		return err
	}
	// Several gateways share the work if each begins somewhere else.
	rand.Shuffle(len(channels), func(i, j int) { //nolint:gosec // no secret
		channels[i], channels[j] = channels[j], channels[i]
	})
	e.adopt(channels, 1)
	defer e.adopt(channels, -1)
	if err := e.list(ctx, heir, channels); err != nil {
		return err
	}
	g, inner := errgroup.WithContext(ctx)
	g.SetLimit(reapParallel)
	for _, c := range channels {
		g.Go(func() error { return e.reapChannel(inner, c, dead, heir, seen) })
	}
	if err := g.Wait(); err != nil {
		return err
	}
	inner, cancel = e.within(ctx)
	defer cancel()
	if err := e.store.Forget(inner, dead); err != nil {
		return err
	}
	e.stats.reaped.Add(1)
	return nil
}

// adopt keeps channels listed while the sessions of a dead incarnation may pass to us.
func (e *Engine) adopt(channels []string, n int) {
	e.mu.Lock()
	defer e.mu.Unlock()
	for _, c := range channels {
		e.useLocked(c, n)
	}
}

func (e *Engine) reapChannel(ctx context.Context, channel string, dead, heir Owner, seen time.Time) error {
	for {
		if err := ctx.Err(); err != nil {
			return err
		}
		inner, cancel := e.within(ctx)
		sweep, err := e.store.Reap(inner, channel, dead, heir, seen)
		cancel()
		switch {
		case err != nil:
			return err
		case sweep.Void:
			poke(e.suspect)
			return errVoid
		}
		if sweep.Next >= 0 {
			e.mu.Lock()
			e.dueLocked(channel, sweep.Next)
			e.mu.Unlock()
		}
		if !sweep.More {
			return nil
		}
	}
}

// compile-time check of the contract.
var (
	_ presence.Tracker   = (*Engine)(nil)
	_ presence.Directory = (*Engine)(nil)
)
