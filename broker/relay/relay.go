package relay

import (
	"sync"
	"sync/atomic"
	"time"

	"github.com/tallywire/tallywire/broker"
	"github.com/tallywire/tallywire/events"
	"github.com/tallywire/tallywire/gateway/wire"
	"github.com/tallywire/tallywire/namespace"
)

// Listener is told that a relay has something new. Wake must not block or call the relay; it may be
// called several times for one change.
type Listener interface {
	Wake()
}

// Relay is the tail of one channel in this gateway. All methods are safe for concurrent use.
type Relay struct {
	hub       *Hub
	channel   string
	namespace *namespace.Options
	latest    bool           // the namespace conflates by subject
	heard     *atomic.Uint64 // entries of the namespace

	listeners atomic.Pointer[[]Listener] // copied on write under mu

	mu sync.Mutex // guards everything below
	// opening: entries wait in pending until the first head is known. repairing: a goroutine reads the
	// stream, and entries wait in pending too.
	state    state
	log      log
	pending  []item
	overflow bool // pending was full and entries were dropped: read the stream once more
	// told is the last head that the broker told while the relay was not live.
	told    broker.Cursor
	lineage uint32
	cuts    []lineage
	// suspect is the log's head when the stream's head was first seen behind it.
	suspect   broker.Cursor
	buried    map[broker.Cursor]struct{}
	lastEntry time.Time
	signals   [maxSignals][]byte // a ring of encoded frames
	signalSeq uint64
	batches   [4]cachedBatch
	nextBatch int
	swept     int // nextBatch at the last sweep
	pages     pageCache

	// Guarded by hub.mu.
	refs      int
	idleSince time.Time
	ready     chan struct{} // closed when opening has ended
	openErr   error         // set before ready is closed
}

type state uint8

const (
	opening state = iota
	live
	repairing
)

const (
	maxPending = 1024 // live entries kept while the stream is read
	maxSignals = 64   // signals kept for readers that are not ready
)

// Channel returns the channel's name.
func (r *Relay) Channel() string { return r.channel }

// Namespace returns the channel's options; the caller must not change them.
func (r *Relay) Namespace() *namespace.Options { return r.namespace }

// Listen registers l until the returned function is called.
func (r *Relay) Listen(l Listener) (stop func()) {
	r.changeListeners(func(ls []Listener) []Listener { return append(ls, l) })
	return func() {
		r.changeListeners(func(ls []Listener) []Listener {
			for i, other := range ls {
				if other == l {
					return append(ls[:i], ls[i+1:]...)
				}
			}
			return ls
		})
	}
}

func (r *Relay) changeListeners(change func([]Listener) []Listener) {
	r.mu.Lock()
	defer r.mu.Unlock()
	var next []Listener
	if old := r.listeners.Load(); old != nil {
		next = append(next, *old...)
	}
	next = change(next)
	r.listeners.Store(&next)
}

func (r *Relay) wake() {
	if ls := r.listeners.Load(); ls != nil {
		for _, l := range *ls {
			l.Wake()
		}
	}
}

// opened sets the first head and takes in what arrived meanwhile.
func (r *Relay) opened(h broker.Head) {
	r.mu.Lock()
	r.log.open(h.Cursor)
	r.state = live
	r.drainLocked(len(r.pending))
	r.mu.Unlock()
}

// deliver takes an entry from the broker.
func (r *Relay) deliver(e broker.Entry) {
	it := r.encode(e)
	r.mu.Lock()
	if r.state != live {
		r.holdLocked(it)
		r.mu.Unlock()
		return
	}
	outcome := r.acceptLocked(it)
	switch outcome {
	case appended:
		r.trimLocked()
	case gap, doubtful:
		r.holdLocked(it)
		r.startRepairLocked()
	case duplicate:
	}
	r.mu.Unlock()
	if outcome == appended {
		if tell := r.hub.options.OnAppend; tell != nil {
			tell(r.channel, e)
		}
		r.wake()
	}
}

// acceptLocked appends an item if it continues the log.
func (r *Relay) acceptLocked(it item) outcome {
	o := r.log.accept(it)
	if o == appended && it.bad != nil {
		r.buryLocked(r.log.at(it.cursor.Offset))
	}
	return o
}

// holdLocked keeps an entry until the stream has been read.
func (r *Relay) holdLocked(it item) {
	if len(r.pending) >= maxPending {
		r.overflow = true
		return
	}
	r.pending = append(r.pending, it)
}

// drainLocked takes in the entries that were held; settled of them came before the stream was read. It
// starts a repair if they do not fit.
func (r *Relay) drainLocked(settled int) {
	pending, again, told := r.pending, r.overflow, r.told
	r.pending, r.overflow, r.told = nil, false, broker.Cursor{}
	for i, it := range pending {
		switch r.acceptLocked(it) {
		case gap:
			again = true
		case doubtful:
			// What the stream has lost, or is older than the log, if the stream has been read since: then
			// it is the truth. If not, it may be a fork.
			again = again || i >= settled
		case appended, duplicate:
		}
	}
	again = again || !told.IsZero() && !r.log.contains(told)
	r.trimLocked()
	if again {
		r.startRepairLocked()
	}
}

func (r *Relay) trimLocked() {
	r.lastEntry = r.hub.now()
	r.log.trim(r.hub.options.MaxEvents, r.hub.options.MaxBytes)
}

// observe compares the stream's head, read a moment ago, with the log.
func (r *Relay) observe(h broker.Head) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.state != live {
		r.told = h.Cursor
		return
	}
	switch {
	case h.Cursor == r.log.head:
		r.suspect = broker.Cursor{}
		return
	case h.Cursor.Offset < r.log.head.Offset && r.log.contains(h.Cursor):
		// Either the answer is older than the last delivery, or the stream has lost its tail. It is
		// the latter when the stream is still behind what the log had at the last look.
		if r.suspect.IsZero() || h.Cursor.Offset >= r.suspect.Offset {
			r.suspect = r.log.head
			if r.hub.now().Sub(r.lastEntry) < time.Second {
				return
			}
		}
	}
	r.suspect = broker.Cursor{}
	r.startRepairLocked()
}

// signal takes an ephemeral event. One that is not valid is counted and goes no further: it is in no log
// that could tell of it, and would break the sockets of all who listen.
func (r *Relay) signal(event []byte) {
	if _, _, err := r.vet(broker.Entry{Event: event}); err != nil {
		r.hub.counters.BadSignals.Add(1)
		return
	}
	frame := wire.AppendSignal(nil, r.channel, events.Compact(event))
	r.mu.Lock()
	r.signalSeq++
	r.signals[r.signalSeq%maxSignals] = frame
	r.mu.Unlock()
	r.wake()
}

// release lets go of pages that are too old to be used again, and of batches if none was built since the
// last call.
func (r *Relay) release(now time.Time) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.nextBatch == r.swept {
		r.batches = [4]cachedBatch{}
	}
	r.swept = r.nextBatch
	for i, p := range r.pages.recent {
		if p != nil && now.Sub(p.at) >= pageLife {
			r.pages.recent[i] = nil
		}
	}
}

// Head returns the newest entry that the relay knows.
func (r *Relay) Head() broker.Cursor {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.log.head
}

// LastEvent returns when the relay last took in an entry; the zero time when it has not.
func (r *Relay) LastEvent() time.Time {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.lastEntry
}

// Tail returns the position from which a reader receives only what comes from now on.
func (r *Relay) Tail() Position {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.positionLocked(r.log.head)
}

func (r *Relay) positionLocked(c broker.Cursor) Position {
	return Position{Cursor: c, lineage: r.lineage, signals: r.signalSeq}
}
