package reconcile

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"time"

	"github.com/tallywire/tallywire/events"
)

// Publisher publishes events. Run calls it from one goroutine, with one event at a time, so that the
// events of a channel keep their order. An event whose publish failed is published again with the
// same id, which a channel answers as a duplicate if the first one did arrive after all.
type Publisher interface {
	Publish(ctx context.Context, channel string, event events.Event) error
}

// BatchPublisher is a [Publisher] that can send several events in one go, which counts when every round
// trip is a millisecond. Events of a channel keep their order, but for one case: where an event fails and
// those behind it do not, it comes after them when the whole batch is published again.
type BatchPublisher interface {
	PublishBatch(ctx context.Context, batch []Publication) error
}

// Publication is an event on its way to a channel.
type Publication struct {
	Channel string
	Event   events.Event
}

// ErrRefused is wrapped by a publisher's error that a repetition will not change: an invalid event, a
// missing permission.
var ErrRefused = errors.New("publication refused")

// Bounds of publishing.
const (
	maxBatch       = 64
	publishTries   = 6
	publishTimeout = 5 * time.Second
	firstBackoff   = 100 * time.Millisecond
	maxBackoff     = 3 * time.Second
)

// outbox collects at most maxBatch events and publishes them in order. It is for one goroutine.
type outbox struct {
	to      Publisher
	pending []Publication
	retries int // publishes that were repeated
}

// add queues an event, and publishes when the batch is full.
func (o *outbox) add(ctx context.Context, p Publication) error {
	o.pending = append(o.pending, p)
	if len(o.pending) < maxBatch {
		return nil
	}
	return o.flush(ctx)
}

// flush publishes what is queued. After an error the events that may not have arrived are still queued.
func (o *outbox) flush(ctx context.Context) error {
	if batch, ok := o.to.(BatchPublisher); ok && len(o.pending) > 1 {
		err := o.try(ctx, func(ctx context.Context) error { return batch.PublishBatch(ctx, o.pending) })
		if err != nil {
			return err
		}
		o.pending = o.pending[:0]
		return nil
	}
	for n, p := range o.pending {
		err := o.try(ctx, func(ctx context.Context) error { return o.to.Publish(ctx, p.Channel, p.Event) })
		if err != nil {
			o.pending = o.pending[n:]
			return err
		}
	}
	o.pending = o.pending[:0]
	return nil
}

// try calls publish until it succeeds, is refused, or has failed publishTries times.
func (o *outbox) try(ctx context.Context, publish func(context.Context) error) error {
	backoff := firstBackoff
	for n := 1; ; n++ {
		attempt, cancel := context.WithTimeout(ctx, publishTimeout)
		err := publish(attempt)
		cancel()
		switch {
		case err == nil:
			return nil
		case ctx.Err() != nil:
			return ctx.Err()
		case errors.Is(err, ErrRefused) || n == publishTries:
			return &PublishError{Tries: n, Err: err}
		}
		o.retries++
		if err := sleep(ctx, backoff/2+rand.N(backoff/2)); err != nil {
			return err
		}
		backoff = min(2*backoff, maxBackoff)
	}
}

// PublishError tells that events could not be published.
type PublishError struct {
	Tries int
	Err   error
}

// Error returns "publish (tried 6 times): …".
func (e *PublishError) Error() string {
	return fmt.Sprintf("publish (tried %s): %v", plural(e.Tries, "time"), e.Err)
}

// Unwrap returns the last error of the publisher.
func (e *PublishError) Unwrap() error { return e.Err }
