package gateway

import (
	"context"
	"net/http"
	"sync"
	"sync/atomic"
	"time"

	"github.com/rs/zerolog"
	"golang.org/x/sync/errgroup"
	"golang.org/x/time/rate"

	"github.com/tallywire/tallywire/broker"
	"github.com/tallywire/tallywire/broker/relay"
	"github.com/tallywire/tallywire/gateway/contract"
)

// Gateway serves clients. All methods are safe for concurrent use.
type Gateway struct {
	options  Options
	hub      *relay.Hub
	flushers []*flusher
	handler  http.Handler
	rooms    *rooms     // nil without presence
	sessions *directory // nil without one
	visits   *visits
	polls    pollers
	traces   recorder
	counters Counters
	tally    *tally
	// what the log tells of connections
	connectionLog connectionLog
	contract      *contract.Contract

	next  atomic.Uint64  // spreads connections over the flushers
	conns sync.WaitGroup // every goroutine of every connection
	open  atomic.Int64
	live  atomic.Int64 // connections with a session
	// subscriptions that are being served
	subscriptions atomic.Int64
	gate          sync.RWMutex // held for reading while a connection is taken, for writing to stop that
	draining      atomic.Bool  // takes no connections
	leaving       atomic.Bool  // is not ready
	drainer       drainer
	started       time.Time
	arrivals      *rate.Limiter // of connections that last

	healthMu sync.Mutex // serialises notices of the broker's health
	healthy  bool       // as the connections were told
}

// Counters count what a gateway did. All are totals.
type Counters struct {
	Accepted      atomic.Uint64 // connections taken
	Refused       atomic.Uint64 // connections refused
	Commands      atomic.Uint64 // frames received
	BadFrames     atomic.Uint64 // frames answered with an error
	Published     atomic.Uint64 // events published for clients
	Events        atomic.Uint64 // events written to connections
	Skipped       atomic.Uint64 // events accounted for without delivery
	Messages      atomic.Uint64 // messages written
	Bytes         atomic.Uint64 // bytes written
	Resets        atomic.Uint64 // resets told
	Resumed       atomic.Uint64 // subscriptions that went on after a cursor
	SignalsLost   atomic.Uint64 // signals that a slow reader missed
	Blocked       atomic.Uint64 // writes that met a full socket
	SlowConsumers atomic.Uint64 // connections closed because a write took too long
	Panics        atomic.Uint64 // panics caught in one connection
	ResumeResets  atomic.Uint64 // subscriptions that could not go on after theirs
	Fresh         atomic.Uint64 // subscriptions without one
	BytesIn       atomic.Uint64 // bytes of client messages and request bodies
	Drains        atomic.Uint64 // drains begun
	DrainsEnded   atomic.Uint64 // drains after which nobody was left, or whose time was over
	DrainsUndone  atomic.Uint64 // drains that an operator took back, during or after them
	DrainsForced  atomic.Uint64 // drains that were cut short by another signal
	Moved         atomic.Uint64 // connections told to move
	Leftovers     atomic.Uint64 // connections closed since they had not moved in time
}

// New returns a gateway. It serves nothing before Run.
func New(o Options) (*Gateway, error) {
	o.setDefaults()
	if err := o.validate(); err != nil {
		return nil, err
	}
	g := &Gateway{options: o, started: time.Now(), tally: newTally(), connectionLog: newConnectionLog()}
	g.arrivals = rate.NewLimiter(rate.Inf, 0)
	if r := o.Limits.Rate; r > 0 {
		g.arrivals = rate.NewLimiter(rate.Limit(r), r)
	}
	g.drainer.gateway, g.drainer.force = g, make(chan struct{})
	var err error
	if g.contract, err = newContract(&o); err != nil {
		return nil, err
	}
	g.options.Registry = &safeChecker{Checker: o.Registry, counters: &g.counters, log: o.Log}
	var follow func(string, broker.Entry)
	if o.Tracer != nil {
		g.options.Broker, follow = traced{o.Broker, o.Tracer}, g.follow
	}
	g.hub = relay.NewHub(o.Broker, relay.Options{
		Namespaces: o.Namespaces, Checker: g.options.Registry, Dead: o.Dead,
		MaxEvents: o.RelayMaxEvents, MaxBytes: o.RelayMaxBytes, Linger: o.RelayLinger,
		Framing: frameHeader, OnHealth: g.onHealth, OnAppend: follow,
	})
	if o.Presence != nil {
		g.rooms = newRooms(g, o.Presence)
	}
	if o.Directory != nil {
		g.sessions = newDirectory(o.Directory)
	}
	g.visits = newVisits(g)
	for range o.Flushers {
		g.flushers = append(g.flushers, newFlusher(g))
	}
	g.handler = g.routes()
	return g, nil
}

