package redisbroker

import (
	"context"
	"fmt"
	"sync"

	"github.com/tallywire/tallywire/broker"
)

// state is where a channel stands on the current connection.
type state int

const (
	none state = iota
	subscribing
	subscribed
	unsubscribing
)

// subscription is one channel that is wanted, was a moment ago, or will not be for long. One command a
// channel is under way at a time; when its confirmation comes, what is wanted then decides on the next.
// So however subscribers come and go, the last wish wins.
type subscription struct {
	key, channel string // static
	probe        bool   // static: the prober's own

	wanted bool          // guarded by hub.mu
	held   bool          // guarded by hub.mu: a Subscribe has succeeded since it is wanted
	calls  int           // guarded by hub.mu: Subscribes under way
	state  state         // guarded by hub.mu
	ready  chan struct{} // guarded by hub.mu; closed when Redis has confirmed, or it is wanted no more

	// tell is held around each call of the sink, so that for one channel there is one at a time. The
	// sink does not block and does not call back.
	tell  sync.Mutex
	heard uint64 // guarded by tell: number of deliveries
	last  uint64 // guarded by tell: offset of the last one
}

// leave changes to a state that is not subscribed. The caller holds hub.mu.
func (s *subscription) leave(to state) {
	if s.state == subscribed {
		s.ready = make(chan struct{})
	}
	s.state = to
}

func (s *subscription) deliver(sink broker.Sink, e broker.Entry) {
	s.tell.Lock()
	defer s.tell.Unlock()
	s.heard++
	s.last = e.Cursor.Offset
	sink.Deliver(s.channel, e)
}

func (s *subscription) signal(sink broker.Sink, event []byte) {
	s.tell.Lock()
	defer s.tell.Unlock()
	sink.Signal(s.channel, event)
}

// mark returns the number of deliveries so far, for head.
func (s *subscription) mark() uint64 {
	s.tell.Lock()
	defer s.tell.Unlock()
	return s.heard
}

// head tells a head that was asked for at mark. A head that deliveries have overtaken since is old news
// and would look like a fork: it is left out, the next audit brings another.
func (s *subscription) head(sink broker.Sink, h broker.Head, mark uint64) {
	s.tell.Lock()
	defer s.tell.Unlock()
	if s.heard != mark && h.Cursor.Offset < s.last {
		return
	}
	sink.Head(s.channel, h)
}

// subscribe implements [Broker.Subscribe].
func (b *shard) subscribe(ctx context.Context, channel string) (broker.Head, error) {
	ctx, cancel := b.within(ctx)
	defer cancel()
	s, ready := b.hub.want(b.key(channel), channel, false)
	head, err := b.confirmed(ctx, s, ready)
	b.hub.settleCall(s, err == nil)
	if err != nil {
		return broker.Head{}, fmt.Errorf("subscribe %s: %w", channel, err)
	}
	return head, nil
}

func (b *shard) confirmed(ctx context.Context, s *subscription, ready <-chan struct{}) (broker.Head, error) {
	select {
	case <-ready:
	case <-ctx.Done():
		return broker.Head{}, fmt.Errorf("%w: not confirmed: %w%s", broker.ErrUnavailable, ctx.Err(), b.health.why())
	case <-b.hub.ended:
		return broker.Head{}, errEnded
	}
	return b.open(ctx, s.channel)
}

// unsubscribe implements [Broker.Unsubscribe].
func (b *shard) unsubscribe(channel string) { b.hub.release(b.key(channel)) }

// release makes a channel unwanted, and reports whether a Subscribe had succeeded.
func (h *hub) release(key string) (held bool) {
	h.mu.Lock()
	defer h.mu.Unlock()
	s := h.subs[key]
	if s == nil {
		return false
	}
	held = s.held
	h.unwant(s)
	return held
}

// adopt makes a channel wanted which was subscribed at another shard.
func (h *hub) adopt(key, channel string) *subscription {
	s, _ := h.want(key, channel, false)
	h.settleCall(s, true)
	return s
}

// resume subscribes again what Redis has ended by itself, and returns it.
func (h *hub) resume() (lost []*subscription) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.conn == nil {
		return nil
	}
	for _, s := range h.subs {
		if s.wanted && s.state == none {
			h.begin(s)
			lost = append(lost, s)
		}
	}
	return lost
}

// want makes a channel wanted. ready is closed once it is subscribed, or is not wanted any more.
func (h *hub) want(key, channel string, probe bool) (s *subscription, ready <-chan struct{}) {
	h.mu.Lock()
	defer h.mu.Unlock()
	s = h.subs[key]
	if s == nil {
		s = &subscription{key: key, channel: channel, probe: probe, ready: make(chan struct{})}
		h.subs[key] = s
	}
	s.wanted = true
	s.calls++
	if s.state == none && h.conn != nil {
		h.begin(s)
	}
	return s, s.ready
}

// settleCall ends a call of Subscribe. One that has failed takes back its wish, unless another holds it.
func (h *hub) settleCall(s *subscription, ok bool) {
	h.mu.Lock()
	defer h.mu.Unlock()
	s.calls--
	switch {
	case h.subs[s.key] != s: // forgotten meanwhile
	case ok:
		s.held = s.held || s.wanted
	case s.calls == 0 && !s.held:
		h.unwant(s)
	}
}

// unwant ends a subscription. The caller holds mu.
func (h *hub) unwant(s *subscription) {
	s.wanted, s.held = false, false
	switch s.state {
	case none:
		h.forget(s)
	case subscribed:
		h.finish(s)
	case subscribing, unsubscribing: // confirm goes on
	}
}

// forget removes a subscription that is on no connection, and lets those go on who wait for it. The
// caller holds mu.
func (h *hub) forget(s *subscription) {
	s.leave(none)
	close(s.ready)
	if h.subs[s.key] == s {
		delete(h.subs, s.key)
	}
}

// begin queues a SUBSCRIBE, finish an UNSUBSCRIBE. The caller holds mu.
func (h *hub) begin(s *subscription) {
	s.leave(subscribing)
	h.queue(op{subscribe: true, key: s.key})
}

func (h *hub) finish(s *subscription) {
	s.leave(unsubscribing)
	h.queue(op{subscribe: false, key: s.key})
}

func (h *hub) queue(o op) {
	h.ops = append(h.ops, o)
	select {
	case h.wake <- struct{}{}:
	default:
	}
}

// confirm takes Redis' confirmation of a command.
func (h *hub) confirm(key string, subscribe bool) {
	h.mu.Lock()
	defer h.mu.Unlock()
	s := h.subs[key]
	switch {
	case s == nil:
	case subscribe && s.state == subscribing:
		s.state = subscribed
		close(s.ready)
		if !s.wanted {
			h.finish(s)
		}
	case !subscribe && s.state == unsubscribing && s.wanted:
		h.begin(s)
	case !subscribe && s.state == unsubscribing:
		h.forget(s)
	case !subscribe && s.state == subscribed: // of a cluster: the slot has gone to another node
		s.leave(none)
		h.b.doubt()
	}
}

// readiness returns the channel that is closed once s is subscribed.
func (h *hub) readiness(s *subscription) <-chan struct{} {
	h.mu.RLock()
	defer h.mu.RUnlock()
	return s.ready
}

// snapshot returns the channels that are wanted, without the prober's.
func (h *hub) snapshot() []*subscription {
	h.mu.RLock()
	defer h.mu.RUnlock()
	subs := make([]*subscription, 0, len(h.subs))
	for _, s := range h.subs {
		if s.wanted && !s.probe {
			subs = append(subs, s)
		}
	}
	return subs
}
