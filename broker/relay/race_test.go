package relay

import (
	"context"
	"fmt"
	"math/rand/v2"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/tallywire/tallywire/broker"
	"github.com/tallywire/tallywire/namespace"
)

// Many publish, read, leave and resume at once while doorbells are lost, doubled and swapped, relays are
// closed as soon as nobody reads, and the store is away now and then. Everybody gets everything.
func TestEverybodyAtOnce(t *testing.T) {
	const publishers, each, readers = 4, 400, 12
	seed := rand.Uint64()
	t.Logf("seed %d", seed)
	bubble(t, namespace.Options{MaxLen: 1 << 20}, func(r *rig) {
		w := &world{rig: r, known: map[broker.Cursor]broker.Entry{}, away: make([]bool, readers)}
		var publishing, reading sync.WaitGroup
		var done atomic.Bool
		for p := range publishers {
			chance := rand.New(rand.NewPCG(seed, uint64(p)))
			publishing.Go(func() {
				f := r.store.ForTest()
				for i := range each {
					switch chance.IntN(20) {
					case 0:
						f.Drop(channel, 1+chance.IntN(4))
					case 1:
						f.Duplicate(channel, 1+chance.IntN(4))
					case 2:
						f.Reorder(channel, 2+chance.IntN(4))
					case 3:
						f.Cut(r.own)
					case 4, 5:
						f.Heal(r.own)
					case 6, 7, 8:
						time.Sleep(time.Duration(chance.IntN(300)) * time.Millisecond) // the bubble's clock
					}
					r.send(numbered(p*each+i, "t", "", chance.IntN(2000)))
				}
			})
		}
		for i := range readers {
			chance := rand.New(rand.NewPCG(seed, uint64(100+i)))
			x := &reader{hub: r.hub, limit: 1 + chance.IntN(20_000), check: &check{truth: w, later: true}}
			w.readers = append(w.readers, x)
			reading.Go(func() {
				for !done.Load() {
					if x.relay == nil && !x.joining && x.again == nil {
						x.enter()
					}
					x.turn()
					time.Sleep(time.Duration(1+chance.IntN(100)) * time.Millisecond) // the bubble's clock
					if chance.IntN(20) == 0 && !x.joining && x.again == nil {
						x.leave()
					}
				}
			})
		}
		publishing.Wait()
		done.Store(true)
		reading.Wait()
		for _, x := range w.readers {
			if x.relay == nil && !x.joining && x.again == nil {
				x.enter()
			}
		}
		w.look()
		w.calm()
		require.EqualValues(r, publishers*each+1, w.head.Cursor.Offset)
		for i, x := range w.readers {
			x.check.replay()
			require.True(r, x.idle())
			x.check.settled(w.head, w.stream, false)
			require.Empty(r, x.check.errs, "reader %d", i)
			x.leave()
		}
		require.NotZero(r, r.hub.Counters().Repairs.Load())
	}, func(o *Options) { o.MaxEvents, o.Linger = 64, time.Nanosecond })
}

// enter joins where the reader left, or live for the first time.
func (x *reader) enter() {
	at := x.pos.Cursor
	if at.IsZero() {
		x.join(func(_ context.Context, r *Relay) (Position, *Reset, error) { return r.Tail(), nil, nil },
			func(p Position, _ *Reset) { x.check.begin(p.Cursor) })
		return
	}
	x.join(func(ctx context.Context, r *Relay) (Position, *Reset, error) { return r.Resume(ctx, at) },
		func(p Position, reset *Reset) {
			if reset != nil || p.Cursor != at {
				x.check.fail("resumed at %s instead of %s: %v", p.Cursor, at, reset)
			}
		})
}

// However fast others publish, a repair comes to its end, and its readers are served meanwhile.
func TestRepairKeepsUpWithAPublisher(t *testing.T) {
	bubble(t, namespace.Options{MaxLen: 1 << 20}, func(r *rig) {
		x := r.open()
		f := r.store.ForTest()
		f.Drop(channel, 1)
		r.publish(1)
		for round := range 20 { // more than a repair takes in at a time, while it reads
			r.gate.holdAfter()
			f.Audit()
			at := x.Head()
			r.publish(maxPending + 100)
			r.gate.release()
			time.Sleep(time.Millisecond) // the bubble's clock
			require.Greater(r, x.Head().Offset, at.Offset, fmt.Sprint(round))
		}
		head, _ := r.stream()
		require.Equal(r, head.Cursor, x.Head())
		require.Less(r, r.hub.Counters().Repairs.Load(), uint64(100))
		require.Zero(r, r.hub.Counters().Cuts.Load())
	})
}
