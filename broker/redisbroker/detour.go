package redisbroker

import (
	"cmp"
	"context"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/tallywire/tallywire/broker"
)

// detour holds the publications of a cluster that cannot be sent now: nobody is known to serve the slot, a node
// has refused them because another one does, or earlier ones of the slot are under way to where it was. They are
// sent in the order in which they were published, and what is published to the slot meanwhile waits behind them.
//
// Its mu is taken after the cluster's.
type detour struct {
	cluster *cluster
	max     int
	wake    chan struct{} // buffered by one
	last    atomic.Uint64 // of held.seq

	mu     sync.Mutex
	queue  []held               // guarded by mu
	slots  map[uint16]int       // guarded by mu: publications and fences by slot
	fences map[uint16][]*member // guarded by mu: the shards that publications of a slot are under way to
	closed bool                 // guarded by mu
}

// held is a publication that may have to go by a detour.
type held struct {
	seq      uint64 // in which order they were published
	slot     uint16
	p        broker.Publication
	deadline time.Time
	done     func(broker.Receipt, error)
}

// detourPause is how long publications that could not be sent rest before the next attempt.
const detourPause = 20 * time.Millisecond

func newDetour(c *cluster, maxHeld int) *detour {
	return &detour{
		cluster: c, max: maxHeld, wake: make(chan struct{}, 1), slots: map[uint16]int{}, fences: map[uint16][]*member{},
	}
}

// publish implements [Broker.Publish].
func (c *cluster) publish(ctx context.Context, p broker.Publication, done func(broker.Receipt, error)) {
	h := &held{
		seq: c.detour.last.Add(1), slot: slotOf(c.options.key(p.Channel)), p: p,
		deadline: time.Now().Add(c.options.Timeout), done: done,
	}
	if d, ok := ctx.Deadline(); ok && d.Before(h.deadline) {
		h.deadline = d
	}
	if sent, err := c.send(ctx, h, false); err != nil {
		done(broker.Receipt{}, err)
	} else if !sent {
		c.detour.add(h)
	}
}

// send gives a publication to the shard that serves it. It reports false where it has to wait: nobody is known, or
// others that were published before have not got there. Those that held back wait for fences alone.
func (c *cluster) send(ctx context.Context, h *held, heldBack bool) (sent bool, err error) {
	c.mu.RLock() // so that no slot moves meanwhile
	defer c.mu.RUnlock()
	m := c.owners[h.slot]
	if c.detour.before(h.slot, heldBack) || m == nil {
		if m == nil {
			c.kick()
		}
		return false, ctx.Err()
	}
	return true, m.shard.enqueue(ctx, h.p, func(r broker.Receipt, err error) {
		if elsewhere(err) {
			c.kick()
			c.detour.back(m, h)
			return
		}
		h.done(r, err)
	})
}

// before reports whether something has to be done for a slot before the next one is sent.
func (d *detour) before(slot uint16, heldBack bool) bool {
	d.mu.Lock()
	defer d.mu.Unlock()
	if heldBack {
		return len(d.fences[slot]) > 0
	}
	return d.slots[slot] > 0
}

func (d *detour) add(h *held) {
	d.mu.Lock()
	full, closed := len(d.queue) >= d.max, d.closed
	if !full && !closed {
		d.queue = append(d.queue, *h)
		d.slots[h.slot]++
	}
	d.mu.Unlock()
	switch {
	case closed:
		h.done(broker.Receipt{}, errEnded)
	case full:
		h.done(broker.Receipt{}, broker.ErrOverloaded)
	default:
		d.poke()
	}
}

// back takes a publication that m has refused. Others of its slot that are under way there come back too: none is
// sent again before all have.
func (d *detour) back(m *member, h *held) {
	d.fence(m, []uint16{h.slot})
	d.add(h)
}

// fence keeps the publications of some slots until all that are under way to m now have been answered.
func (d *detour) fence(m *member, moved []uint16) {
	d.mu.Lock()
	fresh := moved[:0:0]
	for _, slot := range moved {
		if !slices.Contains(d.fences[slot], m) {
			d.fences[slot] = append(d.fences[slot], m)
			d.slots[slot]++
			fresh = append(fresh, slot)
		}
	}
	d.mu.Unlock()
	if len(fresh) == 0 {
		return
	}
	m.shard.drained(func() {
		d.mu.Lock()
		defer d.mu.Unlock()
		for _, slot := range fresh {
			d.fences[slot] = slices.DeleteFunc(d.fences[slot], func(x *member) bool { return x == m })
			if len(d.fences[slot]) == 0 {
				delete(d.fences, slot)
			}
			d.freeLocked(slot)
		}
		d.poke()
	})
}

func (d *detour) freeLocked(slot uint16) {
	if d.slots[slot]--; d.slots[slot] == 0 {
		delete(d.slots, slot)
	}
}

func (d *detour) len() int {
	d.mu.Lock()
	defer d.mu.Unlock()
	return len(d.queue)
}

func (d *detour) poke() {
	select {
	case d.wake <- struct{}{}:
	default:
	}
}

// run sends what waits until ctx ends, and then refuses it.
func (d *detour) run(ctx context.Context) {
	for ctx.Err() == nil {
		select {
		case <-d.wake:
		case <-ctx.Done():
		}
		for ctx.Err() == nil && d.sendAll(ctx) && sleep(ctx, detourPause) {
			continue
		}
	}
	d.mu.Lock()
	rest := d.queue
	d.queue, d.closed = nil, true
	d.mu.Unlock()
	for i := range rest {
		rest[i].done(broker.Receipt{}, errEnded)
	}
}

// sendAll sends what can be sent, once, and reports whether something is left.
func (d *detour) sendAll(ctx context.Context) (more bool) {
	d.mu.Lock()
	queue := d.queue
	d.queue = nil
	d.mu.Unlock()
	slices.SortFunc(queue, func(a, b held) int { return cmp.Compare(a.seq, b.seq) })
	now := time.Now()
	waiting := map[uint16]bool{} // slots of which one could not be sent
	var kept []held
	for i := range queue {
		h := &queue[i]
		switch {
		case !now.Before(h.deadline):
			h.done(broker.Receipt{}, errLate)
		case waiting[h.slot] || !d.try(ctx, h):
			waiting[h.slot] = true
			kept = append(kept, *h)
			continue
		}
		d.mu.Lock()
		d.freeLocked(h.slot)
		d.mu.Unlock()
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	d.queue = append(kept, d.queue...)
	return len(d.queue) > 0
}

// try sends a publication that was held, and reports whether it is off.
func (d *detour) try(ctx context.Context, h *held) bool {
	ctx, cancel := context.WithDeadline(context.WithoutCancel(ctx), h.deadline)
	defer cancel()
	sent, err := d.cluster.send(ctx, h, true)
	if err != nil {
		h.done(broker.Receipt{}, err)
		return true
	}
	return sent
}

// drained calls f when everything that is queued now has been completed.
func (b *shard) drained(f func()) {
	var wg sync.WaitGroup
	for _, l := range []*lane{b.stored, b.replicated} {
		wg.Add(1)
		mark := item{args: []any{"PING"}, deadline: time.Now().Add(b.options.Timeout), done: func(broker.Receipt, error) { wg.Done() }}
		if err := l.add(mark, true); err != nil {
			wg.Done()
		}
	}
	b.cluster.marks.Go(func() {
		wg.Wait()
		f()
	})
}
