package relay

import (
	"context"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"pgregory.net/rapid"

	"github.com/tallywire/tallywire/broker"
	"github.com/tallywire/tallywire/namespace"
)

// world is a store with some readers, and the truth about it.
type world struct {
	*rig
	readers []*reader
	away    []bool // stalled readers
	known   map[broker.Cursor]broker.Entry
	order   []broker.Cursor // of known, as they came
	head    broker.Head
	now     map[broker.Cursor]struct{} // in the stream
	stream  []broker.Entry
	serial  int
	damages int
	lenient bool // every damage forgives each reader one reset
	begin   time.Time
}

func (w *world) entry(c broker.Cursor) (broker.Entry, bool) {
	e, ok := w.known[c]
	return e, ok
}

func (w *world) holds(c broker.Cursor) bool {
	if c == w.head.Oldest() && w.head.Exists {
		return true
	}
	_, ok := w.now[c]
	return ok
}

// look takes in what the store has become, and which readers have lost something.
func (w *world) look() {
	w.head, w.stream = w.rig.stream()
	w.now = make(map[broker.Cursor]struct{}, len(w.stream)+1)
	if w.head.Exists {
		w.now[w.head.Cursor] = struct{}{}
	}
	for _, e := range w.stream {
		w.now[e.Cursor] = struct{}{}
		if _, ok := w.known[e.Cursor]; !ok {
			w.known[e.Cursor] = e
			w.order = append(w.order, e.Cursor)
		}
	}
	for _, x := range w.readers {
		x.check.look()
	}
}

// op is one step of a run, with what it needs of chance.
type op struct {
	Kind    string
	N, M, R int
}

// harmless are steps after which no reader may be reset, damage those that lose events.
var (
	harmless = []string{
		"publish", "publish", "publish", "big", "drop", "double", "reorder", "turn", "turn", "turn", "stall", "join",
		"join", "leave", "cut", "heal", "heal", "audit", "sleep", "bad",
	}
	slow   = []string{"hold", "holdAfter", "release", "release", "release"}
	damage = []string{"fork", "fork", "trim", "delete"}
)

func ops(t *rapid.T, kinds []string) []op {
	gen := rapid.Custom(func(t *rapid.T) op {
		return op{
			Kind: rapid.SampledFrom(kinds).Draw(t, "kind"),
			N:    rapid.IntRange(0, 9).Draw(t, "n"),
			M:    rapid.IntRange(0, 1<<20).Draw(t, "m"),
			R:    rapid.IntRange(0, 3).Draw(t, "reader"),
		}
	})
	return rapid.SliceOfN(gen, 1, 60).Draw(t, "ops")
}

func (w *world) step(o op) {
	f := w.store.ForTest()
	x := w.readers[o.R]
	if slices.Contains(damage, o.Kind) {
		w.damages++
		if w.lenient {
			for _, x := range w.readers {
				x.check.spare++
			}
		}
	}
	switch o.Kind {
	case "publish":
		w.put(1+o.N*o.N, "t", 0)
	case "big":
		w.put(1+o.N, "t", 50_000)
	case "bad":
		w.put(1+o.N%2, "bad", 0)
	case "drop":
		f.Drop(channel, 1+o.N)
	case "double":
		f.Duplicate(channel, 1+o.N)
	case "reorder":
		f.Reorder(channel, 2+o.N)
	case "fork":
		f.Fork(channel, 1+o.M%(1+o.N*o.N))
	case "trim":
		f.Trim(channel, o.M%12)
	case "delete":
		f.Delete(channel)
	case "cut":
		f.Cut(w.own)
	case "heal":
		f.Heal(w.own)
	case "audit":
		f.Audit()
	case "hold":
		w.gate.holdBefore()
	case "holdAfter":
		w.gate.holdAfter()
	case "release":
		w.gate.release()
	case "sleep":
		time.Sleep(time.Duration(o.M%3000) * time.Millisecond) // the bubble's clock
	case "stall":
		w.away[o.R] = !w.away[o.R]
	case "leave":
		if !x.joining && x.again == nil {
			x.leave()
		}
	case "join":
		w.join(x, o)
	}
	w.look()
	synctest.Wait()
	w.look()
	if o.Kind == "turn" {
		w.turn()
	}
}

func (w *world) put(n int, eventType string, padding int) {
	for range n {
		w.serial++
		kind := eventType
		if kind == "t" && w.serial%7 == 0 {
			kind = "end"
		}
		w.send(numbered(w.serial, kind, "s"+strconv.Itoa(w.serial%3), padding))
	}
}

func (w *world) turn() {
	for i, x := range w.readers {
		if !w.away[i] {
			x.turn()
		}
	}
	synctest.Wait()
}

