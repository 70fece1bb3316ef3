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
	r := newRig(t, rigOptions{})
	c := r.connect("alice", nil)
	head := *c.subscribe("jobs:1", "").Head
	for n := range 500 {
		r.publish("jobs:1", event(n))
	}
	last := head
	for n := range 500 {
		f := c.expect("event")
		require.Equal(t, last.Offset+1, f.Cursor.Offset)
		require.JSONEq(t, event(n), string(f.Event))
		last = *f.Cursor
	}
}

func TestResumesAfterACursor(t *testing.T) {
	r := newRig(t, rigOptions{change: func(o *gateway.Options) { o.RelayMaxEvents = 50 }})
	c := r.connect("alice", nil)
	head := *c.subscribe("jobs:1", "").Head
	var cursors []broker.Cursor
	for n := range 1000 {
		cursors = append(cursors, r.publish("jobs:1", event(n)))
	}
	c.collect(head, 1000)
	for _, at := range []int{0, 1, 500, 949, 950, 998} { // in the stream, and among the recent
		c := r.connect("alice", nil)
		answer := c.subscribe("jobs:1", fmt.Sprintf(`,"cursor":"%s"`, cursors[at]))
		require.True(t, answer.Resumed)
		require.Equal(t, cursors[at], *answer.Cursor)
		require.Equal(t, cursors[999], *answer.Head)
		require.Equal(t, cursors[999], c.collect(cursors[at], 999-at))
	}
	c2 := r.connect("alice", nil)
	require.True(t, c2.subscribe("jobs:1", fmt.Sprintf(`,"cursor":"%s"`, cursors[999])).Resumed)
	r.publish("jobs:1", event(1000))
	c2.collect(cursors[999], 1)
}

func TestResetsATrimmedCursor(t *testing.T) {
	r := newRig(t, rigOptions{namespaces: map[string]namespace.Options{"jobs": {MaxLen: 10}}})
	first := r.publish("jobs:1", event(0))
	var last broker.Cursor
	for n := range 100 {
		last = r.publish("jobs:1", event(n+1))
	}
	c := r.connect("alice", nil)
	answer := c.subscribe("jobs:1", fmt.Sprintf(`,"cursor":"%s"`, first))
	require.False(t, answer.Resumed)
	reset := c.expect("reset")
	require.Equal(t, "trimmed", reset.Reason)
	require.Equal(t, last.Offset-10, reset.Cursor.Offset)
	require.Equal(t, last, *reset.Head)
	require.Equal(t, last, c.collect(*reset.Cursor, 10))
	// The cursor of a reset is itself good to resume from.
	c = r.connect("alice", nil)
	require.True(t, c.subscribe("jobs:1", fmt.Sprintf(`,"cursor":"%s"`, reset.Cursor)).Resumed)
	c.collect(*reset.Cursor, 10)
}

func TestResetsACursorOfAnotherLineage(t *testing.T) {
	r := newRig(t, rigOptions{})
	var cursors []broker.Cursor
	for n := range 10 {
		cursors = append(cursors, r.publish("jobs:1", event(n)))
	}
	live := r.connect("alice", nil)
	live.subscribe("jobs:1", fmt.Sprintf(`,"cursor":"%s"`, cursors[8]))
	live.collect(cursors[8], 1)
	behind := r.connect("bob", nil)
	behind.subscribe("jobs:1", "")
	r.store.ForTest().Fork("jobs:1", 3)
	fresh := r.publish("jobs:1", event(100))
	require.Equal(t, cursors[7].Offset, fresh.Offset)

	reset := live.expect("reset")
	require.Equal(t, "forked", reset.Reason)
	require.Equal(t, cursors[6], *reset.Cursor)
	require.Equal(t, fresh, live.collect(cursors[6], 1))

	// One that comes back with a cursor of the lost tail, and one from the future.
	for _, cursor := range []broker.Cursor{cursors[8], {Offset: 999, Stamp: cursors[9].Stamp}} {
		c := r.connect("carol", nil)
		answer := c.subscribe("jobs:1", fmt.Sprintf(`,"cursor":"%s"`, cursor))
		require.False(t, answer.Resumed)
		reset := c.expect("reset")
		require.Equal(t, "forked", reset.Reason)
		require.LessOrEqual(t, reset.Cursor.Offset, fresh.Offset)
		c.collect(*reset.Cursor, int(fresh.Offset-reset.Cursor.Offset))
	}
	// One that had not come so far notices nothing.
	c := r.connect("dave", nil)
	require.True(t, c.subscribe("jobs:1", fmt.Sprintf(`,"cursor":"%s"`, cursors[5])).Resumed)
	c.collect(cursors[5], 2)
}

