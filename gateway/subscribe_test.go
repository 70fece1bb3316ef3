package gateway_test

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/tallywire/tallywire/gateway"
	"github.com/tallywire/tallywire/gateway/auth"
	"github.com/tallywire/tallywire/gateway/wire"
	"github.com/tallywire/tallywire/namespace"
)

func TestSubscribesManyChannelsAtOnce(t *testing.T) {
	r := newRig(t, rigOptions{})
	c := r.connect("alice", &auth.Permissions{Subscribe: []string{"jobs:*"}})
	for n := range 20 {
		r.publish(fmt.Sprintf("jobs:%d", n), event(n))
	}
	var list []string
	want := map[string]string{}
	for n := range 100 {
		name, rest, outcome := fmt.Sprintf("jobs:%d", n), "", "subscribed"
		switch n % 5 {
		case 1:
			name, outcome = fmt.Sprintf("other:%d", n), "forbidden "
		case 2:
			name, outcome = fmt.Sprintf("jobs:{%d}", n), fmt.Sprintf("invalid_channel /channels/%d/channel", n)
		case 3:
			rest, outcome = `,"cursor":"x"`, fmt.Sprintf("invalid_cursor /channels/%d/cursor", n)
		case 4:
			rest, outcome = `,"since":"noon"`, fmt.Sprintf("invalid_since /channels/%d/since", n)
		}
		list = append(list, fmt.Sprintf(`{"channel":"%s"%s}`, name, rest))
		want[name] = outcome
	}
	c.send(`{"type":"subscribe","id":"all","channels":[%s]}`, strings.Join(list, ","))
	for range 100 {
		f := c.next()
		require.JSONEq(t, `"all"`, string(f.ID))
		got := f.Type
		if f.Type == "error" {
			got = string(f.Code) + " " + f.Path
		}
		require.Equal(t, want[f.Channel], got, f.Channel)
		delete(want, f.Channel)
	}
	require.Empty(t, want)
	r.publish("jobs:0", event(1))
	r.publish("jobs:3", event(1)) // refused: nothing comes of it
	r.publish("jobs:95", event(1))
	require.Equal(t, "jobs:0", c.expect("event").Channel)
	require.Equal(t, "jobs:95", c.expect("event").Channel)
}

// What a session may not read any more must not cost it the connection: all channels of one subscribe
// are one bad frame.
func TestManyRefusedChannelsAreOneBadFrame(t *testing.T) {
	r := newRig(t, rigOptions{change: func(o *gateway.Options) { o.Limits.Errors = 5 }})
	c := r.connect("alice", &auth.Permissions{Subscribe: []string{"jobs:1"}})
	names := `"a` + strings.Repeat(`","a`, 49) + `"`
	c.send(`{"type":"subscribe","channels":[%s]}`, names)
	for range 50 {
		c.expectError(wire.CodeForbidden)
	}
	c.send(`{"type":"unsubscribe","channels":[%s]}`, names)
	for range 50 {
		c.expectError(wire.CodeNotSubscribed)
	}
	c.subscribe("jobs:1", "")
}

func TestShortFormOfSubscribe(t *testing.T) {
	r := newRig(t, rigOptions{})
	first := r.publish("jobs:1", event(1))
	r.publish("jobs:1", event(2))
	c := r.connect("alice", nil)
	c.send(`{"type":"subscribe","channel":"jobs:1","cursor":"%s"}`, first)
	require.True(t, c.expect("subscribed").Resumed)
	c.collect(first, 1)
	c.send(`{"type":"subscribe","channel":"jobs:1","cursor":"?"}`)
	require.Equal(t, "/cursor", c.expectError(wire.CodeInvalidCursor).Path)
	c.send(`{"type":"unsubscribe","channel":"jobs:1","id":3}`)
	require.Equal(t, "jobs:1", c.expect("unsubscribed").Channel)
	c.send(`{"type":"unsubscribe","channel":"jobs:1","id":4}`)
	require.Equal(t, "jobs:1", c.expectError(wire.CodeNotSubscribed).Channel)
}

