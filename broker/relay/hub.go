package relay

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/tallywire/tallywire/broker"
	"github.com/tallywire/tallywire/namespace"
)

// Options configure a Hub. Zero values mean the defaults in the comments.
type Options struct {
	Namespaces *namespace.Table // required
	Checker    Checker          // required
	// Dead takes events that failed validation; nil counts them only.
	Dead Undertaker
	// MaxEvents and MaxBytes bound the recent events of a channel (1,024 and 1 MB).
	MaxEvents int
	MaxBytes  int
	// Linger is how long a channel without readers is kept, so that clients that come back find its
	// recent events (30 s).
	Linger time.Duration
	// Reads bounds the concurrent reads of streams (32).
	Reads int
	// ReadTimeout bounds one read (5 s).
	ReadTimeout time.Duration
	// Framing writes a transport's header for a message of n bytes at the end of headroom (16 bytes)
	// and returns its length. nil leaves Batch.Framed empty.
	Framing func(headroom []byte, n int) int
	// OnAppend, where set, is told of every entry that came live and continues its log, before the readers are
	// woken. It must not block, and must not keep the event.
	OnAppend func(channel string, e broker.Entry)
	// OnHealth is told of the broker's health; it must not block.
	OnHealth func(broker.Health)
}

// Undertaker takes events that cannot be delivered. broker.DeadLetters is one.
type Undertaker interface {
	Bury(ctx context.Context, letter broker.DeadLetter) error
}

// Counters count what a Hub did. All but the last are totals.
type Counters struct {
	Delivered atomic.Uint64 // entries told by the broker
	Repairs   atomic.Uint64 // gaps and forks that have been settled by reading
	Repaired  atomic.Uint64 // entries that came by a repair
	Failed    atomic.Uint64 // tries of a repair that went wrong, and are made again
	Cuts      atomic.Uint64 // lineages ended by a fork, a trim or an expiry
	Pages     atomic.Uint64 // pages read for readers that were behind
	Invalid   atomic.Uint64 // events not delivered because they failed validation
	DeadLost  atomic.Uint64 // dead letters that could not be stored
	// BadSignals are signals not delivered because they failed validation.
	BadSignals atomic.Uint64
	// Repairing is no total: how many relays are being repaired now. Their readers wait.
	Repairing atomic.Int64
}

// Hub holds the relays of a gateway and is the broker's Sink. All methods are safe for concurrent use.
type Hub struct {
	broker   broker.Broker
	options  Options
	counters Counters
	relays   sync.Map // channel → *Relay, for the path of deliveries
	mu       sync.Mutex
	heard    map[*namespace.Options]*atomic.Uint64 // guarded by mu
	health   atomic.Pointer[broker.Health]
	letters  chan broker.DeadLetter
	reads    chan struct{} // a semaphore

	work struct { // goroutines that read streams
		sync.Mutex
		ctx     context.Context //nolint:containedctx // the lifetime of Run, which owns the goroutines
		group   sync.WaitGroup
		stopped bool
	}
}

var _ broker.Sink = (*Hub)(nil)

// NewHub returns a hub over b. It does nothing until Run.
func NewHub(b broker.Broker, o Options) *Hub {
	if o.MaxEvents <= 0 {
		o.MaxEvents = 1024
	}
	if o.MaxBytes <= 0 {
		o.MaxBytes = 1 << 20
	}
	if o.Linger <= 0 {
		o.Linger = 30 * time.Second
	}
	if o.Reads <= 0 {
		o.Reads = 32
	}
	if o.ReadTimeout <= 0 {
		o.ReadTimeout = 5 * time.Second
	}
	h := &Hub{
		broker: b, options: o, heard: map[*namespace.Options]*atomic.Uint64{},
		letters: make(chan broker.DeadLetter, 256),
		reads:   make(chan struct{}, o.Reads),
	}
	h.health.Store(&broker.Health{Reason: "starting", Since: time.Now()})
	return h
}

// Run runs the broker and the hub's own work until ctx ends. It is called once.
func (h *Hub) Run(ctx context.Context) error {
	workCtx, cancel := context.WithCancel(ctx)
	h.work.Lock()
	h.work.ctx = workCtx
	h.work.Unlock()
	g, gctx := errgroup.WithContext(workCtx)
	g.Go(func() error { return h.broker.Run(gctx, h) })
	g.Go(func() error { h.sweepLoop(gctx); return nil })
	g.Go(func() error { h.buryLoop(gctx); return nil })
	err := g.Wait()
	h.work.Lock()
	h.work.stopped = true
	h.work.Unlock()
	cancel()
	h.work.group.Wait()
	if err != nil && ctx.Err() == nil {
		return fmt.Errorf("run broker: %w", err)
	}
	return nil
}

// Counters returns the hub's counters.
func (h *Hub) Counters() *Counters { return &h.counters }

// HealthNow returns the last health that the broker told.
func (h *Hub) HealthNow() broker.Health { return *h.health.Load() }

func (h *Hub) now() time.Time { return time.Now() }

// spawn runs f in a goroutine that Run waits for; it returns false when the hub is not running.
func (h *Hub) spawn(f func(context.Context)) bool {
	h.work.Lock()
	defer h.work.Unlock()
	if h.work.stopped || h.work.ctx == nil {
		return false
	}
	ctx := h.work.ctx
	h.work.group.Go(func() { f(ctx) })
	return true
}

// read reads from the broker within the bound on concurrent reads.
func (h *Hub) read(ctx context.Context, channel string, r broker.ReadRequest) (broker.Page, error) {
	select {
	case h.reads <- struct{}{}:
		defer func() { <-h.reads }()
	case <-ctx.Done():
		return broker.Page{}, errors.Join(broker.ErrUnavailable, ctx.Err())
	}
	ctx, cancel := context.WithTimeout(ctx, h.options.ReadTimeout)
	defer cancel()
	return h.broker.Read(ctx, channel, r) //nolint:wrapcheck // the broker names the operation
}

// Deliver implements broker.Sink.
func (h *Hub) Deliver(channel string, e broker.Entry) {
	h.counters.Delivered.Add(1)
	if r, ok := h.relays.Load(channel); ok {
		r.(*Relay).heard.Add(1) //nolint:forcetypeassert // only relays are stored
		r.(*Relay).deliver(e)   //nolint:forcetypeassert // as above
	}
}

// Heard returns how many entries of a namespace's channels the broker has told, of those that were open.
func (h *Hub) Heard(o *namespace.Options) uint64 {
	h.mu.Lock()
	defer h.mu.Unlock()
	if n := h.heard[o]; n != nil {
		return n.Load()
	}
	return 0
}

func (h *Hub) heardLocked(o *namespace.Options) *atomic.Uint64 {
	n := h.heard[o]
	if n == nil {
		n = &atomic.Uint64{}
		h.heard[o] = n
	}
	return n
}

// Signal implements broker.Sink.
func (h *Hub) Signal(channel string, event []byte) {
	if r, ok := h.relays.Load(channel); ok {
		r.(*Relay).signal(event) //nolint:forcetypeassert // only relays are stored
	}
}

// Head implements broker.Sink.
func (h *Hub) Head(channel string, head broker.Head) {
	if r, ok := h.relays.Load(channel); ok {
		r.(*Relay).observe(head) //nolint:forcetypeassert // only relays are stored
	}
}

// Health implements broker.Sink.
func (h *Hub) Health(health broker.Health) {
	h.health.Store(&health)
	if h.options.OnHealth != nil {
		h.options.OnHealth(health)
	}
}
