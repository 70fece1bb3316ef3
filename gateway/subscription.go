package gateway

import (
	"sync/atomic"

	"github.com/tallywire/tallywire/broker"
	"github.com/tallywire/tallywire/broker/relay"
)

// subscription is a session's reader of one channel.
type subscription struct {
	conn    *conn
	channel string // the relay's string, once it is known

	// Guarded by session.mu.
	relay     *relay.Relay // nil while the subscribe is under way
	cancelled bool         // unsubscribed, or replaced

	// Owned by the flusher.
	tap      *tap
	tapIndex int
	pos      relay.Position
	from     broker.Cursor // where delivery began
	since    int64         // flusher clock
	page     *relay.Page
	dirty    bool // in conn.dirty
	live     bool // has been at the head
	fetching bool
	ended    bool // detached, perhaps before it was attached
}

// tap is a flusher's ear at one relay: it wakes the flusher, which then serves the subscriptions of its
// connections.
type tap struct {
	flusher *flusher
	relay   *relay.Relay
	flush   int64    // the namespace's flush interval, nanoseconds
	passage *passage // the flusher's, of the namespace
	stop    func()
	queued  atomic.Bool // in flusher.taps

	// Owned by the flusher.
	subs      []*subscription
	lastFlush int64
	due       bool // in flusher.later
}

// Wake implements relay.Listener.
func (t *tap) Wake() {
	if !t.queued.Swap(true) {
		t.flusher.enqueueTap(t)
	}
}