func TestRepairsLostAndDoubledDoorbells(t *testing.T) {
	r := newRig(t, rigOptions{})
	c := r.connect("alice", nil)
	last := *c.subscribe("jobs:1", "").Head
	faults := r.store.ForTest()
	for n := range 50 {
		switch n % 3 {
		case 0:
			faults.Drop("jobs:1", 2)
		case 1:
			faults.Duplicate("jobs:1", 1)
		}
		for k := range 4 {
			r.publish("jobs:1", event(n*4+k))
		}
		last = c.collect(last, 4)
	}
	require.NotZero(t, r.gateway.Hub().Counters().Repairs.Load())
}

func TestRewindsByTime(t *testing.T) {
	r := newRig(t, rigOptions{})
	cursors := make([]broker.Cursor, 20)
	for n := range cursors {
		cursors[n] = r.publish("jobs:1", event(n))
	}
	c := r.connect("alice", nil)
	since := cursors[11].Time().UTC().Format(time.RFC3339Nano)
	answer := c.subscribe("jobs:1", `,"since":"`+since+`"`)
	require.Equal(t, cursors[11], *answer.Cursor)
	c.collect(cursors[11], 8)
}

func TestSkipsInvalidEventsAndBuriesThem(t *testing.T) {
	dead := membrokerDead(t)
	r := newRig(t, rigOptions{change: func(o *gateway.Options) { o.Dead = dead }})
	c := r.connect("alice", nil)
	head := *c.subscribe("jobs:1", "").Head
	r.publish("jobs:1", event(1))
	require.Equal(t, head.Offset+1, c.expect("event").Cursor.Offset)
	bad := r.publish("jobs:1", `{"type":"job.progress","data":{"percent":1000}}`)
	skip := c.expect("skip")
	require.Equal(t, bad, *skip.Cursor)
	require.EqualValues(t, 1, skip.Skipped)
	r.publish("jobs:1", "{\"type\":\"x\",\"subject\":\"\xff\"}") // no UTF-8: it would break a browser's socket
	r.publish("jobs:1", event(2))
	for got := uint64(0); ; {
		f := c.next()
		got += f.Skipped
		if f.Type == "event" {
			require.EqualValues(t, 1, got)
			break
		}
	}
	r.eventually("dead letters", func() bool {
		letters, _, err := dead.List(t.Context(), "", 10)
		return err == nil && len(letters) == 2 && letters[0].Cursor == bad && letters[0].Code == "invalid_event"
	})
}

func TestConflatesBySubject(t *testing.T) {
	r := newRig(t, rigOptions{namespaces: map[string]namespace.Options{
		"metrics": {Delivery: namespace.DeliverLatest, Flush: 20 * time.Millisecond},
	}})
	c := r.connect("alice", nil)
	last := *c.subscribe("metrics:1", "").Head
	const n = 600
	for i := range n {
		r.publish("metrics:1", fmt.Sprintf(`{"type":"x.metric","subject":"s%d","data":{"n":%d}}`, i%3, i))
	}
	final := r.publish("metrics:1", `{"type":"job.completed","subject":"s0","data":{"job_id":"1","attempt":1}}`)
	delivered, skipped := 0, uint64(0)
	newest := map[string]int{}
	for last != final {
		f := c.next()
		skipped += f.Skipped
		require.Equal(t, last.Offset+1+f.Skipped, f.Cursor.Offset+b2u(f.Type == "skip"))
		last = *f.Cursor
		if f.Type == "event" {
			delivered++
			var e struct {
				Subject string
				Data    struct{ N int }
			}
			require.NoError(t, json.Unmarshal(f.Event, &e))
			newest[e.Subject] = max(newest[e.Subject], e.Data.N)
		}
	}
	require.EqualValues(t, n+1, uint64(delivered)+skipped)
	require.Less(t, delivered, n)
	require.Equal(t, map[string]int{"s0": 597, "s1": 598, "s2": 599}, newest)
}

func b2u(b bool) uint64 {
	if b {
		return 1
	}
	return 0
}
