package membroker

import (
	"testing"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"
)

// A ring behaves like a slice, stays within its limit, and keeps no reference to what has left.
func TestRingIsAQueue(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		limit := rapid.IntRange(1, 40).Draw(t, "limit")
		var r ring[*int]
		var model []*int
		t.Repeat(map[string]func(*rapid.T){
			"push": func(t *rapid.T) {
				if len(model) == limit {
					t.Skip("full")
				}
				v := new(int)
				model = append(model, v)
				r.push(v, limit)
			},
			"popFront": func(t *rapid.T) {
				if len(model) == 0 {
					t.Skip("empty")
				}
				require.Same(t, model[0], r.popFront())
				model = model[1:]
			},
			"popBack": func(t *rapid.T) {
				if len(model) == 0 {
					t.Skip("empty")
				}
				require.Same(t, model[len(model)-1], r.popBack())
				model = model[:len(model)-1]
			},
			"": func(t *rapid.T) {
				require.Equal(t, len(model), r.n)
				require.LessOrEqual(t, len(r.buf), limit)
				require.LessOrEqual(t, len(r.buf), max(minRing, 4*len(model)+3), "memory is not given back")
				for i := range model {
					require.Same(t, model[i], *r.at(i))
				}
				held := 0
				for _, p := range r.buf {
					if p != nil {
						held++
					}
				}
				require.Equal(t, len(model), held, "a removed element is still referred to")
			},
		})
	})
}
