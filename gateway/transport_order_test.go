package gateway_test

import (
	"encoding/json"
	"fmt"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/tallywire/tallywire/broker"
	"github.com/tallywire/tallywire/gateway"
	"github.com/tallywire/tallywire/namespace"
)

func TestDeliversLiveInOrder(t *testing.T) {
	over(t, func(t *testing.T, by transport) {
		r := newRig(t, rigOptions{})
		f := by.read(r, "alice", nil, now("jobs:1"))
		began := f.expect("subscribed")
		require.Equal(t, *began.Head, *began.Cursor)
		require.False(t, began.Resumed)
		const total = 500
		published := make(chan error, 1)
		go func() {
			var err error
			for n := 0; n < total && err == nil; n++ {
				err = tryPublish(t.Context(), r.broker, "jobs:1", event(n))
			}
			published <- err
		}()
		for n := range total {
			require.JSONEq(t, event(n), string(f.expect("event").Event))
		}
		require.NoError(t, <-published)
	})
}

func TestResumesAfterACursor(t *testing.T) {
	over(t, func(t *testing.T, by transport) {
		r := newRig(t, rigOptions{change: func(o *gateway.Options) { o.RelayMaxEvents = 50 }})
		first := by.read(r, "alice", nil, now("jobs:1"))
		first.expect("subscribed")
		var cursors []broker.Cursor
		for n := range 1000 {
			cursors = append(cursors, r.publish("jobs:1", event(n)))
		}
		require.Equal(t, cursors[999], first.collect(1000))
		for i, at := range []int{0, 1, 500, 949, 950, 998} { // in the stream, and among the recent
			f := by.read(r, fmt.Sprint("alice-", i), nil, after("jobs:1", cursors[at]))
			answer := f.expect("subscribed")
			require.True(t, answer.Resumed)
			require.Equal(t, cursors[at], *answer.Cursor)
			require.Equal(t, cursors[999], f.collect(999-at))
		}
		f := by.read(r, "bob", nil, after("jobs:1", cursors[999]))
		require.True(t, f.expect("subscribed").Resumed)
		r.publish("jobs:1", event(1000))
		f.collect(1)
		// What a reader has, another one can go on after.
		again := by.read(r, "carol", nil, f.here()...)
		require.True(t, again.expect("subscribed").Resumed)
		last := r.publish("jobs:1", event(1001))
		require.Equal(t, last, again.collect(1))
	})
}

// From before the first entry, which opens the stream and is delivered to nobody.
func TestReadsFromTheBeginning(t *testing.T) {
	over(t, func(t *testing.T, by transport) {
		r := newRig(t, rigOptions{})
		last := r.publish("jobs:1", event(0))
		f := by.read(r, "alice", nil, after("jobs:1", broker.Cursor{}))
		require.True(t, f.expect("subscribed").Resumed)
		x := f.next()
		if x.Type == "skip" {
			x = f.next()
		}
		require.Equal(t, last, *x.Cursor)
	})
}

// Megabytes come in pages, and events of other channels among them.
func TestResumesFarBehindInPages(t *testing.T) {
	over(t, func(t *testing.T, by transport) {
		r := newRig(t, rigOptions{change: func(o *gateway.Options) {
			o.RelayMaxEvents, o.RelayMaxBytes = 16, 64<<10
		}})
		start := r.publish("jobs:1", event(0))
		calm := r.publish("calm:1", event(0))
		const total = 100
		var last broker.Cursor
		for n := range total {
			last = r.publish("jobs:1", large(n))
		}
		r.publish("calm:1", event(1))
		f := by.read(r, "alice", nil, after("jobs:1", start), after("calm:1", calm))
		for n, calmAt := 0, -1; n < total || calmAt < 0; {
			switch x := f.next(); {
			case x.Type == "subscribed":
				require.True(t, x.Resumed)
			case x.Channel == "calm:1":
				calmAt = n
				require.Less(t, n, total/2, "events before that of the calm channel")
			default:
				require.Equal(t, "event", x.Type)
				n++
			}
		}
		require.Equal(t, last, f.at["jobs:1"])
		require.NotZero(t, r.gateway.Hub().Counters().Pages.Load())
		require.Zero(t, r.gateway.Counters().Resets.Load())
		messages := r.gateway.Counters().Messages.Load()
		require.Less(t, r.gateway.Counters().Bytes.Load()/messages, uint64(132<<10), "bytes a message")
	})
}

func TestReadsManyChannelsAtOnce(t *testing.T) {
	over(t, func(t *testing.T, by transport) {
		r := newRig(t, rigOptions{})
		const channels, rounds = 200, 5
		ask := make([]string, channels)
		f := &feed{user: "alice", token: r.token("alice", nil)}
		for i := range ask {
			ask[i] = fmt.Sprintf("jobs:%d", i)
			if i%2 == 0 {
				f.asked = append(f.asked, now(ask[i]))
			} else {
				f.asked = append(f.asked, after(ask[i], r.publish(ask[i], event(0))))
			}
		}
		by.readWith(r, f)
		for range channels {
			x := f.expect("subscribed")
			require.Equal(t, len(x.Channel) > 0 && (x.Channel[len(x.Channel)-1]-'0')%2 == 1, x.Resumed, x.Channel)
		}
		last := map[string]broker.Cursor{}
		for n := range rounds {
			for _, channel := range ask {
				last[channel] = r.publish(channel, event(n))
			}
		}
		f.collect(channels * rounds)
		for channel, c := range last {
			require.Equal(t, c, f.at[channel])
		}
	})
}

