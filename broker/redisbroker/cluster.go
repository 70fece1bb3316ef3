package redisbroker

import (
	"context"
	"fmt"
	"math/rand/v2"
	"sync"
	"time"

	"github.com/redis/go-redis/v9"
	"golang.org/x/sync/errgroup"

	"github.com/tallywire/tallywire/broker"
)

// How often the nodes of a cluster are asked who serves what: from time to time, soon after a doubt, and not
// more often than that.
const (
	lookEvery   = 5 * time.Second
	lookInDoubt = 500 * time.Millisecond
	lookLeast   = 50 * time.Millisecond
)

// cluster works with the primaries of a Redis Cluster, a shard for each. It follows the slots from one to
// another: what is subscribed at the old one is subscribed at the new one, and whoever listens is told the heads
// again.
type cluster struct {
	client   *redis.ClusterClient // static
	options  Options              // static
	source   string               // static: of the library
	counters *counters            // static
	health   *health              // of all shards together
	sinks    sinks
	kicks    chan struct{} // buffered by one: who serves what is in doubt
	ended    chan struct{} // closed when run returns
	detour   *detour
	marks    sync.WaitGroup // of detour.fence

	mu      sync.RWMutex
	members map[string]*member // by address; guarded by mu
	owners  [slots]*member     // guarded by mu; nil where nobody is known
	looked  chan struct{}      // guarded by mu: closed, and replaced, at each view
}

// member is a shard of a cluster and its life.
type member struct {
	addr   string
	shard  *shard
	cancel context.CancelFunc
	ended  chan struct{}
	began  time.Time
}

func newCluster(client *redis.ClusterClient, o Options, source string, counts *counters) *cluster {
	c := &cluster{
		client: client, options: o, source: source, counters: counts, health: &health{},
		kicks: make(chan struct{}, 1), ended: make(chan struct{}),
		members: map[string]*member{}, looked: make(chan struct{}),
	}
	c.detour = newDetour(c, o.MaxInFlight)
	c.sinks.cluster = c
	return c
}

// run serves until ctx ends. It owns the shards.
func (c *cluster) run(ctx context.Context, sink broker.Sink) {
	c.sinks.begin(sink)
	var g errgroup.Group
	g.Go(func() error { c.watch(ctx, &g); return nil })
	g.Go(func() error { c.detour.run(ctx); return nil })
	_ = g.Wait()
	close(c.ended)
	c.mu.Lock()
	members := c.members
	c.members, c.owners = map[string]*member{}, [slots]*member{}
	c.mu.Unlock()
	for _, m := range members {
		<-m.ended
	}
	c.marks.Wait()
}

// watch looks at who serves what until ctx ends. What it starts on the way is g's.
func (c *cluster) watch(ctx context.Context, g *errgroup.Group) {
	for ctx.Err() == nil {
		v, err := c.look(ctx)
		wait := lookEvery
		switch {
		case err == nil:
			c.apply(ctx, g, v)
			if !c.health.get().OK {
				wait = lookInDoubt
			}
		case ctx.Err() == nil:
			c.sinks.blind(err)
			wait = lookInDoubt
		}
		timer := time.NewTimer(wait*8/10 + rand.N(wait*4/10))
		select {
		case <-timer.C:
		case <-c.kicks:
			sleep(ctx, lookLeast/2+rand.N(lookLeast))
		case <-ctx.Done():
		}
		timer.Stop()
	}
}

// kick has watch look again soon.
func (c *cluster) kick() {
	select {
	case c.kicks <- struct{}{}:
	default:
	}
}

// apply makes a view true: shards begin and end, and what is subscribed goes to where its slot is now.
func (c *cluster) apply(ctx context.Context, g *errgroup.Group, v *view) {
	c.mu.Lock()
	old := c.owners
	uncovered := 0
	for slot, addr := range v {
		if addr == "" {
			uncovered++
			c.owners[slot] = nil
			continue
		}
		if c.members[addr] == nil {
			c.members[addr] = c.begin(ctx, addr, slotProbe(uint16(slot)))
		}
		c.owners[slot] = c.members[addr]
	}
	c.fenceLocked(&old)
	if c.owners != old {
		c.client.ReloadState(ctx) // for those who share it
	}
	moved := c.moveLocked()
	gone := c.goneLocked()
	close(c.looked)
	c.looked = make(chan struct{})
	c.mu.Unlock()

	for m, subs := range moved {
		g.Go(func() error { m.catchUp(ctx, subs); return nil })
	}
	for _, m := range gone {
		c.sinks.forget(m)
		m.cancel()
		g.Go(func() error { <-m.ended; return nil })
	}
	c.sinks.cover(uncovered)
}

// fenceLocked holds what is published to slots that have moved until what is under way to where they were has been
// answered. The caller holds mu.
func (c *cluster) fenceLocked(old *[slots]*member) {
	from := map[*member][]uint16{}
	for slot, m := range old {
		if m != nil && m != c.owners[slot] {
			from[m] = append(from[m], uint16(slot))
		}
	}
	for m, moved := range from {
		c.detour.fence(m, moved)
	}
}

