package gateway_test

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/tallywire/tallywire/broker"
	"github.com/tallywire/tallywire/gateway"
	"github.com/tallywire/tallywire/gateway/wire"
)

// While the store is away from the gateway its readers stay; what others published meanwhile follows.
func TestReadsOnAfterAnOutage(t *testing.T) {
	over(t, func(t *testing.T, by transport) {
		r := newRig(t, rigOptions{change: func(o *gateway.Options) { o.RelayMaxEvents = 8 }})
		elsewhere := r.store.Broker() // of another gateway
		f := by.read(r, "alice", nil, now("jobs:1"), now("jobs:2"))
		f.expect("subscribed")
		f.expect("subscribed")
		r.publish("jobs:1", event(0))
		f.collect(1)
		var last broker.Cursor
		for round := range 3 {
			r.store.ForTest().Cut(r.cut)
			r.eventually("not ready", func() bool { ok, _ := r.gateway.Ready(); return !ok })
			for n := range 30 {
				last = publishWith(t, elsewhere, "jobs:1", event(n))
			}
			if round == 1 { // one that comes while the store is away is told so, and goes on later
				late := by.read(r, "bob", nil, after("jobs:1", last), now("new:1"))
				for x := late.next(); x.Type != "error"; x = late.next() {
					require.Contains(t, []string{"subscribed", "degraded"}, x.Type)
				}
				late.close()
			}
			r.store.ForTest().Heal(r.cut)
			for f.at["jobs:1"] != last {
				switch x := f.next(); x.Type {
				case "event", "degraded":
				case "error": // of a poll that came while the store was away
					require.Equal(t, wire.CodeUnavailable, x.Code)
					require.True(t, x.Retry)
				default:
					require.Fail(t, x.Type)
				}
			}
		}
		require.Zero(t, r.gateway.Counters().Resets.Load())
		last = r.publish("jobs:2", event(1))
		f.until("jobs:2", last)
	})
}

// What is said of a channel that cannot be opened now is no end of it: the place that was asked for is kept.
func TestKeepsThePlaceThatWasAskedFor(t *testing.T) {
	t.Parallel()
	r := newRig(t, rigOptions{})
	start := r.publish("jobs:1", event(1))
	r.publish("jobs:1", event(2))
	known := r.publish("jobs:2", event(1))
	open := polls.read(r, "bob", nil, now("jobs:2")) // so that the gateway has it open
	open.expect("subscribed")
	r.store.ForTest().Cut(r.cut)
	r.eventually("not ready", func() bool { ok, _ := r.gateway.Ready(); return !ok })
	f := polls.read(r, "alice", nil, since("jobs:1", start.Time()), after("jobs:2", known))
	for x := f.next(); x.Type != "error"; x = f.next() {
	}
	r.store.ForTest().Heal(r.cut)
	for x := f.next(); x.Type != "event"; x = f.next() {
	}
	require.Equal(t, start.Offset+1, f.at["jobs:1"].Offset)
}

// A reader that takes its time falls behind what the gateway keeps, and catches up through pages.
func TestReadsSlowly(t *testing.T) {
	over(t, func(t *testing.T, by transport) {
		r := newRig(t, rigOptions{change: func(o *gateway.Options) {
			o.RelayMaxEvents, o.RelayMaxBytes = 16, 64<<10
			o.Limits.WriteTimeout = time.Minute
		}})
		f := by.readWith(r, &feed{
			user: "alice", token: r.token("alice", nil), receive: 4096, asked: []wire.StreamChannel{now("jobs:1")},
		})
		f.expect("subscribed")
		const total = 250
		for n := range total {
			r.publish("jobs:1", large(n))
			if n%100 == 99 { // a few, now and then
				f.collect(3)
			}
		}
		f.collect(total - 3*total/100)
		require.NotZero(t, r.gateway.Hub().Counters().Pages.Load())
		require.Zero(t, r.gateway.Counters().Resets.Load())
		require.Zero(t, r.gateway.Counters().SlowConsumers.Load())
	})
}

// A reader whose events are trimmed while it reads nothing is told so, once.
func TestReadsSlowlyBehindTheRetention(t *testing.T) {
	over(t, func(t *testing.T, by transport) {
		r := newRig(t, rigOptions{change: func(o *gateway.Options) { o.RelayMaxEvents = 16 }})
		f := by.readWith(r, &feed{
			user: "alice", token: r.token("alice", nil), receive: 4096, asked: []wire.StreamChannel{now("jobs:1")},
		})
		f.expect("subscribed")
		var newest broker.Cursor
		for n := range 500 {
			newest = r.publish("jobs:1", large(n))
		}
		oldest := r.store.ForTest().Trim("jobs:1", 40)
		resets := 0
		for f.at["jobs:1"] != newest {
			if x := f.next(); x.Type == "reset" {
				require.Equal(t, "trimmed", x.Reason)
				require.Equal(t, oldest.Oldest(), *x.Cursor)
				resets++
			}
		}
		require.Equal(t, 1, resets)
	})
}
