package membroker

import (
	"slices"
	"time"

	"github.com/tallywire/tallywire/broker"
)

// Faults damages a store on purpose, for tests of whatever has to survive it: what a relay sees of a
// lost doorbell, a failover, a wiped or unreachable Redis. Obtain it with [Store.ForTest].
//
// The faults of doorbells concern Deliver on all subscribed brokers; the log stays right.
type Faults struct{ s *Store }

// ForTest returns the handle for damaging the store. Production code has no use for it.
func (s *Store) ForTest() Faults { return Faults{s} }

// faults are the pending faults of a channel's doorbells. Guarded by the channel's turn.
type faults struct {
	drop, double int
	reorder      int            // how many deliveries to hold back and reverse
	held         []broker.Entry // held back so far
}

// deliver applies the faults to one doorbell: drop goes before double, double before reorder.
func (f *faults) deliver(c *channel, subs []*Broker, e broker.Entry) {
	tell := func(e broker.Entry) {
		for _, b := range subs {
			b.deliver(c.name, e)
		}
	}
	switch {
	case f.drop > 0:
		f.drop--
	case f.double > 0:
		f.double--
		tell(e)
		tell(e)
	case f.reorder > 0:
		f.held = append(f.held, e)
		if len(f.held) < f.reorder {
			return
		}
		slices.Reverse(f.held)
		for _, e := range f.held {
			tell(e)
		}
		f.held, f.reorder = nil, 0
	default:
		tell(e)
	}
}

// inject changes the channel's faults under its turn.
func (f Faults) inject(name string, change func(*faults)) {
	c, err := f.s.obtain(name)
	if err != nil {
		panic(err)
	}
	c.turn.Lock()
	defer c.turn.Unlock()
	if c.faults == nil {
		c.faults = &faults{}
	}
	change(c.faults)
}

// Drop loses the next n doorbells of the channel.
func (f Faults) Drop(channel string, n int) { f.inject(channel, func(x *faults) { x.drop += n }) }

// Duplicate delivers each of the next n doorbells twice.
func (f Faults) Duplicate(channel string, n int) {
	f.inject(channel, func(x *faults) { x.double += n })
}

// Reorder holds the next n doorbells back, and delivers them in reverse order with the n-th.
func (f Faults) Reorder(channel string, n int) { f.inject(channel, func(x *faults) { x.reorder = n }) }

// Fork takes back the last k entries, as a failover to a replica that lacked them does, together with
// what idempotency knew of them. It tells nobody. The next entries get the same offsets and later
// stamps. It returns the head that is left; taking back everything removes the stream.
func (f Faults) Fork(channel string, k int) broker.Head {
	c := f.s.find(channel)
	if c == nil {
		return broker.Head{}
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	for ; k > 0 && c.log.n > 0; k-- {
		e := c.log.popBack()
		f.s.bytes.Add(-int64(len(e.Event)) - entryCost)
		c.floor = max(c.floor, e.Cursor.Stamp)
		c.last = e.Before()
	}
	c.seen.forgetAfter(c.last.Offset)
	if c.last.IsZero() && c.exists {
		c.drop()
	}
	return c.head()
}

// Trim removes the oldest entries of the log until n are left; n may be 0.
func (f Faults) Trim(channel string, n int) broker.Head {
	c := f.s.find(channel)
	if c == nil {
		return broker.Head{}
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	for c.log.n > max(n, 0) {
		f.s.bytes.Add(-int64(len(c.log.popFront().Event)) - entryCost)
		c.n.trimmed++
	}
	return c.head()
}

// Delete removes the channel's stream, as DEL or an eviction does. Subscriptions stay.
func (f Faults) Delete(channel string) {
	c := f.s.find(channel)
	if c == nil {
		return
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.drop()
}

// Cut takes the store away from one broker: its methods give ErrUnavailable, what is published
// meanwhile does not reach it, its Health is not OK.
func (f Faults) Cut(b *Broker) {
	b.cut.Store(true)
	b.nudge()
}

// Heal ends a Cut. The sink gets Health and the Head of every subscribed channel.
func (f Faults) Heal(b *Broker) {
	b.cut.Store(false)
	b.nudge()
}

// Outage takes the store away from all brokers, or gives it back.
func (f Faults) Outage(away bool) {
	f.s.outage.Store(away)
	f.s.brokersMu.Lock()
	defer f.s.brokersMu.Unlock()
	for _, b := range f.s.brokers {
		b.nudge()
	}
}

// Audit tells every broker's sink the heads of its subscribed channels, now and in this goroutine.
func (f Faults) Audit() {
	f.s.brokersMu.Lock()
	brokers := slices.Clone(f.s.brokers)
	f.s.brokersMu.Unlock()
	for _, b := range brokers {
		b.audit()
	}
}

// Sweep frees what has expired, now.
func (f Faults) Sweep() { f.s.sweep() }

// nudge makes Run look at the broker's state.
func (b *Broker) nudge() {
	select {
	case b.wake <- struct{}{}:
	default: // it will look anyway
	}
}

// Stall keeps the channel's turn, so that publishes wait and its queue fills, until release is called.
func (f Faults) Stall(channel string) (release func()) {
	c, err := f.s.obtain(channel)
	if err != nil {
		panic(err)
	}
	c.turn.Lock()
	return c.turn.Unlock
}

// TTL returns how long the stream lives if nothing happens to it; 0 when there is none.
func (f Faults) TTL(channel string) time.Duration {
	c := f.s.find(channel)
	if c == nil {
		return 0
	}
	return c.remaining()
}
