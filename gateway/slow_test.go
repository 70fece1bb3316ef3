package gateway_test

import (
	"fmt"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/tallywire/tallywire/gateway"
)

// large returns an event of about 8 KB.
func large(n int) string {
	return fmt.Sprintf(`{"type":"x","data":{"n":%d,"pad":"%s"}}`, n, strings.Repeat("x", 8<<10))
}

// A client that does not read is closed after the write deadline. Until then it costs one frame of
// memory, and nobody else is kept waiting; when it comes back it goes on where it was.
func TestClientThatDoesNotRead(t *testing.T) {
	r := newRig(t, rigOptions{change: func(o *gateway.Options) {
		o.Limits.WriteTimeout = 1500 * time.Millisecond
		o.RelayMaxEvents = 64
		o.Flushers = 1 // the stuck and the others share it
	}})
	live := r.connect("bob", nil)
	last := *live.subscribe("jobs:1", "").Head
	stuck := make([]*rawClient, 10)
	for i := range stuck {
		stuck[i] = r.connectRaw(4096, "alice")
		stuck[i].send(`{"type":"subscribe","channel":"jobs:1"}`)
		require.Equal(t, "subscribed", stuck[i].next().Type)
	}
	start := last
	before := heap()
	const total, batch = 1500, 50 // 12 MB, beyond what the sockets' buffers hold
	slowest := time.Duration(0)
	for n := range total {
		r.publish("jobs:1", large(n))
		if n%batch == batch-1 {
			sent := time.Now()
			last = live.collect(last, batch)
			slowest = max(slowest, time.Since(sent))
		}
	}
	require.Less(t, slowest, time.Second, "others wait for nobody")
	// The log itself has 12 MB; a queue for each of the ten would have 120 MB.
	require.Less(t, heap()-before, int64(40<<20))
	r.eventually("slow consumers", func() bool { return r.gateway.Counters().SlowConsumers.Load() == 10 })
	r.eventually("closed", func() bool { return r.gateway.Connections() == 1 })

	// What it had received until the end is contiguous, and it resumes after that.
	got := start
	for {
		f, err := stuck[0].tryNext()
		if err != nil {
			break
		}
		require.Equal(t, got.Offset+1, f.Cursor.Offset)
		got = *f.Cursor
	}
	require.Less(t, got.Offset, last.Offset)
	back := r.connect("alice", nil)
	require.True(t, back.subscribe("jobs:1", fmt.Sprintf(`,"cursor":"%s"`, got)).Resumed)
	require.Equal(t, last, back.collect(got, int(last.Offset-got.Offset)))
}

func heap() int64 {
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return int64(m.HeapAlloc)
}

// Signals that a slow reader has no room for are lost, and counted.
func TestLostSignalsAreCounted(t *testing.T) {
	r := newRig(t, rigOptions{})
	c := r.connectRaw(4096, "alice")
	c.send(`{"type":"subscribe","channel":"jobs:1"}`)
	require.Equal(t, "subscribed", c.next().Type)
	sender := r.connect("bob", nil)
	const total = 1200
	for n := range total {
		sender.send(`{"type":"signal","id":%d,"channel":"jobs:1","event":%s}`, n, large(n))
		sender.expect("published")
	}
	last := r.publish("jobs:1", event(1))
	got := uint64(0)
	for f := c.next(); f.Type != "event" || *f.Cursor != last; f = c.next() {
		require.Equal(t, "signal", f.Type)
		got++
	}
	for got+r.gateway.Counters().SignalsLost.Load() < total { // those behind the event
		require.Equal(t, "signal", c.next().Type)
		got++
	}
	require.Equal(t, uint64(total), got+r.gateway.Counters().SignalsLost.Load())
	require.NotZero(t, r.gateway.Counters().SignalsLost.Load())
}

// A client that asks without reading the answers is not read from either, and closed like any other.
func TestClientThatOnlyAsks(t *testing.T) {
	r := newRig(t, rigOptions{change: func(o *gateway.Options) {
		o.Limits.WriteTimeout = time.Second
		o.Limits.Commands = 1e9
	}})
	c := r.connectRaw(4096, "alice")
	message := masked(0x80|opText, []byte("["+strings.Repeat(`{"type":"ping"},`, 255)+`{"type":"ping"}]`))
	started := time.Now()
	before := heap()
	var err error
	for err == nil && time.Since(started) < patience {
		_, err = c.conn.Write(message)
	}
	require.Error(t, err, "closed")
	require.Less(t, time.Since(started), patience)
	require.Less(t, heap()-before, int64(16<<20))
	r.eventually("gone", func() bool { return r.gateway.Connections() == 0 })
	require.EqualValues(t, 1, r.gateway.Counters().SlowConsumers.Load())
}
