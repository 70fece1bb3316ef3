package auth

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"net/http"
	"sync"
	"sync/atomic"
	"time"

	"github.com/rs/zerolog"
)

// remoteKeys caches the key set of one issuer. Safe for concurrent use.
//
// Nothing but the configured URL is ever asked, one request at a time, and no more often than once a
// cooldown, whatever the tokens say. A set that cannot be replaced is used for as long as keep.
type remoteKeys struct {
	source   IssuerKeys    // static
	client   *http.Client  // static
	every    time.Duration // static
	cooldown time.Duration // static
	keep     time.Duration // static
	timeout  time.Duration // static
	clock    func() time.Time
	log      zerolog.Logger

	good atomic.Pointer[goodKeys] // nil until the first set

	mu      sync.Mutex
	flight  *flight   // guarded by mu; nil while no request is under way
	started time.Time // guarded by mu; when the last request began
	lastErr error     // guarded by mu; how the last request ended

	fetches  atomic.Uint64
	failures atomic.Uint64
}

// goodKeys is a set and when it was had.
type goodKeys struct {
	*publishedKeys
	fetched time.Time
}

// flight is a request under way. err is valid once done is closed.
type flight struct {
	done chan struct{}
	err  error
}

func newRemoteKeys(source IssuerKeys, o *Options, client *http.Client) *remoteKeys {
	return &remoteKeys{
		source: source, client: client,
		every: o.KeysEvery, cooldown: o.KeysCooldown, keep: o.KeysKeep, timeout: o.KeysTimeout,
		clock: o.Clock, log: o.Log,
	}
}

// find returns the key that a token names. It asks the issuer when the set does not have the key, or is too
// old to be used.
func (r *remoteKeys) find(ctx context.Context, u unverified) (any, *Error) {
	if key, _ := r.cached(u); key != nil {
		return key, nil
	}
	// Others wait for the answer too, and the next request is a cooldown away: once begun, it goes on
	// until the timeout even when this caller leaves.
	err := r.refresh(ctx, context.WithoutCancel(ctx))
	key, usable := r.cached(u)
	switch {
	case key != nil:
		return key, nil
	case err == nil && usable:
		return nil, unauthorized("the token's key is unknown")
	default:
		// With a newer set the token might be good.
		return nil, &Error{
			Code: CodeKeysUnavailable, Message: "the issuer's keys cannot be had now", Retry: true, cause: err,
		}
	}
}

// cached returns the key, and whether the set is young enough to be used at all.
func (r *remoteKeys) cached(u unverified) (key any, usable bool) {
	good := r.good.Load()
	if good == nil || r.clock().Sub(good.fetched) > r.keep {
		return nil, false
	}
	return good.find(u), true
}

// refresh replaces the set, unless the last request began less than the cooldown ago: then it returns how
// that one ended. ctx ends waiting for another's request, requestCtx a request of its own.
func (r *remoteKeys) refresh(ctx, requestCtx context.Context) error {
	r.mu.Lock()
	if f := r.flight; f != nil {
		r.mu.Unlock()
		select {
		case <-f.done:
			return f.err
		case <-ctx.Done():
			return ctx.Err()
		}
	}
	now := r.clock()
	if !r.started.IsZero() && now.Sub(r.started) < r.cooldown {
		err := r.lastErr
		r.mu.Unlock()
		return err
	}
	f := &flight{done: make(chan struct{}), err: errors.New("the fetch did not end")}
	r.flight, r.started = f, now
	r.mu.Unlock()

	defer func() {
		r.mu.Lock()
		r.flight, r.lastErr = nil, f.err
		r.mu.Unlock()
		close(f.done)
	}()
	f.err = r.fetch(requestCtx)
	return f.err
}

func (r *remoteKeys) fetch(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, r.timeout)
	defer cancel()
	r.fetches.Add(1)
	keys, err := fetchKeys(ctx, r.client, r.source.URL)
	if err != nil {
		r.failures.Add(1)
		r.log.Warn().Str("event", "keys_failed").Err(err).Str("issuer", r.source.Issuer).Msg("keys not refreshed")
		return fmt.Errorf("keys of %q: %w", r.source.Issuer, err)
	}
	r.good.Store(&goodKeys{publishedKeys: keys, fetched: r.clock()})
	return nil
}

// run keeps the set fresh until ctx ends.
func (r *remoteKeys) run(ctx context.Context) {
	for ctx.Err() == nil {
		wait := r.every - jitter(r.every/10)
		if r.refresh(ctx, ctx) != nil {
			wait = min(wait, r.cooldown+jitter(r.cooldown))
		}
		if !pause(ctx, wait) {
			return
		}
	}
}

// pause waits for d, and reports false when ctx ended first.
func pause(ctx context.Context, d time.Duration) bool {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return true
	case <-ctx.Done():
		return false
	}
}

// jitter returns a random duration in [0, d].
func jitter(d time.Duration) time.Duration {
	return rand.N(d + 1)
}
