package relay

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/tallywire/tallywire/broker"
	"github.com/tallywire/tallywire/broker/membroker"
	"github.com/tallywire/tallywire/events"
	"github.com/tallywire/tallywire/namespace"
)

// rig is a hub over an embedded store, in a bubble: synctest.Wait brings everything to rest, and time
// passes only when a test sleeps.
type rig struct {
	testing.TB
	store  *membroker.Store
	worker *membroker.Broker // publishes
	own    *membroker.Broker // the hub's
	gate   *gate             // around own
	hub    *Hub
	stop   func()
}

// small is a hub whose relays keep few events.
func small(o *Options) { o.MaxEvents = 8 }

func newRig(t testing.TB, ns namespace.Options, change ...func(*Options)) *rig {
	t.Helper()
	table, err := namespace.NewTable(map[string]namespace.Options{"": ns})
	require.NoError(t, err)
	r := &rig{TB: t, store: membroker.NewStore(membroker.Options{Namespaces: table})}
	r.worker, r.own = r.store.Broker(), r.store.Broker()
	r.gate = &gate{Broker: r.own}
	o := Options{Namespaces: table, Checker: checker{}}
	for _, c := range change {
		c(&o)
	}
	r.hub = NewHub(r.gate, o)
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- r.hub.Run(ctx) }()
	r.stop = sync.OnceFunc(func() {
		cancel()
		require.NoError(t, <-ended)
	})
	t.Cleanup(r.stop)
	return r
}

// bubble runs f with a rig in a bubble.
func bubble(t *testing.T, ns namespace.Options, f func(*rig), change ...func(*Options)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, ns, change...)
		synctest.Wait()
		f(r)
		r.gate.release()
		r.stop()
	})
}

const channel = "jobs:1"

func (r *rig) open() *Relay {
	r.Helper()
	x, err := r.hub.Acquire(context.Background(), channel)
	require.NoError(r, err)
	return x
}

// publish appends n events with numbers of their own and returns their cursors.
func (r *rig) publish(n int) []broker.Cursor {
	r.Helper()
	return r.publishOf(n, "t", 0)
}

func (r *rig) publishOf(n int, eventType string, padding int) []broker.Cursor {
	r.Helper()
	cursors := make([]broker.Cursor, n)
	for i := range cursors {
		cursors[i] = r.send(numbered(i, eventType, "", padding))
	}
	return cursors
}

func (r *rig) send(event []byte) broker.Cursor {
	r.Helper()
	receipt, err := broker.PublishWait(context.Background(), r.worker, broker.Publication{Channel: channel, Event: event})
	require.NoError(r, err)
	return receipt.Cursor
}

func numbered(n int, eventType, subject string, padding int) []byte {
	b := `{"id":"` + strconv.Itoa(n) + `","type":"` + eventType + `"`
	if subject != "" {
		b += `,"subject":"` + subject + `"`
	}
	if padding > 0 {
		b += `,"data":"` + strings.Repeat("x", padding) + `"`
	}
	return []byte(b + "}")
}

// stream reads all that the store retains.
func (r *rig) stream() (broker.Head, []broker.Entry) {
	r.Helper()
	var all []broker.Entry
	for from := uint64(1); ; {
		p, err := r.worker.Read(context.Background(), channel, broker.ReadRequest{From: from, Limit: broker.MaxReadLimit, MaxBytes: 1 << 30})
		require.NoError(r, err)
		all = append(all, p.Entries...)
		if len(p.Entries) < broker.MaxReadLimit {
			return p.Head, all
		}
		from = p.Entries[len(p.Entries)-1].Cursor.Offset + 1
	}
}

// fetch is Fetch, awaited.
func (r *rig) fetch(x *Relay, pos Position) (page *Page, reset *Reset, err error) {
	r.Helper()
	done := make(chan struct{})
	x.Fetch(pos, func(p *Page, rs *Reset, e error) { page, reset, err = p, rs, e; close(done) })
	<-done
	return page, reset, err
}

// checker refuses events of the type "bad", panics at "panic"; "end" is terminal.
type checker struct{}

func (checker) Check(env events.Envelope, _ []byte) error {
	switch env.Type {
	case "bad":
		return errors.New("bad event")
	case "panic":
		panic("checker")
	}
	return nil
}

func (checker) Terminal(eventType string) bool { return eventType == "end" }

// gate counts the hub's reads and can keep them from beginning, or from returning what they have.
type gate struct {
	broker.Broker

	mu            sync.Mutex
	reads         []broker.ReadRequest
	before, after chan struct{} // when set, closed to let reads go on
	subscribes    chan struct{} // the same for what Subscribe has
	subscribing   chan struct{} // and for Subscribe itself
}

func (g *gate) Read(ctx context.Context, channel string, r broker.ReadRequest) (broker.Page, error) {
	g.mu.Lock()
	g.reads = append(g.reads, r)
	before := g.before
	g.mu.Unlock()
	if err := pass(ctx, before); err != nil {
		return broker.Page{}, err
	}
	p, err := g.Broker.Read(ctx, channel, r)
	if err != nil {
		return p, fmt.Errorf("gate: %w", err)
	}
	g.mu.Lock()
	after := g.after
	g.mu.Unlock()
	return p, pass(ctx, after)
}

func (g *gate) Subscribe(ctx context.Context, channel string) (broker.Head, error) {
	g.mu.Lock()
	held := g.subscribing
	g.mu.Unlock()
	if err := pass(ctx, held); err != nil {
		return broker.Head{}, err
	}
	h, err := g.Broker.Subscribe(ctx, channel)
	if err != nil {
		return h, fmt.Errorf("gate: %w", err)
	}
	g.mu.Lock()
	held = g.subscribes
	g.mu.Unlock()
	return h, pass(ctx, held)
}

func pass(ctx context.Context, held chan struct{}) error {
	if held == nil {
		return nil
	}
	select {
	case <-held:
		return nil
	case <-ctx.Done():
		return errors.Join(broker.ErrUnavailable, ctx.Err())
	}
}

func (g *gate) holdBefore()     { g.hold(&g.before) }
func (g *gate) holdAfter()      { g.hold(&g.after) }
func (g *gate) holdSubscribes() { g.hold(&g.subscribes) }

func (g *gate) hold(ch *chan struct{}) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if *ch == nil {
		*ch = make(chan struct{})
	}
}

// release lets everything go on that is held.
func (g *gate) release() {
	g.mu.Lock()
	defer g.mu.Unlock()
	for _, ch := range []*chan struct{}{&g.before, &g.after, &g.subscribes, &g.subscribing} {
		if *ch != nil {
			close(*ch)
			*ch = nil
		}
	}
}

// count returns the number of reads so far.
func (g *gate) count() int {
	g.mu.Lock()
	defer g.mu.Unlock()
	return len(g.reads)
}

// rest lets retries, audits and repairs happen.
func (r *rig) rest() {
	time.Sleep(20 * time.Second) // the bubble's clock
	synctest.Wait()
}