// join has a reader enter: where it left, live, at some cursor of whatever lineage, or at a time.
func (w *world) join(x *reader, o op) {
	if x.relay != nil || x.joining || x.again != nil {
		return
	}
	k, before := x.check, w.damages
	begin := func(c broker.Cursor) {
		k.begin(c)
		k.hurt = k.hurt || w.damages != before // while it was on its way in
	}
	at := k.last
	switch {
	case o.N < 3 && !at.IsZero():
	case o.N < 5:
		x.join(func(_ context.Context, r *Relay) (Position, *Reset, error) { return r.Tail(), nil, nil },
			func(p Position, _ *Reset) { begin(p.Cursor) })
		return
	case o.N == 5:
		since := w.begin.Add(time.Duration(o.M) * time.Since(w.begin) >> 20)
		x.join(func(ctx context.Context, r *Relay) (Position, *Reset, error) { return r.Rewind(ctx, since) },
			func(p Position, reset *Reset) {
				begin(p.Cursor)
				if e, ok := w.entry(p.Cursor); reset == nil && ok && e.Cursor.Time().After(since) {
					k.fail("rewound to %s for events after %s", p.Cursor, since)
				}
			})
		return
	case o.N == 6:
		at = broker.Cursor{}
	case o.N == 7:
		at = broker.Cursor{Offset: w.head.Cursor.Offset + 1 + uint64(o.M%3), Stamp: w.head.Cursor.Stamp + 1<<40}
	case len(w.order) > 0:
		at = w.order[o.M%len(w.order)]
	}
	x.join(func(ctx context.Context, r *Relay) (Position, *Reset, error) { return r.Resume(ctx, at) },
		func(p Position, reset *Reset) {
			begin(at)
			if reset != nil {
				k.reset(reset, p.Cursor)
				return
			}
			if p.Cursor != at {
				k.fail("resumed at %s instead of %s", p.Cursor, at)
			}
		})
}

// settle ends all trouble and waits until nothing happens any more.
func (w *world) settle() []string {
	w.calm()
	var errs []string
	for i, x := range w.readers {
		if x.relay != nil || x.joining || x.again != nil {
			if !x.idle() {
				x.check.fail("restless: joining %t, dirty %t, fetching %t at %s of %s", x.joining, x.dirty, x.fetching, x.pos.Cursor, w.head.Cursor)
			} else {
				x.check.settled(w.head, w.stream, x.relay.latest)
			}
		}
		for _, e := range x.check.errs {
			errs = append(errs, fmt.Sprintf("reader %d: %s", i, e))
		}
		x.leave()
	}
	return errs
}

// calm ends all trouble and lets everybody finish.
func (w *world) calm() {
	w.store.ForTest().Heal(w.own)
	w.gate.release()
	for i, x := range w.readers {
		w.away[i], x.pulls = false, 0
	}
	for range 40 {
		w.turn()
		time.Sleep(500 * time.Millisecond) // the bubble's clock
		w.look()
		w.turn()
	}
	w.turn()
	w.look()
}

// play runs the steps in a world of their own.
func play(t *testing.T, steps []op, ns namespace.Options, limit int) (errs []string, resets int) {
	t.Helper()
	bubble(t, ns, func(r *rig) {
		w := &world{rig: r, known: map[broker.Cursor]broker.Entry{}, begin: time.Now(), away: make([]bool, 4)}
		w.lenient = slices.ContainsFunc(steps, func(o op) bool { return slices.Contains(slow, o.Kind) })
		for i := range w.away {
			w.readers = append(w.readers, &reader{hub: r.hub, limit: limit, pulls: 2 * (i % 3), check: &check{truth: w}})
		}
		w.look()
		for _, o := range steps {
			w.step(o)
		}
		errs = w.settle()
		for _, x := range w.readers {
			resets += x.check.resets
		}
	}, func(o *Options) { o.MaxEvents, o.MaxBytes, o.Linger = 20, 400_000, 2*time.Second })
	return errs, resets
}

func holds(t *testing.T, ns namespace.Options, kinds ...[]string) {
	t.Helper()
	rapid.Check(t, func(rt *rapid.T) {
		steps := ops(rt, slices.Concat(kinds...))
		limit := rapid.SampledFrom([]int{1, 300, 3000, 64 << 10}).Draw(rt, "limit")
		if errs, _ := play(t, steps, ns, limit); len(errs) > 0 {
			rt.Fatal(strings.Join(errs, "\n"))
		}
	})
}

// Whatever happens to doorbells, reads and the connection, and wherever readers begin: all of them get
// every event once and in order, and none is reset while the stream keeps its entries.
func TestReadersLoseNothing(t *testing.T) { holds(t, namespace.Options{}, harmless, slow) }

// When the stream itself loses entries, those who had stood on them are told, and only those; all end
// with what the stream has.
func TestReadersAreToldOfLosses(t *testing.T) { holds(t, namespace.Options{}, harmless, damage) }

// The same while reads take long. A reader may then be told of one loss twice.
func TestReadersAreToldOfLossesInTime(t *testing.T) {
	holds(t, namespace.Options{}, harmless, slow, damage)
}

// In a namespace that conflates, what is delivered and what is skipped add up to what was published.
func TestConflatedReadersAreToldOfAll(t *testing.T) {
	holds(t, namespace.Options{Delivery: namespace.DeliverLatest}, harmless, slow, damage)
}
