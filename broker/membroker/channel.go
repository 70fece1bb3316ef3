package membroker

import (
	"fmt"
	"sync"
	"sync/atomic"
	"time"
	"unsafe"

	"github.com/tallywire/tallywire/broker"
	"github.com/tallywire/tallywire/namespace"
)

// entryCost is what an entry costs beside its event.
const entryCost = int64(unsafe.Sizeof(broker.Entry{}))

// channel is one log and who listens to it.
type channel struct {
	store *Store             // static
	name  string             // static
	opts  *namespace.Options // static

	waiting    atomic.Int32  // publications that have, or wait for, the turn
	overloaded atomic.Uint64 // publications turned away

	// turn is held from the append of an entry until every sink has heard of it.
	turn   sync.Mutex
	faults *faults // guarded by turn; nil outside tests

	mu sync.Mutex // protects following
	// gone: the channel has left its shard, look it up again.
	gone bool
	// exists: the stream has been opened and has not expired.
	exists bool
	log    ring[broker.Entry]
	// last is the last cursor generated, whether or not its entry is still retained.
	last broker.Cursor
	// floor is the last stamp of an earlier log or lineage; later stamps are greater.
	floor uint64
	// expires is when the stream ends if nobody subscribes to it, in microseconds.
	expires int64
	// subs is replaced, never changed, so that it may be walked without mu.
	subs []*Broker
	seen seen
	n    counters
}

// enter waits for the channel's turn, unless too many already wait.
func (c *channel) enter() bool {
	if int(c.waiting.Add(1)) > c.store.o.MaxQueue {
		c.waiting.Add(-1)
		c.overloaded.Add(1)
		return false
	}
	c.turn.Lock()
	return true
}

func (c *channel) leave() {
	c.turn.Unlock()
	c.waiting.Add(-1)
}

// publish appends p and tells the subscribers. It reports false when the channel has gone meanwhile.
func (c *channel) publish(p *broker.Publication) (r broker.Receipt, ok bool, err error) {
	if !c.enter() {
		return r, true, fmt.Errorf("publish to %s: %w", c.name, broker.ErrOverloaded)
	}
	defer c.leave()
	c.mu.Lock()
	if c.gone {
		c.mu.Unlock()
		return r, false, nil
	}
	now := c.store.now()
	r.Ack = namespace.AckStored
	if p.ID != "" {
		c.expire(now)
		// A cursor beyond the head belongs to a stream that is gone, and the event with it.
		if cursor, dup := c.seen.get(p.ID, now); dup && cursor.Offset <= c.last.Offset && cursor.Stamp <= c.last.Stamp {
			c.n.duplicates++
			c.mu.Unlock()
			r.Cursor, r.Duplicate = cursor, true
			return r, true, nil
		}
	}
	if err := c.room(len(p.Event)); err != nil {
		c.mu.Unlock()
		return broker.Receipt{}, true, err
	}
	c.open(now)
	e := c.append(now, p.Event, p.Vetted)
	c.expires = now + c.opts.TTL.Microseconds()
	if p.ID != "" {
		c.seen.put(p.ID, e.Cursor, now+c.opts.Dedupe.Microseconds(), c.store.o.MaxSeen)
	}
	c.n.published++
	subs := c.subs
	c.mu.Unlock()

	c.deliver(subs, e)
	r.Cursor = e.Cursor
	return r, true, nil
}

// signal tells the subscribers of an ephemeral event.
func (c *channel) signal(event []byte) error {
	if !c.enter() {
		return fmt.Errorf("signal to %s: %w", c.name, broker.ErrOverloaded)
	}
	defer c.leave()
	c.mu.Lock()
	c.n.signals++
	subs := c.subs
	c.mu.Unlock()
	for _, b := range subs {
		b.signal(c.name, event)
	}
	return nil
}

// deliver tells subs of e. The caller holds the turn.
func (c *channel) deliver(subs []*Broker, e broker.Entry) {
	if c.faults != nil {
		c.faults.deliver(c, subs, e)
		return
	}
	for _, b := range subs {
		b.deliver(c.name, e)
	}
}

// tellHead tells b the head, if b is subscribed; where the stream has been removed it is opened again.
func (c *channel) tellHead(b *Broker) {
	c.turn.Lock()
	defer c.turn.Unlock()
	c.mu.Lock()
	subscribed := c.index(b) >= 0
	if subscribed && c.room(0) == nil {
		c.open(c.store.now())
	}
	h := c.head()
	c.mu.Unlock()
	if subscribed {
		b.head(c.name, h)
	}
}

