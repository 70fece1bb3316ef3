package inbox

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	mathrand "math/rand/v2"
	"sync/atomic"
	"time"
)

// Inbox is one gateway's part in the inbox. Its methods are safe for concurrent use.
type Inbox struct {
	store    Store   // static
	options  Options // static
	started  atomic.Bool
	counters counters
}

// New returns an inbox that works over store.
func New(store Store, options Options) (*Inbox, error) {
	o, err := options.withDefaults()
	if err != nil {
		return nil, err
	}
	return &Inbox{store: store, options: o}, nil
}

var errRunTwice = errors.New("inbox: runs once")

// Run stands by, and publishes what is in the inbox while this gateway is the active one, until ctx ends; then
// it lets publishes under way end, gives the lease back and returns nil. It owns every goroutine. A store that
// is away is tried again for ever. The broker must outlive it.
func (i *Inbox) Run(ctx context.Context) error {
	if i.started.Swap(true) {
		return errRunTwice
	}
	for ctx.Err() == nil {
		token := i.options.Gateway + "/" + rand.Text()
		if until, held := i.standBy(ctx, token); held {
			i.serve(ctx, token, until)
		}
	}
	return nil
}

// standBy tries for the lease until it has it, or ctx ends.
func (i *Inbox) standBy(ctx context.Context, token string) (deadline, bool) {
	var backoff backoff
	for ctx.Err() == nil {
		until, lease, err := i.hold(ctx, token, i.options.Timeout)
		switch {
		case err != nil:
			backoff.sleep(ctx)
		case lease.Held:
			return until, true
		default:
			backoff = 0
			// Somewhat after the end of the holder's lease, or earlier, for it may give it back.
			sleep(ctx, standByTime/2+mathrand.N(min(standByTime, max(lease.Left, time.Millisecond))))
		}
	}
	return deadline{}, false
}

// hold tries for the lease, or renews it, and returns until when it may be relied on.
func (i *Inbox) hold(ctx context.Context, token string, timeout time.Duration) (deadline, Lease, error) {
	ctx, cancel := context.WithTimeout(ctx, timeout)
	defer cancel()
	asked := time.Now()
	lease, err := i.store.Hold(ctx, token, i.options.LeaseTTL)
	if err != nil {
		i.failed(ctx, err, "hold")
		return deadline{}, lease, fmt.Errorf("hold the lease: %w", err)
	}
	i.counters.lease.Store(&seen{lease, time.Now()})
	// Counted from before the call, and less than the store counts: clocks do not run equally fast.
	return deadlineAt(asked.Add(i.options.LeaseTTL * 9 / 10)), lease, nil
}

// failed counts and logs a call of the store that failed.
func (i *Inbox) failed(ctx context.Context, err error, call string) {
	if errors.Is(ctx.Err(), context.Canceled) {
		return
	}
	i.counters.errors.Add(1)
	i.options.Log.Debug().Str("event", "inbox_error").Str("call", call).Err(err).Msg("a call of the inbox failed")
}

// deadline is a moment by both clocks: the monotonic one stands still while a machine is suspended, the other
// one can be set.
type deadline struct{ monotonic, wall time.Time }

func deadlineAt(t time.Time) deadline { return deadline{t, t.Round(0)} }

// passed reports whether the moment has come by either clock.
func (d deadline) passed() bool {
	now := time.Now()
	return !now.Before(d.monotonic) || !now.Round(0).Before(d.wall)
}

// backoff is the bound of the next pause; 0 for the first.
type backoff time.Duration

// next returns a pause with full jitter, and doubles the bound.
func (b *backoff) next() time.Duration {
	*b = min(max(2**b, backoff(backoffMin)), backoff(backoffMax))
	return mathrand.N(time.Duration(*b)) + time.Millisecond
}

func (b *backoff) sleep(ctx context.Context) bool { return sleep(ctx, b.next()) }

// sleep waits and reports whether ctx is still alive.
func sleep(ctx context.Context, d time.Duration) bool {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return true
	case <-ctx.Done():
		return false
	}
}
