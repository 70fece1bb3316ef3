package relay

import (
	"encoding/json"
	"fmt"
	"sync/atomic"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/tallywire/tallywire/namespace"
)

// A reader gets the newest signals, in order, and is told how many it has missed.
func TestSignals(t *testing.T) {
	bubble(t, namespace.Options{}, func(r *rig) {
		x := r.open()
		for _, n := range []int{1, maxSignals - 1, maxSignals, maxSignals + 1, 3*maxSignals + 5} {
			pos := x.Tail()
			c := r.publish(1)[0]
			for i := range n {
				r.hub.Signal(channel, fmt.Appendf(nil, `{"type":"typing","id":"%d"}`, i))
			}
			for range 2 { // the second from the cache
				b := x.Pull(pos, nil, 1<<16)
				var frames []struct {
					Type  string
					Event struct{ ID string }
				}
				require.NoError(r, json.Unmarshal(b.Message, &frames))
				lost := max(0, n-maxSignals)
				require.EqualValues(r, lost, b.Lost)
				require.Equal(r, "event", frames[0].Type)
				require.Len(r, frames[1:], n-lost)
				for i, f := range frames[1:] {
					require.Equal(r, fmt.Sprint(lost+i), f.Event.ID)
				}
				require.Equal(r, Position{Cursor: c, signals: x.signalSeq}, b.Next)
				require.Nil(r, x.Pull(b.Next, nil, 1<<16).Message)
			}
		}
	})
}

type counter struct{ n atomic.Int64 }

func (c *counter) Wake() { c.n.Add(1) }

// Every listener is woken by every change, until it stops.
func TestListeners(t *testing.T) {
	bubble(t, namespace.Options{}, func(r *rig) {
		x := r.open()
		var a, b counter
		stopA := x.Listen(&a)
		stopB := x.Listen(&b)
		r.publish(2)
		r.hub.Signal(channel, []byte(`{"type":"x"}`))
		require.EqualValues(r, 3, a.n.Load())
		require.EqualValues(r, 3, b.n.Load())
		stopA()
		stopA()
		r.publish(1)
		require.EqualValues(r, 3, a.n.Load())
		require.EqualValues(r, 4, b.n.Load())
		stopB()
		r.publish(1)
		require.EqualValues(r, 4, b.n.Load())
	})
}

// Readers at one place in the log who have had different signals share no batch.
func TestSignalsAreNotSharedByCursorAlone(t *testing.T) {
	bubble(t, namespace.Options{}, func(r *rig) {
		x := r.open()
		first := x.Tail()
		r.hub.Signal(channel, []byte(`{"type":"x","id":"a"}`))
		second := x.Tail()
		r.hub.Signal(channel, []byte(`{"type":"x","id":"b"}`))
		require.Contains(r, string(x.Pull(first, nil, 1<<16).Message), `"a"`)
		require.NotContains(r, string(x.Pull(second, nil, 1<<16).Message), `"a"`)
		require.Contains(r, string(x.Pull(second, nil, 1<<16).Message), `"b"`)
	})
}

// A signal from the store is vetted: one that is no event, or no UTF-8, would break the sockets of all who
// listen.
func TestBadSignalsGoNoFurther(t *testing.T) {
	bubble(t, namespace.Options{Types: []string{"typing"}}, func(r *rig) {
		x := r.open()
		pos := x.Tail()
		for _, bad := range []string{`{`, `{"type":"typing"`, "{\"type\":\"typing\",\"id\":\"\xff\"}", `{"id":"1"}`, `{"type":"other"}`, `[]`} {
			r.hub.Signal(channel, []byte(bad))
		}
		require.Nil(r, x.Pull(pos, nil, 1<<16).Message)
		require.EqualValues(r, 6, r.hub.Counters().BadSignals.Load())
		r.hub.Signal(channel, []byte("{\"type\":\n\"typing\"}"))
		require.JSONEq(r, `[{"type":"signal","channel":"`+channel+`","event":{"type":"typing"}}]`, string(x.Pull(pos, nil, 1<<16).Message))
	})
}