// subscribe adds b and returns the head; entries after it are told to b. It reports false when the
// channel has gone meanwhile.
func (c *channel) subscribe(b *Broker) (h broker.Head, ok bool, err error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.gone {
		return h, false, nil
	}
	if b.ended.Load() { // checked under mu: the end of Run goes through all channels after setting it
		return h, true, fmt.Errorf("subscribe %s: %w", c.name, broker.ErrUnavailable)
	}
	if err := c.room(0); err != nil {
		return h, true, err
	}
	c.open(c.store.now())
	if c.index(b) < 0 {
		c.subs = append(c.subs[:len(c.subs):len(c.subs)], b)
	}
	return c.head(), true, nil
}

// unsubscribe removes b. The stream stays for a while after its last subscriber.
func (c *channel) unsubscribe(b *Broker) {
	c.mu.Lock()
	defer c.mu.Unlock()
	i := c.index(b)
	if i < 0 {
		return
	}
	subs := make([]*Broker, 0, len(c.subs)-1)
	c.subs = append(append(subs, c.subs[:i]...), c.subs[i+1:]...)
	if len(c.subs) == 0 {
		c.subs = nil
		c.expires = max(c.expires, c.store.now()+max(KeepLeast, min(c.opts.TTL, GenesisTTL)).Microseconds())
	}
}

// index returns b's place among the subscribers, or -1. The caller holds mu.
func (c *channel) index(b *Broker) int {
	for i := range c.subs {
		if c.subs[i] == b {
			return i
		}
	}
	return -1
}

// room reports an error when an event of the given size would exceed the store's memory.
func (c *channel) room(size int) error {
	if c.store.bytes.Load()+int64(size)+entryCost > c.store.o.MaxBytes {
		return fmt.Errorf("append to %s: %d bytes is the limit: %w", c.name, c.store.o.MaxBytes, broker.ErrRefused)
	}
	return nil
}

// open makes sure that the stream exists. The caller holds mu.
func (c *channel) open(now int64) {
	c.expire(now)
	if c.exists {
		return
	}
	c.exists = true
	c.append(now, nil, false)
	c.expires = now + GenesisTTL.Microseconds()
}

// append adds an entry and trims the log. The caller holds mu.
func (c *channel) append(now int64, event []byte, vetted bool) broker.Entry {
	limit := int(min(c.opts.MaxLen, 1<<40))
	freed := int64(0)
	for c.log.n >= limit {
		freed += int64(len(c.log.popFront().Event)) + entryCost
		c.n.trimmed++
	}
	e := broker.Entry{Prev: c.last.Stamp, Event: event, Vetted: vetted}
	e.Cursor.Offset = c.last.Offset + 1
	e.Cursor.Stamp = max(uint64(max(now, 0)), c.last.Stamp+1, c.floor+1)
	c.last = e.Cursor
	c.log.push(e, limit)
	c.store.bytes.Add(int64(len(event)) + entryCost - freed)
	return e
}

// expire ends a stream whose time has passed. The caller holds mu.
func (c *channel) expire(now int64) {
	if c.exists && len(c.subs) == 0 && c.expires <= now {
		c.n.expired++
		c.drop()
	}
}

// drop ends the stream. A later one starts at offset 1 with later stamps. The caller holds mu.
func (c *channel) drop() {
	freed := int64(0)
	for i := range c.log.n {
		freed += int64(len(c.log.at(i).Event)) + entryCost
	}
	c.store.bytes.Add(-freed)
	c.floor = max(c.floor, c.last.Stamp)
	c.log, c.last, c.exists = ring[broker.Entry]{}, broker.Cursor{}, false
}

// head returns the channel's positions. The caller holds mu.
func (c *channel) head() broker.Head {
	if !c.exists {
		return broker.Head{}
	}
	h := broker.Head{Cursor: c.last, Exists: true}
	if c.log.n > 0 {
		first := c.log.at(0)
		h.First, h.FirstPrev = first.Cursor, first.Prev
	}
	return h
}

// idle frees what has expired and reports whether nothing is left.
func (c *channel) idle(now int64) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.idleLocked(now)
}

func (c *channel) idleLocked(now int64) bool {
	c.expire(now)
	c.seen.prune(now)
	return !c.exists && len(c.subs) == 0 && c.seen.order.n == 0
}

// retire marks an idle channel as gone and returns its counters. The caller holds the shard's mu.
func (c *channel) retire(now int64) (counters, bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if !c.idleLocked(now) {
		return counters{}, false
	}
	c.gone = true
	return c.count(), true
}

// count returns the channel's share of Stats. The caller holds mu.
func (c *channel) count() counters {
	n := c.n
	n.overloaded = c.overloaded.Load()
	n.forgotten = c.seen.evicted
	return n
}

// remaining returns how long the stream lives if nothing happens to it; 0 when it does not exist.
func (c *channel) remaining() time.Duration {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.expire(c.store.now())
	if !c.exists {
		return 0
	}
	return time.Duration(c.expires-c.store.now()) * time.Microsecond
}
