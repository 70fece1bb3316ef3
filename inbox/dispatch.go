package inbox

import (
	"context"
	"errors"
	"slices"
	"sync"
	"time"

	"github.com/tallywire/tallywire/broker"
	"github.com/tallywire/tallywire/gateway/wire"
)

// lane is what waits for a channel, in order. It is owned by the dispatcher.
type lane struct {
	channel string
	jobs    []job
	// refused and unburied are since when the store refuses the channel's events, and its letters. Once patience
	// is at an end, what comes behind gets one try: a channel must not fill the window.
	refused, unburied time.Time
	backoff           backoff
	wake              time.Time // not to be tried before
}

// result is what became of the first job of a lane.
type result struct {
	lane    *lane
	receipt broker.Receipt
	err     error
}

// dispatcher publishes jobs: of each lane one after another, of at most Concurrency lanes at the same time. Its
// fields are owned by the goroutine of dispatch, the channels aside.
type dispatcher struct {
	*term
	lanes   map[string]*lane
	ready   []*lane // to be tried as soon as there is room
	waiting []*lane // to be tried later
	flying  int
	results chan result // room for every lane that flies
	buriers sync.WaitGroup
}

// dispatch works until ctx has ended and nothing is under way any more.
func (t *term) dispatch(ctx context.Context) {
	d := &dispatcher{term: t, lanes: map[string]*lane{}, results: make(chan result, t.options.Concurrency)}
	defer d.buriers.Wait()
	timer := time.NewTimer(time.Hour)
	defer timer.Stop()
	ended := ctx.Done()
	for {
		timer.Reset(d.wakeLanes(time.Now()))
		d.start(ctx)
		if ctx.Err() != nil && d.flying == 0 {
			return
		}
		select {
		case jobs := <-t.taken:
			d.queue(jobs)
		case r := <-d.results:
			d.flying--
			d.settle(r)
		case <-timer.C:
		case <-ended:
			ended = nil
		}
	}
}

func (d *dispatcher) queue(jobs []job) {
	for _, j := range jobs {
		name := j.lane()
		l := d.lanes[name]
		if l == nil {
			l = &lane{channel: name}
			d.lanes[name] = l
			d.ready = append(d.ready, l)
		}
		l.jobs = append(l.jobs, j)
	}
}

// wakeLanes makes the lanes ready whose time has come, and returns how long until the next one's.
func (d *dispatcher) wakeLanes(now time.Time) time.Duration {
	next := time.Hour
	d.waiting = slices.DeleteFunc(d.waiting, func(l *lane) bool {
		if left := l.wake.Sub(now); left > 0 {
			next = min(next, left)
			return false
		}
		d.ready = append(d.ready, l)
		return true
	})
	return next
}

// start tries the first jobs of ready lanes, while the lease may be relied on.
func (d *dispatcher) start(ctx context.Context) {
	for len(d.ready) > 0 && d.flying < d.options.Concurrency && ctx.Err() == nil {
		until, held := d.held()
		if !held {
			return // the term is about to end
		}
		l := d.ready[0]
		d.ready = d.ready[1:]
		d.flying++
		if limit := time.Now().Add(d.options.Timeout); limit.Before(until) {
			until = limit
		}
		d.try(ctx, l, until)
	}
}

// try publishes or buries the first job of a lane. It is not sent after the given time, so that what a gateway
// without a lease may still repeat is what was under way when it lost it.
func (d *dispatcher) try(ctx context.Context, l *lane, until time.Time) {
	ctx, cancel := context.WithDeadline(context.WithoutCancel(ctx), until)
	if letter := l.jobs[0].letter; letter != nil {
		d.buriers.Go(func() {
			defer cancel()
			d.results <- result{lane: l, err: d.options.Dead.Bury(ctx, *letter)}
		})
		return
	}
	d.options.Broker.Publish(ctx, l.jobs[0].publish, func(r broker.Receipt, err error) {
		cancel()
		d.results <- result{l, r, err}
	})
}

// settle takes the result of a lane's first job.
func (d *dispatcher) settle(r result) {
	l, now := r.lane, time.Now()
	letter, since := l.jobs[0].letter, &l.refused
	if letter != nil {
		since = &l.unburied
	}
	if r.err == nil {
		*since = time.Time{}
		d.succeeded(letter != nil, r.receipt)
		d.finished(l)
		return
	}
	if !errors.Is(r.err, broker.ErrRefused) || d.options.Passing(r.err) {
		d.later(l, now)
		return
	}
	if since.IsZero() {
		*since = now
	}
	switch {
	case now.Sub(*since) < d.options.Patience:
		d.later(l, now)
	case letter == nil:
		l.jobs[0] = l.jobs[0].refuse(wire.CodeRefused, r.err.Error())
		d.ready = append(d.ready, l)
	default:
		d.counters.lettersLost.Add(1)
		d.options.Log.Error().Str("event", "inbox_letter_lost").Str("channel", letter.Channel).Str("code", letter.Code).
			Str("reason", letter.Reason).Err(r.err).Msg("an entry that cannot be published could not be kept among the dead letters")
		d.finished(l)
	}
}

func (d *dispatcher) succeeded(buried bool, receipt broker.Receipt) {
	if buried {
		d.counters.refused.Add(1)
		return
	}
	d.counters.published.Add(1)
	if receipt.Duplicate {
		d.counters.duplicates.Add(1)
	}
}

// finished takes a lane's first job away, and goes on with the next.
func (d *dispatcher) finished(l *lane) {
	d.done.add(l.jobs[0])
	l.jobs[0] = job{} // its event may go
	l.jobs = l.jobs[1:]
	l.backoff = 0
	if len(l.jobs) == 0 {
		delete(d.lanes, l.channel)
		return
	}
	d.ready = append(d.ready, l)
}

// later tries a lane again after a while.
func (d *dispatcher) later(l *lane, now time.Time) {
	d.counters.retried.Add(1)
	l.wake = now.Add(l.backoff.next())
	d.waiting = append(d.waiting, l)
}
