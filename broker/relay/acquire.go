package relay

import (
	"context"
	"errors"
	"time"

	"github.com/tallywire/tallywire/broker"
)

// Acquire returns the relay of a channel, opened, and holds it until Release. The first for a channel
// subscribes at the broker; others wait for that.
func (h *Hub) Acquire(ctx context.Context, channel string) (*Relay, error) {
	r, first := h.hold(channel)
	if first && !h.spawn(func(ctx context.Context) { h.open(ctx, r) }) {
		h.openFailed(r, broker.ErrUnavailable)
	}
	select {
	case <-r.ready:
	case <-ctx.Done():
		h.Release(r)
		return nil, errors.Join(broker.ErrUnavailable, ctx.Err())
	}
	if r.openErr != nil {
		return nil, r.openErr
	}
	return r, nil
}

// AcquireOpen is Acquire for a channel that is open already. It does not block.
func (h *Hub) AcquireOpen(channel string) (*Relay, bool) {
	h.mu.Lock()
	defer h.mu.Unlock()
	v, ok := h.relays.Load(channel)
	if !ok {
		return nil, false
	}
	r := v.(*Relay) //nolint:forcetypeassert // only relays are stored
	select {
	case <-r.ready:
	default:
		return nil, false
	}
	if r.openErr != nil {
		return nil, false
	}
	r.refs++
	return r, true
}

func (h *Hub) hold(channel string) (r *Relay, first bool) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if v, ok := h.relays.Load(channel); ok {
		r = v.(*Relay) //nolint:forcetypeassert // only relays are stored
		r.refs++
		return r, false
	}
	ns := h.options.Namespaces.For(channel)
	r = &Relay{
		hub: h, channel: channel, namespace: ns, latest: ns.Delivery == "latest",
		heard: h.heardLocked(ns), refs: 1, ready: make(chan struct{}),
	}
	h.relays.Store(channel, r)
	return r, true
}

func (h *Hub) open(ctx context.Context, r *Relay) {
	ctx, cancel := context.WithTimeout(ctx, h.options.ReadTimeout)
	defer cancel()
	head, err := h.broker.Subscribe(ctx, r.channel)
	if err != nil {
		h.openFailed(r, err)
		return
	}
	r.opened(head)
	close(r.ready)
}

// reopen has a stream that is gone opened again, by subscribing to it once more.
func (h *Hub) reopen(ctx context.Context, channel string) error {
	if _, err := h.broker.Subscribe(ctx, channel); err != nil {
		return err //nolint:wrapcheck // the broker names the operation
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	if _, ok := h.relays.Load(channel); !ok {
		h.broker.Unsubscribe(channel) // the relay was closed meanwhile
	}
	return nil
}

// openFailed forgets the relay, so that the next Acquire tries again.
func (h *Hub) openFailed(r *Relay, err error) {
	h.mu.Lock()
	h.relays.Delete(r.channel)
	h.mu.Unlock()
	r.openErr = err
	close(r.ready)
}

// Release gives back what Acquire returned.
func (h *Hub) Release(r *Relay) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if r.refs--; r.refs == 0 {
		r.idleSince = h.now()
	}
}

// sweepLoop closes relays that nobody has read for a while, and has the others let go of what is not used.
func (h *Hub) sweepLoop(ctx context.Context) {
	t := time.NewTicker(max(h.options.Linger/4, 10*time.Millisecond))
	defer t.Stop()
	for {
		select {
		case <-t.C:
			h.sweep()
		case <-ctx.Done():
			return
		}
	}
}

func (h *Hub) sweep() {
	now := h.now()
	h.relays.Range(func(_, v any) bool {
		r := v.(*Relay) //nolint:forcetypeassert // only relays are stored
		h.mu.Lock()
		idle := r.refs == 0 && now.Sub(r.idleSince) >= h.options.Linger
		select {
		case <-r.ready:
		default:
			idle = false
		}
		if idle {
			h.relays.Delete(r.channel)
			// Under the lock, since one Unsubscribe ends all: the Subscribe of a new relay comes after it.
			h.broker.Unsubscribe(r.channel)
		}
		h.mu.Unlock()
		if !idle {
			r.release(now)
		}
		return true
	})
}

// holds reports whether r is still the relay of its channel.
func (h *Hub) holds(r *Relay) bool {
	current, ok := h.relays.Load(r.channel)
	return ok && current == any(r)
}

// Each calls visit for every open relay, in no order.
func (h *Hub) Each(visit func(*Relay)) {
	h.relays.Range(func(_, v any) bool {
		visit(v.(*Relay)) //nolint:forcetypeassert // only relays are stored
		return true
	})
}