func TestRewindsByTime(t *testing.T) {
	over(t, func(t *testing.T, by transport) {
		r := newRig(t, rigOptions{})
		cursors := make([]broker.Cursor, 20)
		for n := range cursors {
			cursors[n] = r.publish("calm:1", event(n))
		}
		f := by.read(r, "alice", nil, since("calm:1", cursors[11].Time()))
		require.Equal(t, cursors[11], *f.expect("subscribed").Cursor)
		require.Equal(t, cursors[19], f.collect(8))
		f = by.read(r, "bob", nil, since("calm:1", time.Now().Add(time.Hour)))
		require.Equal(t, cursors[19], *f.expect("subscribed").Cursor)
		r.publish("calm:1", event(20))
		f.collect(1)
	})
}

func TestConflatesBySubject(t *testing.T) {
	over(t, func(t *testing.T, by transport) {
		r := newRig(t, rigOptions{namespaces: map[string]namespace.Options{
			"metrics": {Delivery: namespace.DeliverLatest, Flush: 20 * time.Millisecond},
		}})
		f := by.read(r, "alice", nil, now("metrics:1"))
		f.expect("subscribed")
		const n = 600
		for i := range n {
			r.publish("metrics:1", fmt.Sprintf(`{"type":"x.metric","subject":"s%d","data":{"n":%d}}`, i%3, i))
		}
		final := r.publish("metrics:1", `{"type":"job.completed","subject":"s0","data":{"job_id":"1","attempt":1}}`)
		delivered, skipped := uint64(0), uint64(0)
		newest := map[string]int{}
		for f.at["metrics:1"] != final {
			x := f.next()
			skipped += x.Skipped
			if x.Type == "event" {
				delivered++
				var e struct {
					Subject string
					Data    struct{ N int }
				}
				require.NoError(t, json.Unmarshal(x.Event, &e))
				newest[e.Subject] = max(newest[e.Subject], e.Data.N)
			}
		}
		require.EqualValues(t, n+1, delivered+skipped)
		require.Less(t, delivered, uint64(n))
		require.Equal(t, map[string]int{"s0": 597, "s1": 598, "s2": 599}, newest)
	})
}

func TestSkipsInvalidEventsAndBuriesThem(t *testing.T) {
	over(t, func(t *testing.T, by transport) {
		dead := membrokerDead(t)
		r := newRig(t, rigOptions{change: func(o *gateway.Options) { o.Dead = dead }})
		f := by.read(r, "alice", nil, now("jobs:1"))
		f.expect("subscribed")
		r.publish("jobs:1", event(1))
		f.collect(1)
		bad := r.publish("jobs:1", `{"type":"job.progress","data":{"percent":1000}}`)
		skip := f.expect("skip")
		require.Equal(t, bad, *skip.Cursor)
		require.EqualValues(t, 1, skip.Skipped)
		r.publish("jobs:1", "{\"type\":\"x\",\"subject\":\"\xff\"}") // no UTF-8: it would break a browser's socket
		last := r.publish("jobs:1", event(2))
		delivered, skipped := f.until("jobs:1", last)
		require.EqualValues(t, 1, delivered)
		require.EqualValues(t, 1, skipped)
		r.eventually("dead letters", func() bool {
			letters, _, err := dead.List(t.Context(), "", 10)
			return err == nil && len(letters) == 2 && letters[0].Cursor == bad && letters[0].Code == "invalid_event"
		})
	})
}

// A signal is for those who listen now. It has no cursor, and moves no reader.
func TestDeliversSignals(t *testing.T) {
	over(t, func(t *testing.T, by transport) {
		r := newRig(t, rigOptions{})
		f := by.read(r, "alice", nil, now("jobs:1"))
		began := *f.expect("subscribed").Cursor
		sender := r.connect("bob", nil)
		heard, done := make(chan struct{}), make(chan struct{})
		go func() { // between two polls nobody listens
			defer close(done)
			for n := 0; ; n++ {
				select {
				case <-heard:
					return
				default:
				}
				sender.send(`{"type":"signal","id":%d,"channel":"jobs:1","event":{"type":"x.here","data":{"n":%d}}}`, n, n)
				sender.expect("published")
			}
		}()
		x := f.expect("signal")
		close(heard)
		<-done
		require.Equal(t, "jobs:1", x.Channel)
		require.Nil(t, x.Cursor)
		require.Contains(t, string(x.Event), `"x.here"`)
		last := r.publish("jobs:1", event(1))
		for x = f.next(); x.Type == "signal"; x = f.next() {
		}
		require.Equal(t, last, *x.Cursor)
		require.Equal(t, began.Offset+1, last.Offset)
	})
}

func TestRepairsLostAndDoubledDoorbells(t *testing.T) {
	over(t, func(t *testing.T, by transport) {
		r := newRig(t, rigOptions{})
		f := by.read(r, "alice", nil, now("jobs:1"))
		f.expect("subscribed")
		faults := r.store.ForTest()
		for n := range 30 {
			switch n % 3 {
			case 0:
				faults.Drop("jobs:1", 2)
			case 1:
				faults.Duplicate("jobs:1", 1)
			}
			for k := range 4 {
				r.publish("jobs:1", event(n*4+k))
			}
			f.collect(4)
		}
		require.NotZero(t, r.gateway.Hub().Counters().Repairs.Load())
	})
}
