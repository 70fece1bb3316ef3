package engine

import (
	"context"
	"encoding/json"
	"math/rand/v2"
	"time"

	"github.com/tallywire/tallywire/presence"
)

// info is what a lease carries.
type info struct {
	Version string          `json:"version,omitempty"`
	Address string          `json:"address,omitempty"`
	Start   time.Time       `json:"start"`
	Report  presence.Report `json:"report"`
}

func (e *Engine) info() []byte {
	i := info{Version: e.options.Version, Address: e.options.Address, Start: e.options.Start}
	if s := e.sink.Load(); s != nil {
		i.Report = (*s).Report()
	}
	b, err := json.Marshal(i)
	if err != nil {
		return []byte("{}") // cannot be: no field can fail
	}
	return b
}

// holdLease keeps a lease until ctx ends: a new incarnation whenever the one before is void.
func (e *Engine) holdLease(ctx context.Context) {
	backoff := firstBackoff
	for ctx.Err() == nil {
		inner, cancel := e.within(ctx)
		owner, err := e.store.Acquire(inner, e.options.Gateway, e.options.TTL, e.info())
		cancel()
		if err != nil {
			e.stats.failures.Add(1)
			e.beQuiet()
			e.failWaiting(err)
			pause(ctx, rand.N(backoff)+backoff/2)
			backoff = min(2*backoff, e.lastBackoff())
			continue
		}
		backoff = firstBackoff
		e.begin(owner)
		if e.refresh(ctx, owner); ctx.Err() != nil {
			return
		}
		e.void()
	}
}

// begin makes owner the current incarnation: everything that is here has to be told again.
func (e *Engine) begin(owner Owner) {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.owner = owner
	e.stats.incarnations.Add(1)
	for _, u := range e.lists {
		u.listed = false
	}
	for _, l := range e.table {
		if !l.moved {
			e.queueLocked(l)
		}
	}
	poke(e.wake)
	poke(e.seek)
}

// void ends the current incarnation. Whatever took our lease may have taken those of others too, so that
// they get the time to take new ones before they are reaped.
func (e *Engine) void() {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.owner = Owner{}
	e.quiet = time.Now().Add(e.options.TTL)
	e.stats.voids.Add(1)
}

func (e *Engine) beQuiet() {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.quiet = time.Now().Add(e.options.TTL)
}

// refresh refreshes the lease at a third of its lifetime, with one command. It returns when the
// lease is void, or when ctx ends.
func (e *Engine) refresh(ctx context.Context, owner Owner) {
	rewrite := time.Now()
	wait := jitter(e.options.TTL / 3)
	timer := time.NewTimer(wait)
	defer timer.Stop()
	for {
		select {
		case <-timer.C:
		case <-e.suspect:
		case <-ctx.Done():
			return
		}
		inner, cancel := e.within(ctx)
		ok, err := e.store.Refresh(inner, owner, e.options.TTL, e.info())
		cancel()
		switch {
		case err != nil:
			e.stats.failures.Add(1)
			e.beQuiet()
			wait = jitter(e.options.TTL / 10)
		case !ok:
			return
		default:
			e.stats.refreshes.Add(1)
			wait = jitter(e.options.TTL / 3)
			e.tidyUp(&rewrite)
		}
		timer.Reset(wait)
	}
}

// tidyUp asks the writer to unlist what is not in use, and to write sessions again that would expire.
func (e *Engine) tidyUp(rewrite *time.Time) {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.tidy = true
	poke(e.wake)
	every := e.options.SessionTTL / 20
	if time.Since(*rewrite) < every {
		return
	}
	*rewrite = time.Now()
	for _, l := range e.table {
		if l.channel == "" && !l.moved && time.Since(l.at) > e.options.SessionTTL/2 {
			e.queueLocked(l)
		}
	}
}
