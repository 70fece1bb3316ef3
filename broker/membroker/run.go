package membroker

import (
	"context"
	"math/rand/v2"
	"slices"
	"time"

	"github.com/tallywire/tallywire/broker"
)

// Run implements [broker.Broker]. It has no goroutine but the caller's: it reports health, tells the
// heads of the subscribed channels every few seconds, and sweeps what has expired. When it returns,
// the broker is unsubscribed everywhere and its sink is not called any more.
func (b *Broker) Run(ctx context.Context, sink broker.Sink) error {
	if !b.sink.CompareAndSwap(nil, &sink) {
		return errRunTwice
	}
	defer b.end()
	ok := !b.away()
	b.tellHealth(sink, ok)
	b.audit()
	timer := time.NewTimer(jitter(b.store.o.Audit))
	defer timer.Stop()
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-b.wake:
			now := !b.away()
			if now != ok {
				b.tellHealth(sink, now)
			}
			ok = now
			b.audit()
		case <-timer.C:
			b.store.sweep()
			b.audit()
			timer.Reset(jitter(b.store.o.Audit))
		}
	}
}

// audit tells the sink the head of every subscribed channel.
func (b *Broker) audit() {
	if b.away() {
		return
	}
	b.store.all(func(c *channel) { c.tellHead(b) })
}

func (b *Broker) tellHealth(sink broker.Sink, ok bool) {
	h := broker.Health{OK: ok, Since: b.store.o.Clock()}
	if !ok {
		h.Reason = "the store is away"
	}
	sink.Health(h)
}

// end unsubscribes everywhere, after the deliveries that are under way.
func (b *Broker) end() {
	b.ended.Store(true)
	b.store.all(func(c *channel) {
		c.turn.Lock()
		defer c.turn.Unlock()
		c.unsubscribe(b)
	})
	b.store.brokersMu.Lock()
	defer b.store.brokersMu.Unlock()
	b.store.brokers = slices.DeleteFunc(b.store.brokers, func(x *Broker) bool { return x == b })
}

// jitter returns d ± 20 %.
func jitter(d time.Duration) time.Duration {
	return d - d/5 + rand.N(2*d/5+1)
}