// A subscribe that is still under way when its unsubscribe comes must leave nothing behind.
func TestUnsubscribeOvertakesSubscribe(t *testing.T) {
	r := newRig(t, rigOptions{})
	c := r.connect("alice", nil)
	c.subscribe("end:1", "")
	const rounds = 300
	for n := range rounds {
		c.send(`{"type":"subscribe","id":1,"channel":"jobs:%d"}`, n)
		c.send(`{"type":"unsubscribe","id":2,"channel":"jobs:%d"}`, n)
	}
	for n := 0; n < rounds; {
		if f := c.next(); f.Type == "unsubscribed" {
			require.Equal(t, fmt.Sprintf("jobs:%d", n), f.Channel)
			n++
		} else {
			require.Equal(t, "subscribed", f.Type)
			require.Equal(t, fmt.Sprintf("jobs:%d", n), f.Channel, "answered after the unsubscribe")
		}
	}
	for n := range rounds {
		r.publish(fmt.Sprintf("jobs:%d", n), event(n))
	}
	r.publish("end:1", event(0))
	require.Equal(t, "end:1", c.expect("event").Channel)
}

// A subscribe to a channel that the session has replaces the subscription: what the old one would have
// delivered ends where the answer to the new one stands, and the new one begins at its own cursor.
func TestResubscribeReplaces(t *testing.T) {
	r := newRig(t, rigOptions{change: func(o *gateway.Options) { o.RelayMaxEvents = 30 }})
	c := r.connect("alice", nil)
	head := *c.subscribe("jobs:1", "").Head
	const n = 400
	for i := range n {
		r.publish("jobs:1", event(i))
		if i%40 == 20 {
			c.send(`{"type":"subscribe","id":%d,"channels":[{"channel":"jobs:1","cursor":"%s"}]}`, i, head)
		}
	}
	last, final := head, false // one that is overtaken by the next is not answered
	for last.Offset < head.Offset+n || !final {
		switch f := c.next(); f.Type {
		case "subscribed":
			require.Equal(t, head, *f.Cursor)
			require.True(t, f.Resumed)
			final = string(f.ID) == "380"
			last = head
		default:
			require.Equal(t, "event", f.Type)
			require.Equal(t, last.Offset+1, f.Cursor.Offset)
			last = *f.Cursor
		}
	}
}

func TestTooManySubscriptions(t *testing.T) {
	r := newRig(t, rigOptions{change: func(o *gateway.Options) { o.Limits.Subscriptions = 20 }})
	c := r.connect("alice", nil)
	for n := range 20 {
		c.subscribe(fmt.Sprintf("jobs:%d", n), "")
	}
	c.send(`{"type":"subscribe","id":2,"channels":["jobs:20"]}`)
	require.Equal(t, "jobs:20", c.expectError(wire.CodeTooManySubscriptions).Channel)
	c.subscribe("jobs:3", "") // one that it has costs no place
	c.send(`{"type":"unsubscribe","channels":["jobs:3"]}`)
	c.expect("unsubscribed")
	c.subscribe("jobs:20", "")
}

// A channel with much to say must not keep the others of its connection waiting.
func TestBusyChannelDoesNotStarveOthers(t *testing.T) {
	r := newRig(t, rigOptions{change: func(o *gateway.Options) { o.Limits.Frame = 4096 }})
	opener := r.connect("bob", nil)
	opener.subscribe("busy:1", "") // the events stay among the recent ones, where no page ends
	opener.subscribe("calm:1", "")
	start := r.publish("busy:1", event(0))
	for n := range 800 {
		r.publish("busy:1", fmt.Sprintf(`{"type":"x","data":{"n":%d,"pad":"%0900d"}}`, n, n))
	}
	calm := r.publish("calm:1", event(0))
	r.publish("calm:1", event(1))
	c := r.connect("alice", nil)
	c.send(`{"type":"subscribe","channels":[{"channel":"busy:1","cursor":"%s"},{"channel":"calm:1","cursor":"%s"}]}`, start, calm)
	for f := c.next(); f.Type != "subscribed" || f.Channel != "calm:1"; f = c.next() {
	}
	for n := 0; c.expect("event").Channel != "calm:1"; n++ {
		require.Less(t, n, 20, "events before that of the calm channel")
	}
}

// A namespace that collects for long must not slow down another one of the same connection.
func TestLongFlushDoesNotDelayOthers(t *testing.T) {
	t.Parallel() // it waits for the clock
	r := newRig(t, rigOptions{namespaces: map[string]namespace.Options{
		"slow": {Flush: 10 * time.Second}, "fast": {Flush: time.Second},
	}})
	c := r.connect("alice", nil)
	c.subscribe("slow:1", "")
	c.subscribe("fast:1", "")
	r.publish("slow:1", event(1)) // has to wait: the connection has just been written to
	r.publish("fast:1", event(2))
	started := time.Now()
	for c.expect("event").Channel != "fast:1" {
	}
	require.Less(t, time.Since(started), 5*time.Second)
}