// moveLocked moves subscriptions to the shards that serve them now, and returns those that have to catch up. The
// caller holds mu.
func (c *cluster) moveLocked() map[*member][]*subscription {
	moved := map[*member][]*subscription{}
	for _, m := range c.members {
		for _, s := range m.shard.hub.snapshot() {
			owner := c.owners[slotOf(s.key)]
			if owner == nil || owner == m {
				continue
			}
			// A Subscribe that is under way there meets MOVED, and comes again.
			if m.shard.hub.release(s.key) {
				moved[owner] = append(moved[owner], owner.shard.hub.adopt(s.key, s.channel))
			}
		}
	}
	for _, m := range c.members {
		moved[m] = append(moved[m], m.shard.hub.resume()...)
		if len(moved[m]) == 0 {
			delete(moved, m)
		}
	}
	return moved
}

// goneLocked removes the shards that serve nothing, and gives those another channel for their probes whose slot
// is gone. The caller holds mu.
func (c *cluster) goneLocked() (gone []*member) {
	serves := map[*member]int{}
	for slot, m := range c.owners {
		if m != nil {
			serves[m] = slot
		}
	}
	for addr, m := range c.members {
		slot, ok := serves[m]
		switch {
		case !ok:
			delete(c.members, addr)
			gone = append(gone, m)
		case c.owners[slotOf(c.options.key(m.shard.probe.name()))] != m:
			m.shard.probe.rename(slotProbe(uint16(slot))) //nolint:gosec // a slot
		}
	}
	return gone
}

// slotProbe returns a channel for probes in a slot. That takes some thousand attempts.
func slotProbe(slot uint16) string {
	for {
		if name := probeName(); slotOf(name) == slot {
			return name
		}
	}
}

// begin starts the shard of a node.
func (c *cluster) begin(ctx context.Context, addr, probe string) *member {
	client := c.connect(addr)
	ctx, cancel := context.WithCancel(ctx)
	m := &member{
		addr: addr, shard: newShard(client, c.options, c.source, probe, c, c.counters),
		cancel: cancel, ended: make(chan struct{}), began: time.Now(),
	}
	c.sinks.expect(m)
	go func() {
		defer close(m.ended)
		defer client.Close()
		defer cancel()
		m.shard.serve(ctx, &shardSink{sinks: &c.sinks, member: m})
	}()
	return m
}

// catchUp waits until the shard hears subs and tells their heads: what was said meanwhile was heard by nobody.
func (m *member) catchUp(ctx context.Context, subs []*subscription) {
	ctx, cancel := context.WithTimeout(ctx, settleTimeout)
	defer cancel()
	for _, s := range subs {
		select {
		case <-m.shard.hub.readiness(s):
		case <-m.ended:
			return
		case <-ctx.Done(): // when it does, the heads are told by the hub, or by the next audit
		}
	}
	_ = m.shard.audit(ctx, subs) // it is repeated
	for _, s := range subs {
		m.shard.hearPresence(s, nil)
	}
}

// owner returns who serves a key, nil where nobody is known, and a channel that is closed at the next view.
func (c *cluster) owner(key string) (m *member, looked <-chan struct{}) {
	c.mu.RLock()
	defer c.mu.RUnlock()
	return c.owners[slotOf(key)], c.looked
}

var errNoOwner = fmt.Errorf("%w: no node serves the slot", broker.ErrUnavailable)

// at does something at the shard that serves a key, again where that was not the one.
func (c *cluster) at(ctx context.Context, key string, do func(context.Context, *shard) error) error {
	ctx, cancel := context.WithTimeout(ctx, c.options.Timeout)
	defer cancel()
	for {
		m, looked := c.owner(key)
		err := errNoOwner
		if m != nil {
			if err = do(ctx, m.shard); err == nil {
				return nil
			}
			if now, _ := c.owner(key); now == m && !elsewhere(err) {
				return m.shard.at(err)
			}
		}
		c.kick()
		select {
		case <-looked:
		case <-c.ended:
			return errEnded
		case <-ctx.Done():
			return err
		}
	}
}

// subscribe implements [broker.Broker].
func (c *cluster) subscribe(ctx context.Context, channel string) (head broker.Head, err error) {
	err = c.at(ctx, c.options.key(channel), func(ctx context.Context, s *shard) error {
		head, err = s.subscribe(ctx, channel)
		return err
	})
	return head, err
}

// unsubscribe implements [broker.Broker].
func (c *cluster) unsubscribe(channel string) {
	c.mu.RLock()
	defer c.mu.RUnlock()
	for _, m := range c.members {
		m.shard.unsubscribe(channel)
	}
}

// read implements [broker.Broker].
func (c *cluster) read(ctx context.Context, channel string, r broker.ReadRequest) (page broker.Page, err error) {
	err = c.at(ctx, c.options.key(channel), func(ctx context.Context, s *shard) error {
		page, err = s.read(ctx, channel, r)
		return err
	})
	return page, err
}

// bury implements [broker.DeadLetters].
func (c *cluster) bury(ctx context.Context, l broker.DeadLetter) error {
	return c.at(ctx, c.options.deadKey(), func(ctx context.Context, s *shard) error { return s.bury(ctx, l) })
}

// list implements [broker.DeadLetters].
func (c *cluster) list(ctx context.Context, after string, limit int) (letters []broker.DeadLetter, next string, err error) {
	next = after
	err = c.at(ctx, c.options.deadKey(), func(ctx context.Context, s *shard) error {
		letters, next, err = s.list(ctx, after, limit)
		return err
	})
	return letters, next, err
}

// each calls f with every shard.
func (c *cluster) each(f func(*shard)) {
	c.mu.RLock()
	defer c.mu.RUnlock()
	for _, m := range c.members {
		f(m.shard)
	}
}
