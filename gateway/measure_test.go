package gateway_test

import (
	"bytes"
	"maps"
	"testing"
	"time"

	"github.com/coder/websocket"
	"github.com/stretchr/testify/require"

	"github.com/tallywire/tallywire/gateway"
	"github.com/tallywire/tallywire/gateway/wire"
	"github.com/tallywire/tallywire/namespace"
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
	require.Empty(t, m.Lag.Exemplars, "nothing is traced")
	passes := m.Fanout.Zero
	for _, n := range m.Fanout.Fine {
		passes += n
	}
	require.GreaterOrEqual(t, passes, uint64(4), "three that were live, and what was replayed")
	require.Less(t, m.Fanout.Sum, 10.0)
	all := map[string]gateway.NamespaceMeasures{"*": {Heard: 3, Delivered: 3 + 3 + 3}} // live, resumed, after the reset
	r.eventually("written", func() bool { return maps.Equal(all, r.gateway.Measures().Namespaces) })

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

// TestNamespacesAreMeasured: events count where the longest prefix says that they belong.
func TestNamespacesAreMeasured(t *testing.T) {
	r := newRig(t, rigOptions{namespaces: map[string]namespace.Options{
		"jobs": {}, "jobs:eu": {Delivery: namespace.DeliverLatest, Flush: time.Second},
	}})
	c := r.connect("alice", nil)
	for _, channel := range []string{"jobs:1", "jobs:eu:1", "else:1"} {
		c.subscribe(channel, "")
	}
	r.publish("jobs:1", event(1))
	r.publish("else:1", event(2))
	c.expect("event")
	c.expect("event")
	r.publish("jobs:eu:1", `{"type":"x","subject":"job/1"}`)
	c.expect("event")
	for range 2 { // within the interval
		r.publish("jobs:eu:1", `{"type":"x","subject":"job/1"}`)
	}
	require.EqualValues(t, 1, c.expect("event").Skipped)
	want := map[string]gateway.NamespaceMeasures{
		"jobs": {Heard: 1, Delivered: 1}, "*": {Heard: 1, Delivered: 1}, "jobs:eu": {Heard: 3, Delivered: 2, Skipped: 1},
	}
	r.eventually("all are written", func() bool { return maps.Equal(want, r.gateway.Measures().Namespaces) })
	c.send(`{"type":"unsubscribe","channel":"jobs:eu:1"}`)
	require.Equal(t, want, r.gateway.Measures().Namespaces, "what has been stays counted")
}

// TestPingsAreMeasured, from the ping until its pong; pongs that nobody asked for are not.
func TestPingsAreMeasured(t *testing.T) {
	r := newRig(t, rigOptions{change: func(o *gateway.Options) { o.Ping = time.Second }})
	c := r.connect("alice", nil)
	answered := func() (n uint64, sum float64) {
		m := r.gateway.Measures()
		for _, k := range m.Ping.Counts {
			n += k
		}
		return n, m.Ping.Sum
	}
	c.send(`{"type":"pong"}`)
	c.send(`{"type":"ping"}`)
	c.expect("pong")
	n, _ := answered()
	require.Zero(t, n)
	for i, pong := range []string{`{"type":"pong"}`, `[{ "type": "pong" }]`} {
		for msg, err := []byte(nil), error(nil); !bytes.Contains(msg, []byte(`"ping"`)); {
			_, msg, err = c.ws.Read(t.Context())
			require.NoError(t, err)
		}
		c.send("%s", pong)
		r.eventually("measured", func() bool { n, _ := answered(); return n == uint64(i)+1 })
	}
	_, sum := answered()
	require.Positive(t, sum)
	require.Less(t, sum, 2.0)
}
