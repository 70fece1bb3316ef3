package relay

import (
	"context"
	"errors"
	"sync"
	"sync/atomic"
	"time"

	"github.com/tallywire/tallywire/broker"
)

// reader follows a channel as a gateway's flusher does for a subscription: it is served when its
// listener is woken or its page has come, and never otherwise.
type reader struct {
	hub   *Hub
	limit int
	pulls int // in a turn, if not 0: then it goes on with the next, and may hold a page meanwhile
	check *check

	relay    *Relay
	stop     func()
	pos      Position
	page     *Page
	dirty    bool
	fetching bool
	woken    atomic.Bool
	again    func() // joins again after a temporary error
	joining  bool

	mu    sync.Mutex
	calls []func() // guarded by mu
}

// Wake implements Listener.
func (x *reader) Wake() { x.woken.Store(true) }

func (x *reader) call(f func()) {
	x.mu.Lock()
	defer x.mu.Unlock()
	x.calls = append(x.calls, f)
}

// join enters the channel at the place that find returns. The checker is told of it by begin.
func (x *reader) join(find func(context.Context, *Relay) (Position, *Reset, error), begin func(Position, *Reset)) {
	x.joining = true
	go func() {
		ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
		defer cancel()
		r, err := x.hub.Acquire(ctx, channel)
		var pos Position
		var reset *Reset
		if err == nil {
			if pos, reset, err = find(ctx, r); err != nil {
				x.hub.Release(r)
			}
		}
		x.call(func() {
			x.joining = false
			if err != nil {
				x.again = func() { x.join(find, begin) }
				x.check.temporary(err)
				return
			}
			x.relay, x.pos, x.dirty = r, pos, true
			begin(pos, reset)
			x.stop = r.Listen(x)
		})
	}()
}

// leave ends the subscription.
func (x *reader) leave() {
	if x.relay == nil {
		return
	}
	x.stop()
	x.hub.Release(x.relay)
	x.relay, x.page, x.dirty, x.fetching = nil, nil, false, false
	x.mu.Lock()
	x.calls = nil
	x.mu.Unlock()
	x.woken.Store(false)
}

// turn is one pass of the flusher.
func (x *reader) turn() {
	if again := x.again; again != nil {
		x.again = nil
		again()
	}
	x.mu.Lock()
	calls := x.calls
	x.calls = nil
	x.mu.Unlock()
	for _, f := range calls {
		f()
	}
	if x.relay == nil {
		return
	}
	if x.woken.Swap(false) && !x.fetching {
		x.dirty = true
	}
	if x.dirty && !x.fetching {
		x.flush()
	}
}

// idle reports whether the reader waits for nothing but news.
func (x *reader) idle() bool {
	x.mu.Lock()
	defer x.mu.Unlock()
	return !x.joining && x.again == nil && !x.dirty && !x.fetching && !x.woken.Load() && len(x.calls) == 0
}

func (x *reader) flush() {
	for n := 0; n < 10_000; n++ {
		if x.pulls > 0 && n == x.pulls {
			return
		}
		b := x.relay.Pull(x.pos, x.page, x.limit)
		switch {
		case b.Reset != nil:
			x.check.reset(b.Reset, b.Next.Cursor)
			x.pos = b.Next
			continue
		case b.Behind:
			x.pos, x.page, x.dirty = b.Next, nil, false
			x.fetch()
			return
		}
		x.pos = b.Next
		x.check.batch(b)
		if !b.More {
			x.dirty, x.page = false, nil
			return
		}
	}
	x.check.fail("pulled for ever at %s", x.pos.Cursor)
	x.dirty = false
}

func (x *reader) fetch() {
	x.fetching = true
	relay := x.relay
	relay.Fetch(x.pos, func(page *Page, reset *Reset, err error) {
		x.call(func() {
			if x.relay != relay {
				return
			}
			x.fetching, x.dirty = false, true
			if err != nil {
				x.check.temporary(err)
				return // served again with the next turn
			}
			if reset != nil {
				x.pos.Cursor = reset.Cursor
				x.check.reset(reset, reset.Cursor)
			}
			x.page = page
		})
	})
}

// temporary checks an error after which a reader tries again.
func (k *check) temporary(err error) {
	if !errors.Is(err, broker.ErrUnavailable) && !errors.Is(err, ErrRetry) && !errors.Is(err, context.DeadlineExceeded) {
		k.fail("not a temporary error: %v", err)
	}
}
