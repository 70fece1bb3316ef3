package relay

import (
	"slices"
	"testing"
	"testing/synctest"

	"github.com/stretchr/testify/require"

	"github.com/tallywire/tallywire/broker"
	"github.com/tallywire/tallywire/namespace"
)

// The checker of the models finds what it is there to find: a run that is right passes, and the same run
// with a bug put between relay and reader does not.
func TestCheckerFindsBugs(t *testing.T) {
	events := func(frames []frame) []int {
		var at []int
		for i, f := range frames {
			if f.Type == "event" {
				at = append(at, i)
			}
		}
		return at
	}
	var kept []frame
	bugs := map[string]func([]frame) []frame{
		"none": nil,
		"lost": func(f []frame) []frame { return slices.Delete(f, 0, 1) },
		"lost at the end": func(f []frame) []frame {
			return f[:len(f)-1]
		},
		"twice": func(f []frame) []frame { return append(f[:1:1], f...) },
		"swapped": func(f []frame) []frame {
			if at := events(f); len(at) > 1 {
				f[at[0]], f[at[1]] = f[at[1]], f[at[0]]
			}
			return f
		},
		"another's event": func(f []frame) []frame {
			if at := events(f); len(at) > 1 {
				f[at[0]].Event, f[at[1]].Event = f[at[1]].Event, f[at[0]].Event
			}
			return f
		},
		"offset of another lineage": func(f []frame) []frame { f[0].Cursor.Stamp++; return f },
		"not accounted for":         func(f []frame) []frame { f[0].Skipped++; return f },
		"an old message again": func(f []frame) []frame {
			if kept == nil {
				kept = slices.Clone(f)
			}
			return kept
		},
	}
	for name, bug := range bugs {
		kept = nil
		bubble(t, namespace.Options{}, func(r *rig) {
			w := &world{rig: r, known: map[broker.Cursor]broker.Entry{}, away: make([]bool, 1)}
			x := &reader{hub: r.hub, limit: 400, check: &check{truth: w, mutate: bug}}
			w.readers = []*reader{x}
			w.step(op{Kind: "join", N: 3})
			w.turn()
			w.step(op{Kind: "publish", N: 4})
			w.step(op{Kind: "turn"})
			errs := w.settle()
			require.Equal(r, bug != nil, len(errs) > 0, "%s: %v", name, errs)
		})
	}
}

// A loss that is not told, and a reset without a loss, are found too.
func TestCheckerFindsFalseResets(t *testing.T) {
	for _, told := range []bool{false, true} {
		for _, lost := range []bool{false, true} {
			bubble(t, namespace.Options{}, func(r *rig) {
				w := &world{rig: r, known: map[broker.Cursor]broker.Entry{}, away: make([]bool, 1)}
				x := &reader{hub: r.hub, limit: 400, check: &check{truth: w}}
				w.readers = []*reader{x}
				w.step(op{Kind: "join", N: 3})
				w.turn()
				w.step(op{Kind: "publish", N: 1})
				w.turn()
				to := x.pos
				if lost {
					w.store.ForTest().Fork(channel, 2)
					w.look()
					w.put(2, "t", 0)
					synctest.Wait()
					w.look()
					to = x.relay.Tail()
					to.Cursor = w.stream[0].Cursor
				}
				if told {
					x.check.reset(&Reset{Reason: broker.Forked, Cursor: to.Cursor}, to.Cursor)
				}
				x.pos = to
				x.pos.lineage = x.relay.lineage
				x.dirty = true
				errs := w.settle()
				require.Equal(r, lost != told, len(errs) > 0, "lost %t, told %t: %v", lost, told, errs)
			})
		}
	}
}
