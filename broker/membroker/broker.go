package membroker

import (
	"context"
	"errors"
	"fmt"
	"sync/atomic"

	"github.com/tallywire/tallywire/broker"
)

// Broker is one gateway's view of a Store. It implements [broker.Broker]. Publishes, reads and
// subscriptions work from the start; deliveries begin with Run, which tells the head of every
// channel that was subscribed before. When Run has returned, every method gives ErrUnavailable.
type Broker struct {
	store *Store // static

	sink  atomic.Pointer[broker.Sink] // set once, by Run
	ended atomic.Bool                 // set when Run's context has ended
	cut   atomic.Bool                 // set by Faults only
	wake  chan struct{}               // buffered by one: Run looks at cut and outage again
}

var _ broker.Broker = (*Broker)(nil)

// Publish implements [broker.Broker]. It keeps p.Event, appends, tells the sinks of all subscribed
// brokers and calls done before it returns. The only wait is for publications to the same channel that
// were there before; where Options.MaxQueue of them are, done gets ErrOverloaded.
func (b *Broker) Publish(ctx context.Context, p broker.Publication, done func(broker.Receipt, error)) {
	done(b.publish(ctx, p))
}

func (b *Broker) publish(ctx context.Context, p broker.Publication) (broker.Receipt, error) {
	if err := b.usable(ctx); err != nil {
		return broker.Receipt{}, fmt.Errorf("publish to %s: %w", p.Channel, err)
	}
	if len(p.Event) == 0 {
		return broker.Receipt{}, fmt.Errorf("publish to %s: empty event: %w", p.Channel, broker.ErrRefused)
	}
	if p.Ephemeral {
		if c := b.store.find(p.Channel); c != nil {
			return broker.Receipt{}, c.signal(p.Event)
		}
		return broker.Receipt{}, nil // nobody listens
	}
	for {
		c, err := b.store.obtain(p.Channel)
		if err != nil {
			return broker.Receipt{}, err
		}
		if r, ok, err := c.publish(&p); ok {
			return r, err
		}
	}
}

// Subscribe implements [broker.Broker].
func (b *Broker) Subscribe(ctx context.Context, name string) (broker.Head, error) {
	for {
		if err := b.usable(ctx); err != nil {
			return broker.Head{}, fmt.Errorf("subscribe %s: %w", name, err)
		}
		c, err := b.store.obtain(name)
		if err != nil {
			return broker.Head{}, err
		}
		if h, ok, err := c.subscribe(b); ok {
			return h, err
		}
	}
}

// Unsubscribe implements [broker.Broker].
func (b *Broker) Unsubscribe(name string) {
	if c := b.store.find(name); c != nil {
		c.unsubscribe(b)
	}
}

// usable reports why the broker cannot do anything now, or nil.
func (b *Broker) usable(ctx context.Context) error {
	switch {
	case ctx.Err() != nil:
		return ctx.Err()
	case b.ended.Load():
		return fmt.Errorf("%w: the broker has ended", broker.ErrUnavailable)
	case b.away():
		return broker.ErrUnavailable
	}
	return nil
}

// away reports whether a fault keeps the store from the broker.
func (b *Broker) away() bool { return b.cut.Load() || b.store.outage.Load() }

// hears returns the sink, or nil when nothing reaches it.
func (b *Broker) hears() broker.Sink {
	s := b.sink.Load()
	if s == nil || b.away() {
		return nil
	}
	return *s
}

func (b *Broker) deliver(name string, e broker.Entry) {
	if s := b.hears(); s != nil {
		s.Deliver(name, e)
	}
}

func (b *Broker) signal(name string, event []byte) {
	if s := b.hears(); s != nil {
		s.Signal(name, event)
	}
}

func (b *Broker) head(name string, h broker.Head) {
	if s := b.hears(); s != nil {
		s.Head(name, h)
	}
}

// errRunTwice is a mistake of the caller.
var errRunTwice = errors.New("run: a broker runs once")
