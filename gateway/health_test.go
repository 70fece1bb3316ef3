package gateway_test

import (
	"errors"
	"fmt"
	"io"
	"net/http"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/tallywire/tallywire/gateway"
	"github.com/tallywire/tallywire/gateway/wire"
)

func TestHeartbeat(t *testing.T) {
	t.Parallel() // it waits for the clock
	r := newRig(t, rigOptions{change: func(o *gateway.Options) { o.Ping = time.Second }})
	answering, silent := r.connectRaw(0, "alice"), r.connectRaw(0, "bob")
	answering.send(`{"type":"ping"}`)
	require.Equal(t, "pong", answering.next().Type)

	started := time.Now()
	require.Equal(t, "ping", silent.next().Type)
	require.GreaterOrEqual(t, time.Since(started), 900*time.Millisecond)
	pings := 0
	for pings < 4 { // more than twice the interval
		require.Equal(t, "ping", answering.next().Type)
		answering.send(`{"type":"pong"}`)
		pings++
	}
	require.Greater(t, time.Since(started), 3*time.Second)
	for {
		f, err := silent.tryNext()
		if err != nil {
			require.True(t, errors.Is(err, io.EOF) || errors.Is(err, syscall.ECONNRESET), "%v", err)
			break
		}
		require.Equal(t, "ping", f.Type)
	}
	r.eventually("one is left", func() bool { return r.gateway.Connections() == 1 })
	answering.send(`{"type":"ping"}`)
	for answering.next().Type != "pong" {
	}
}

// While the store is away connections stay, and are told; what was published meanwhile arrives after.
func TestOutageOfTheStore(t *testing.T) {
	r := newRig(t, rigOptions{change: func(o *gateway.Options) { o.RelayMaxEvents = 8 }})
	away := r.store.ForTest().Outage
	c, publisher := r.connect("alice", nil), r.connect("bob", nil)
	last := *c.subscribe("jobs:1", "").Head
	old := last
	for n := range 50 {
		r.publish("jobs:1", event(n))
	}
	last = c.collect(last, 50)

	away(true)
	for _, c := range []*client{c, publisher} {
		f := c.expect("degraded")
		require.True(t, f.Degraded)
		require.NotEmpty(t, f.Reason)
		require.WithinDuration(t, time.Now(), time.UnixMilli(f.SinceMS), patience)
	}
	publisher.send(`{"type":"publish","id":1,"channel":"jobs:1","event":{"type":"x"}}`)
	require.True(t, publisher.expectError(wire.CodeUnavailable).Retry)
	publisher.send(`{"type":"signal","id":1,"channel":"jobs:1","event":{"type":"x"}}`)
	require.True(t, publisher.expectError(wire.CodeUnavailable).Retry)
	publisher.send(`{"type":"subscribe","id":2,"channel":"jobs:2"}`)
	f := publisher.expectError(wire.CodeUnavailable)
	require.True(t, f.Retry)
	require.Equal(t, "jobs:2", f.Channel)
	require.Equal(t, "2", string(f.ID))
	publisher.subscribe("jobs:1", "")                                                               // which the gateway has open
	publisher.send(`{"type":"subscribe","id":3,"channel":"jobs:1","since":"2026-01-01T00:00:00Z"}`) // which it has to look up
	publisher.expectError(wire.CodeUnavailable)
	late := r.connect("carol", nil)
	require.True(t, late.expect("degraded").Degraded)

	token := r.token("alice", nil)
	resp := r.post(token, `{"channel":"jobs:1","event":{"type":"x"}}`)
	require.Equal(t, http.StatusServiceUnavailable, resp.status)
	require.True(t, resp.problem(t).Retry)
	require.Equal(t, http.StatusMultiStatus, r.post(token, `{"events":[{"channel":"jobs:1","event":{"type":"x"}}]}`).status)
	require.Equal(t, http.StatusServiceUnavailable, r.get("/v1/channels/jobs:1/events", token, nil).status)
	require.Equal(t, http.StatusServiceUnavailable, r.get("/readyz", "", nil).status)
	require.Equal(t, http.StatusOK, r.get("/healthz", "", nil).status)

	away(false)
	for _, c := range []*client{c, publisher, late} {
		require.False(t, c.expect("degraded").Degraded)
	}
	require.Equal(t, http.StatusOK, r.get("/readyz", "", nil).status)
	publisher.subscribe("jobs:2", "")
	require.True(t, publisher.subscribe("jobs:1", fmt.Sprintf(`,"cursor":"%s"`, old)).Resumed)
	publisher.collect(old, 50)
	r.publish("jobs:1", event(99))
	c.collect(last, 1)
	publisher.expect("event")
}

// One gateway is cut off while another publishes: its clients get what they missed, in order.
func TestCaughtUpAfterACut(t *testing.T) {
	r := newRig(t, rigOptions{})
	elsewhere := r.store.Broker()
	c := r.connect("alice", nil)
	channels := []string{"jobs:1", "jobs:2", "jobs:3"}
	last := map[string]wire.Frame{}
	for _, channel := range channels {
		f := c.subscribe(channel, "")
		f.Cursor = f.Head
		last[channel] = f
	}
	faults := r.store.ForTest()
	for round := range 5 {
		faults.Cut(r.cut)
		require.True(t, c.expect("degraded").Degraded)
		for n := range 300 {
			publishWith(t, elsewhere, channels[n%3], event(round*300+n))
		}
		faults.Heal(r.cut)
		for n := 0; n < 300; {
			f := c.next()
			if f.Type == "degraded" {
				require.False(t, f.Degraded)
				continue
			}
			require.Equal(t, "event", f.Type)
			require.Equal(t, last[f.Channel].Cursor.Offset+1, f.Cursor.Offset)
			last[f.Channel] = f
			n++
		}
	}
}
