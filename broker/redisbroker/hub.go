package redisbroker

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"sync"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/tallywire/tallywire/broker"
)

const (
	connectTimeout = 2 * time.Second
	settleTimeout  = 5 * time.Second
	subscribeChunk = 200
	firstBackoff   = 50 * time.Millisecond
	lastBackoff    = time.Second
)

// hub owns the pub/sub connection and what is subscribed on it. A connection that fails in any way is
// replaced: dial, subscribe everything that is wanted, await every confirmation, then tell the sink
// every channel's head.
type hub struct {
	b    *shard
	dial dialer
	sink broker.Sink // set by Run before anything calls it

	wake  chan struct{} // buffered by one: ops are waiting
	ended chan struct{} // closed when run returns

	mu      sync.RWMutex
	subs    map[string]*subscription // by key; guarded by mu
	ops     []op                     // guarded by mu: to be written on conn
	conn    *conn                    // guarded by mu; nil while there is none
	settled bool                     // guarded by mu: conn hears all that is wanted
	reason  error                    // guarded by mu: why conn was dropped
	serial  uint64                   // guarded by mu: connections so far
}

// op is a SUBSCRIBE or UNSUBSCRIBE of one channel.
type op struct {
	subscribe bool
	key       string
}

func newHub(b *shard, d dialer) *hub {
	return &hub{
		b: b, dial: d, subs: map[string]*subscription{},
		wake: make(chan struct{}, 1), ended: make(chan struct{}),
	}
}

// run keeps a connection until ctx ends.
func (h *hub) run(ctx context.Context) {
	defer close(h.ended)
	backoff, started := firstBackoff, false
	for ctx.Err() == nil {
		err := h.serve(ctx, !started)
		if ctx.Err() != nil {
			return
		}
		h.b.doubt()
		if h.detach() {
			started, backoff = true, firstBackoff
		} else {
			h.b.health.fail(err.Error())
		}
		sleep(ctx, rand.N(backoff))
		backoff = min(2*backoff, lastBackoff)
	}
	h.detach()
}

// serve is the life of one connection. It returns when the connection has failed or ctx has ended, and
// none of its goroutines is left.
func (h *hub) serve(ctx context.Context, first bool) error {
	dialCtx, cancel := context.WithTimeout(ctx, connectTimeout)
	defer cancel()
	c, err := h.dial.connect(dialCtx)
	if err != nil {
		return fmt.Errorf("connect: %w", err)
	}
	defer c.close()
	// A library that cannot be loaded (no permission, say) may be there already; if not, probes tell.
	if err := h.b.ensureLibrary(ctx, first); errors.Is(err, broker.ErrUnavailable) {
		return err
	}
	g, ctx := errgroup.WithContext(ctx)
	wanted := h.attach(c)
	g.Go(func() error { return h.receive(c) })
	g.Go(func() error { return h.write(ctx, c) })
	g.Go(func() error { return h.settle(ctx, wanted) })
	g.Go(func() error {
		<-ctx.Done()
		c.close() // ends receive
		return nil
	})
	return g.Wait()
}

// attach makes c the connection and queues a SUBSCRIBE for all that is wanted, which it returns.
func (h *hub) attach(c *conn) []*subscription {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.conn, h.settled, h.reason, h.ops = c, false, nil, nil
	if h.serial++; h.serial > 1 {
		h.b.counters.reconnects.Add(1)
	}
	wanted := make([]*subscription, 0, len(h.subs))
	for _, s := range h.subs {
		wanted = append(wanted, s)
		h.begin(s)
	}
	return wanted
}

// detach forgets the connection and what was subscribed on it. It reports whether it had settled.
func (h *hub) detach() bool {
	h.mu.Lock()
	defer h.mu.Unlock()
	settled := h.settled
	h.conn, h.settled, h.ops = nil, false, nil
	for _, s := range h.subs {
		if s.wanted {
			s.leave(none)
		} else {
			h.forget(s)
		}
	}
	return settled
}

// drop ends the connection, if there is one, so that run replaces it.
func (h *hub) drop(reason error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.conn != nil {
		h.reason = reason
		h.conn.close()
	}
}

func (h *hub) isSettled() bool {
	h.mu.RLock()
	defer h.mu.RUnlock()
	return h.settled
}