// Handler returns the client-facing HTTP handler.
func (g *Gateway) Handler() http.Handler { return g.handler }

// Hub returns the gateway's relays.
func (g *Gateway) Hub() *relay.Hub { return g.hub }

// Counters returns the gateway's counters.
func (g *Gateway) Counters() *Counters { return &g.counters }

// Connections returns the number of open connections.
func (g *Gateway) Connections() int { return int(g.open.Load()) }

// Run runs the gateway until ctx ends, then drains it: connections are told to move, spread over the
// drain window, and those that remain are closed. It is called once.
func (g *Gateway) Run(ctx context.Context) error {
	// What serves connections outlives ctx by the drain.
	serveCtx, stop := context.WithCancel(context.WithoutCancel(ctx))
	defer stop()
	// When the broker fails, the flushers go on until all connections are closed.
	work, workCtx := errgroup.WithContext(serveCtx)
	work.Go(func() error { return g.hub.Run(workCtx) })
	for _, f := range g.flushers {
		work.Go(func() error { f.run(serveCtx); return nil })
	}
	work.Go(func() error { g.releaseLoop(workCtx); return nil })
	if g.rooms != nil { // until the last connection has left
		work.Go(func() error { return g.rooms.tracker.Run(serveCtx, g.rooms) })
		work.Go(func() error { g.rooms.sweepLoop(serveCtx); return nil })
	}
	if g.sessions != nil {
		work.Go(func() error { g.sessions.run(serveCtx); return nil })
	}
	defer g.options.Auth.OnRevoke(g.sweepNow)()
	select {
	case <-ctx.Done():
		g.drainer.finish(Drain{Wait: g.options.DrainWait, Window: g.options.DrainWindow})
	case <-workCtx.Done():
		g.drainer.abandon()
		g.closeAll()
	}
	g.awaitConnections()
	stop()
	return work.Wait()
}

// admit counts a connection that is about to be taken, unless no more are.
func (g *Gateway) admit() bool {
	g.gate.RLock()
	defer g.gate.RUnlock()
	if g.draining.Load() {
		return false
	}
	g.conns.Add(1)
	return true
}

// admitConnection is admit for one that counts.
func (g *Gateway) admitConnection() bool {
	if g.crowded() || !g.admit() {
		return false
	}
	g.open.Add(1)
	return true
}

// crowded reports whether the gateway takes no connection now.
func (g *Gateway) crowded() bool {
	limit := g.options.Limits.Connections
	return g.draining.Load() || limit > 0 && g.open.Load() >= int64(limit)
}

// refuseNew stops the gateway from taking connections: all that Run has to wait for are counted.
func (g *Gateway) refuseNew() {
	g.gate.Lock()
	defer g.gate.Unlock()
	g.draining.Store(true)
}

// takeNew lets connections in again after refuseNew.
func (g *Gateway) takeNew() {
	g.gate.Lock()
	defer g.gate.Unlock()
	g.draining.Store(false)
}

// sweepNow has every flusher look at its connections' deadlines and tokens at once.
func (g *Gateway) sweepNow() {
	for _, f := range g.flushers {
		f.call(func() { f.sweep(f.clock()) })
	}
}

// Ready reports whether the path from publish to receive works, and the gateway is not draining.
func (g *Gateway) Ready() (ok bool, reason string) {
	if g.leaving.Load() || g.draining.Load() {
		return false, "draining"
	}
	h := g.hub.HealthNow()
	return h.OK, h.Reason
}

// onHealth tells all connections when events are late, and when they are not any more.
func (g *Gateway) onHealth(h broker.Health) {
	g.healthMu.Lock()
	defer g.healthMu.Unlock()
	if h.OK == g.healthy {
		return
	}
	g.healthy = h.OK
	level := zerolog.InfoLevel
	if !h.OK {
		level = zerolog.WarnLevel
	}
	g.options.Log.WithLevel(level).Str("event", "broker_health").Bool("ok", h.OK).Str("reason", h.Reason).Msg("store health changed")
	for _, f := range g.flushers {
		f.call(func() { f.announceHealth(h) })
	}
}
