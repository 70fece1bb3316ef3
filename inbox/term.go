package inbox

import (
	"context"
	"errors"
	"sync"
	"sync/atomic"
	"time"
)

// term is one time as the active gateway. Everything that it holds is dropped at its end: the next term,
// wherever it is, is given again by the store what is not done.
type term struct {
	*Inbox
	token  string
	until  atomic.Pointer[deadline] // when the lease ends unless it is renewed
	window *window
	taken  chan []job // from the reader to the dispatcher
	done   *doneList
}

var errTermEnds = errors.New("the term ends")

// serve is a term, from the lease to its loss or the end of ctx.
func (i *Inbox) serve(ctx context.Context, token string, until deadline) {
	t := &term{
		Inbox: i, token: token,
		window: newWindow(i.options.MaxEntries, i.options.MaxBytes),
		taken:  make(chan []job), done: newDoneList(),
	}
	t.until.Store(&until)
	i.counters.window.Store(t.window)
	i.counters.active.Store(true)
	i.counters.terms.Add(1)
	i.options.Log.Info().Str("event", "inbox_active").Str("token", token).Msg("this gateway takes from the inbox")

	termCtx, end := context.WithCancelCause(ctx)
	var work, last sync.WaitGroup
	work.Go(func() { end(t.renew(termCtx)) })
	work.Go(func() { end(t.read(termCtx)) })
	last.Go(func() { t.acknowledge(termCtx) })
	t.dispatch(termCtx)
	end(errTermEnds)
	work.Wait()
	t.done.close()
	last.Wait()

	i.counters.active.Store(false)
	i.counters.window.Store(nil)
	t.release(ctx) // also a lease that only this gateway takes for lost: it is to be had again
	if errors.Is(context.Cause(termCtx), ErrLost) {
		i.counters.lost.Add(1)
		i.options.Log.Warn().Str("event", "inbox_lost").Str("token", token).Msg("the lease on the inbox is lost; another gateway may take from it")
		return
	}
	i.options.Log.Info().Str("event", "inbox_released").Str("token", token).Msg("this gateway no longer takes from the inbox")
}

// release gives the lease back, so that another gateway need not wait for its end.
func (t *term) release(ctx context.Context) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), t.options.Timeout)
	defer cancel()
	if err := t.store.Release(ctx, t.token); err != nil {
		t.failed(ctx, err, "release")
	}
}

// renew keeps the lease until ctx ends. It returns ErrLost where the lease could not be kept.
func (t *term) renew(ctx context.Context) error {
	every := t.options.LeaseTTL / 3
	for sleep(ctx, every) {
		var backoff backoff
		for {
			until, lease, err := t.hold(ctx, t.token, every)
			switch {
			case ctx.Err() != nil:
				return errTermEnds
			case t.until.Load().passed(), err == nil && !lease.Held:
				return ErrLost // in between, somebody else may have held it and given it back
			case err == nil:
				t.until.Store(&until)
			default:
				sleep(ctx, min(backoff.next(), every/2))
				continue
			}
			break
		}
	}
	return errTermEnds
}

// read takes entries and judges them until ctx ends. It returns ErrLost where somebody else has the lease.
func (t *term) read(ctx context.Context) error {
	after := "0-0"
	var backoff backoff
	for {
		room := t.window.room(ctx)
		if room == 0 {
			return errTermEnds
		}
		batch, err := t.take(ctx, after, min(room, takeLimit))
		switch {
		case errors.Is(err, ErrLost):
			return ErrLost
		case err != nil:
			if !backoff.sleep(ctx) {
				return errTermEnds
			}
			continue
		case len(batch.Entries) == 0:
			if !t.wait(ctx, after, &backoff) {
				return errTermEnds
			}
			continue
		}
		backoff = 0
		after = batch.Entries[len(batch.Entries)-1].ID
		if !t.hand(ctx, batch) {
			return errTermEnds
		}
	}
}

func (t *term) take(ctx context.Context, after string, limit int) (Batch, error) {
	ctx, cancel := context.WithTimeout(ctx, t.options.Timeout)
	defer cancel()
	batch, err := t.store.Take(ctx, t.token, after, limit)
	if err != nil && !errors.Is(err, ErrLost) {
		t.failed(ctx, err, "take")
	}
	return batch, err //nolint:wrapcheck // told apart and dropped by the caller
}

// wait waits until there is something to take, and reports whether ctx is still alive. Where the store says so
// and there is nothing, again and again, the pauses grow.
func (t *term) wait(ctx context.Context, after string, backoff *backoff) bool {
	callCtx, cancel := context.WithTimeout(ctx, waitTime+t.options.Timeout)
	defer cancel()
	began := *backoff
	more, err := t.store.Wait(callCtx, after, waitTime)
	switch {
	case err != nil:
		t.failed(callCtx, err, "wait")
		return backoff.sleep(ctx)
	case !more:
		*backoff = 0
	case began > 0: // it said so the last time, too
		return backoff.sleep(ctx)
	default:
		*backoff = 1
	}
	return ctx.Err() == nil
}

// hand gives a batch to the dispatcher.
func (t *term) hand(ctx context.Context, batch Batch) bool {
	jobs, bytes := make([]job, len(batch.Entries)), 0
	for n, e := range batch.Entries {
		jobs[n] = t.judge(e)
		bytes += jobs[n].size
	}
	n := uint64(len(jobs))
	t.counters.taken.Add(n)
	if batch.Claimed {
		t.counters.claimed.Add(n)
	}
	t.window.add(len(jobs), bytes)
	select {
	case t.taken <- jobs:
		return true
	case <-ctx.Done():
		return false
	}
}

// held reports whether the lease may be relied on, and the time until which it may.
func (t *term) held() (time.Time, bool) {
	d := t.until.Load()
	return d.monotonic, !d.passed()
}