// settle waits until Redis has confirmed every subscription, tells the sink all heads, and starts the
// prober, whose returning probe makes the path healthy.
func (h *hub) settle(ctx context.Context, wanted []*subscription) error {
	waitCtx, cancel := context.WithTimeout(ctx, settleTimeout)
	defer cancel()
	for _, s := range wanted {
		select {
		case <-h.readiness(s):
		case <-waitCtx.Done():
			if ctx.Err() != nil {
				return nil //nolint:nilerr // the connection has failed already, with its own error
			}
			return fmt.Errorf("subscriptions not confirmed within %s", settleTimeout)
		}
	}
	if err := h.b.audit(ctx, h.snapshot()); err != nil {
		return fmt.Errorf("audit: %w", err)
	}
	h.mu.Lock()
	h.settled = true
	replaced := h.serial > 1
	h.mu.Unlock()
	if replaced {
		for _, s := range h.snapshot() {
			h.b.hearPresence(s, nil)
		}
	}
	h.b.probe.restart()
	return nil
}

// write sends the queued subscriptions and their ends, in order.
func (h *hub) write(ctx context.Context, c *conn) error {
	for {
		select {
		case <-h.wake:
		case <-ctx.Done():
			return nil
		}
		h.mu.Lock()
		ops := h.ops
		h.ops = nil
		h.mu.Unlock()
		for len(ops) > 0 {
			n := min(len(ops), subscribeChunk)
			if err := c.write(h.commands(ops[:n])...); err != nil {
				return fmt.Errorf("subscribe: %w", err)
			}
			ops = ops[n:]
		}
	}
}

// commands returns what Redis is told of ops. A channel is in one of them at most, so that they may be in any
// order. In a cluster the channels of a command are of one slot.
func (h *hub) commands(ops []op) (commands [][]string) {
	type kind struct {
		subscribe bool
		slot      uint16
	}
	at := map[kind]int{}
	for _, o := range ops {
		k := kind{subscribe: o.subscribe}
		if h.b.cluster != nil {
			k.slot = slotOf(o.key)
		}
		i, ok := at[k]
		if !ok {
			i = len(commands)
			at[k] = i
			commands = append(commands, []string{h.verb(o.subscribe)})
		}
		commands[i] = append(commands[i], o.key)
	}
	return commands
}

// verb is the command that subscribes, or ends that.
func (h *hub) verb(subscribe bool) string {
	switch sharded := h.b.cluster != nil; {
	case sharded && subscribe:
		return "SSUBSCRIBE"
	case sharded:
		return "SUNSUBSCRIBE"
	case subscribe:
		return "SUBSCRIBE"
	}
	return "UNSUBSCRIBE"
}

// receive reads until the connection fails. It never waits for the sink.
func (h *hub) receive(c *conn) error {
	scratch := make([]byte, 0, maxName)
	for {
		var p push
		var err error
		if p, scratch, err = c.next(scratch); err != nil {
			h.mu.RLock()
			defer h.mu.RUnlock()
			if h.reason != nil {
				return h.reason
			}
			return fmt.Errorf("receive: %w", err)
		}
		switch p.kind {
		case 'm':
			h.hear(p)
		case 's', 'u':
			h.confirm(string(p.name), p.kind == 's')
		}
	}
}

// hear tells the sink of one doorbell.
func (h *hub) hear(p push) {
	h.b.counters.doorbells.Add(1)
	h.mu.RLock()
	s := h.subs[string(p.name)]
	wanted := s != nil && s.wanted
	h.mu.RUnlock()
	if !wanted {
		return // its end is under way
	}
	if forPresence(p.payload) {
		h.b.hearPresence(s, p.payload)
		return
	}
	e, signal, ok := parseDoorbell(p.payload)
	switch {
	case !ok:
		h.b.counters.malformed.Add(1)
	case s.probe:
		h.b.probe.returned(e.Event)
	case signal:
		s.signal(h.sink, e.Event)
	default:
		s.deliver(h.sink, e)
	}
}

func (h *hub) size() int {
	h.mu.RLock()
	defer h.mu.RUnlock()
	n := 0
	for _, s := range h.subs {
		if s.wanted && !s.probe {
			n++
		}
	}
	return n
}
