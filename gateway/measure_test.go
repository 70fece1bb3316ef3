package gateway_test

import (
	"bytes"
	"testing"

	"github.com/coder/websocket"
	"github.com/stretchr/testify/require"

	"github.com/tallywire/tallywire/gateway"
	"github.com/tallywire/tallywire/gateway/wire"
)

func TestMeasures(t *testing.T) {
	r := newRig(t, rigOptions{})
	c := r.connect("alice", nil)
	at := *c.subscribe("jobs:1", "").Cursor
	last := at
	for n := range 3 {
		last = r.publish("jobs:1", event(n))
		c.expect("event")
	}
	c.subscribe("jobs:1", `,"cursor":"`+at.String()+`"`)
	c.collect(at, 3)
	c.subscribe("jobs:1", `,"cursor":"7-7"`)
	require.Equal(t, wire.ReasonExpired, c.expect("reset").Reason)

	m := r.gateway.Measures()
	require.Equal(t, gateway.TransportMeasures{Open: 1, Accepted: 1}, m.Transports["websocket"])
	require.Contains(t, m.Transports, "poll", "all are there from the start")
	require.EqualValues(t, 1, m.Fresh)
	require.EqualValues(t, 1, m.Resumed)
	require.EqualValues(t, 1, m.Reset)
	require.Equal(t, map[string]uint64{"trimmed": 0, "forked": 0, "expired": 1, "forbidden": 0}, m.Resets)
	require.Zero(t, m.Farthest, "everything up to %s is there", last)
	require.Positive(t, m.BytesIn)
	require.Greater(t, m.BytesOut, m.BytesIn/10)
	live := uint64(0)
	for _, n := range m.Lag.Counts {
		live += n
	}
	require.EqualValues(t, 3, live, "what is replayed does not count")
	require.Positive(t, m.Lag.Sum)

	c.send(`{"type":"refresh","id":9,"token":"no"}`)
	_ = c.ws.CloseNow()
	r.eventually("gone", func() bool { return r.gateway.Measures().Ends[gateway.End{Code: 1006, Reason: "client"}] == 1 })
	require.Zero(t, r.gateway.Measures().Transports["websocket"].Open)
}

// TestTooBigIsCounted: a message beyond all bounds ends the connection under its own code, in the measures and in
// the log, and not as if the client had gone away.
func TestTooBigIsCounted(t *testing.T) {
	log := &logbook{}
	r := newRig(t, rigOptions{change: func(o *gateway.Options) { log.takes(o); o.Limits.Message = 1024 }})
	c := r.connect("alice", nil)
	_ = c.ws.Write(t.Context(), websocket.MessageText, bytes.Repeat([]byte("x"), 17*1024)) // cut off perhaps
	c.expectClose(wire.CloseTooBig)
	r.eventually("gone", func() bool { return len(log.of("disconnected")) == 1 })
	ends := r.gateway.Measures().Ends
	require.EqualValues(t, 1, ends[gateway.End{Code: wire.CloseTooBig, Reason: "too_big"}])
	require.Zero(t, ends[gateway.End{Code: 1006, Reason: "client"}])
	line := log.of("disconnected")[0]
	require.EqualValues(t, wire.CloseTooBig, line.Get("code").Int())
	require.Equal(t, "too_big", line.Get("reason").Str)
}
