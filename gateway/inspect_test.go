package gateway_test

import (
	"fmt"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/tallywire/tallywire/broker"
	"github.com/tallywire/tallywire/gateway"
	"github.com/tallywire/tallywire/gateway/auth"
	"github.com/tallywire/tallywire/gateway/inspect"
	"github.com/tallywire/tallywire/gateway/wire"
	"github.com/tallywire/tallywire/namespace"
)

func TestOverviewCounts(t *testing.T) {
	r := newRig(t, rigOptions{change: func(o *gateway.Options) {
		o.Version, o.RelayLinger = "1.2.3", 20*time.Millisecond
	}})
	o := r.gateway.Overview()
	require.Equal(t, "gw-test", o.Gateway)
	require.Equal(t, "1.2.3", o.Version)
	require.True(t, o.Ready)
	require.WithinRange(t, o.Start, time.Now().Add(-patience), o.Now)

	r.dial(nil) // connected, and has not said who it is
	alice, bob := r.connect("alice", nil), r.connect("bob", nil)
	last := *alice.subscribe("jobs:1", "").Head
	alice.subscribe("jobs:2", "")
	bob.subscribe("jobs:1", "")
	alice.send(`{"type":"publish","id":5,"channel":"jobs:1","event":%s}`, event(1))
	alice.until("the answer", func(f wire.Frame) bool { return f.Type == "published" })
	bob.collect(last, 1)
	alice.send(`{"type":"nonsense"}`)
	alice.until("the error", func(f wire.Frame) bool { return f.Type == "error" })
	r.eventually("counted", func() bool { return r.gateway.Overview().Delivered == 2 })
	o = r.gateway.Overview()
	require.Equal(t, []int{3, 2, 2, 3}, []int{o.Connections, o.Sessions, o.Channels, o.Subscriptions})
	require.Equal(t, []uint64{3, 1, 1}, []uint64{o.Accepted, o.Published, o.BadFrames})
	require.Positive(t, o.Bytes)
	require.False(t, o.Draining)

	list := r.gateway.Channels("", "", 10)
	require.Len(t, list, 2)
	require.Equal(t, "jobs:1", list[0].Channel)
	require.Equal(t, 2, list[0].Subscribers)
	require.Equal(t, uint64(2), cursorOf(t, list[0].Head).Offset)
	require.WithinRange(t, list[0].LastEvent, o.Start, time.Now())
	require.Equal(t, "jobs:2", r.gateway.Channels("", "jobs:1", 10)[0].Channel)
	require.Len(t, r.gateway.Channels("jobs:", "", 1), 1)
	require.Empty(t, r.gateway.Channels("other:", "", 10))
	require.Empty(t, r.gateway.Channels("", "", 0))

	alice.close()
	bob.close()
	r.eventually("empty", func() bool {
		o := r.gateway.Overview()
		return o.Connections == 1 && o.Sessions == 0 && o.Subscriptions == 0 && o.Channels == 0
	})
}

func cursorOf(t *testing.T, text string) broker.Cursor {
	t.Helper()
	c, err := broker.ParseCursor(text)
	require.NoError(t, err)
	return c
}

func TestSessionsAndDisconnect(t *testing.T) {
	r := newRig(t, rigOptions{})
	tab1, tab2 := r.session("alice", "tab-1"), r.session("alice", "tab-2")
	r.connect("bob", nil)
	start := tab1.subscribe("jobs:1", "").Cursor
	for n := range 3 {
		r.publish("jobs:1", event(n))
	}
	end := tab1.collect(*start, 3)
	list := r.gateway.Sessions("alice")
	require.Len(t, list, 2)
	require.Equal(t, []string{"tab-1", "tab-2"}, []string{list[0].Session, list[1].Session}, "the oldest first")
	require.Equal(t, "test/1", list[0].UserAgent)
	require.WithinRange(t, list[0].Expires, time.Now(), time.Now().Add(2*time.Hour))
	sub := list[0].Subscriptions[0]
	require.Equal(t, inspect.Subscription{
		Channel: "jobs:1", Since: sub.Since, From: start.String(), Cursor: end.String(),
	}, sub)
	require.Empty(t, r.gateway.Sessions("nobody"))

	require.Zero(t, r.gateway.Disconnect("alice", "tab-3"))
	require.Zero(t, r.gateway.Disconnect("bob", "tab-1"), "a session is a user's")
	require.Equal(t, 1, r.gateway.Disconnect("alice", "tab-1"))
	tab1.expectClose(wire.CloseRestart)
	tab2.subscribe("jobs:1", "")
	r.eventually("one session", func() bool { return len(r.gateway.Sessions("alice")) == 1 })
}

// why is what the gateway says about an event, as one word where all sessions agree.
func (r *rig) why(user, channel string, c broker.Cursor) []inspect.Outcome {
	r.t.Helper()
	var out []inspect.Outcome
	for _, trace := range r.gateway.Explain(r.t.Context(), user, channel, c) {
		require.Equal(r.t, "gw-test", trace.Gateway)
		require.WithinRange(r.t, trace.Time, time.Now().Add(-2*patience), time.Now())
		out = append(out, trace.Outcome)
	}
	return out
}

func (r *rig) explains(user, channel string, c broker.Cursor, want ...inspect.Outcome) {
	r.t.Helper()
	require.Equal(r.t, want, r.why(user, channel, c))
}

func TestExplain(t *testing.T) {
	r := newRig(t, rigOptions{strict: true})
	before := r.publish("jobs:1", progress(1))
	r.explains("alice", "jobs:1", before, inspect.NotConnected)
	alice := r.session("alice", "tab-1")
	r.explains("alice", "jobs:1", before, inspect.NotSubscribed)
	alice.subscribe("jobs:1", "")
	r.explains("alice", "jobs:1", before, inspect.NotCovered)
	good := r.publish("jobs:1", progress(2))
	alice.expect("event")
	r.explains("alice", "jobs:1", good, inspect.Delivered)
	bad := r.publish("jobs:1", progress(101))
	require.Equal(t, bad, *alice.expect("skip").Cursor)
	r.explains("alice", "jobs:1", bad, inspect.Skipped)
	trace := r.gateway.Explain(t.Context(), "alice", "jobs:1", bad)[0]
	require.Contains(t, trace.Detail, "/data/percent")
	r.explains("alice", "jobs:1", broker.Cursor{Offset: bad.Offset + 1, Stamp: bad.Stamp + 1}, inspect.Pending)

	// It remembers for a while what became of subscriptions that have ended.
	alice.close()
	r.eventually("gone", func() bool { return r.gateway.Connections() == 0 })
	r.explains("alice", "jobs:1", good, inspect.Delivered)
	r.explains("alice", "jobs:1", before, inspect.NotCovered)
	late := r.publish("jobs:1", progress(3))
	r.explains("alice", "jobs:1", late, inspect.NotCovered)
	r.explains("alice", "jobs:2", late, inspect.NotConnected)
	r.session("alice", "tab-2")
	r.explains("alice", "jobs:1", good, inspect.NotSubscribed, inspect.Delivered)

	mallory := r.connect("mallory", &auth.Permissions{Subscribe: []string{"other:*"}})
	mallory.send(`{"type":"subscribe","channel":"jobs:1"}`)
	mallory.expectError(wire.CodeForbidden)
	r.explains("mallory", "jobs:1", late, inspect.NotSubscribed, inspect.Forbidden)
	bob := r.connect("bob", nil)
	bob.subscribe("jobs:1", "")
	bob.send(`{"type":"refresh","token":"%s"}`, r.token("bob", &auth.Permissions{Subscribe: []string{"other:*"}}))
	bob.until("unsubscribed", func(f wire.Frame) bool { return f.Type == "unsubscribed" })
	r.eventually("forbidden", func() bool {
		return fmt.Sprint(r.why("bob", "jobs:1", late)) == fmt.Sprint([]inspect.Outcome{inspect.NotSubscribed, inspect.NotCovered, inspect.Forbidden})
	})
}

func progress(percent int) string {
	return fmt.Sprintf(`{"type":"job.progress","source":"w","subject":"job/1","data":{"job_id":"1","percent":%d}}`, percent)
}

// A client that does not read has not been given what waits for it.
func TestExplainPending(t *testing.T) {
	r := newRig(t, rigOptions{})
	stuck := r.connectRaw(4096, "alice")
	stuck.send(`{"type":"subscribe","channel":"jobs:1"}`)
	require.Equal(t, "subscribed", stuck.next().Type)
	var last broker.Cursor
	for n := range 1200 {
		last = r.publish("jobs:1", large(n))
	}
	r.explains("alice", "jobs:1", last, inspect.Pending)
	require.Positive(t, r.gateway.Sessions("alice")[0].Subscriptions[0].Behind)
	for stuck.next().Cursor.Offset < last.Offset {
	}
	r.explains("alice", "jobs:1", last, inspect.Delivered)
}

// What a reset told to be lost was not delivered, whether the subscription began with it or went on.
func TestExplainReset(t *testing.T) {
	r := newRig(t, rigOptions{namespaces: map[string]namespace.Options{"jobs": {MaxLen: 1000}}, change: func(o *gateway.Options) {
		o.RelayLinger = time.Millisecond
	}})
	alice := r.session("alice", "tab-1")
	start := *alice.subscribe("jobs:1", "").Cursor
	seen := r.publish("jobs:1", event(0))
	alice.expect("event")
	alice.close()
	r.eventually("nothing is in memory", func() bool { return r.gateway.Overview().Channels == 0 })
	lost := r.publish("jobs:1", event(1))
	kept := r.publish("jobs:1", event(2))
	r.store.ForTest().Trim("jobs:1", 1)

	alice = r.session("alice", "tab-1")
	alice.send(`{"type":"subscribe","channel":"jobs:1","cursor":"%s"}`, start)
	require.False(t, alice.expect("subscribed").Resumed)
	require.Equal(t, lost, *alice.expect("reset").Cursor)
	require.Equal(t, kept, *alice.expect("event").Cursor)
	require.NotContains(t, r.why("alice", "jobs:1", lost), inspect.Delivered)
	require.Contains(t, r.why("alice", "jobs:1", lost), inspect.ResetOver)
	require.Contains(t, r.why("alice", "jobs:1", seen), inspect.Delivered, "by the connection before")
	require.Contains(t, r.why("alice", "jobs:1", kept), inspect.Delivered)

	// A fork: what is taken back stays told as delivered no longer than the reset.
	forked := r.publish("jobs:1", event(3))
	alice.expect("event")
	r.store.ForTest().Fork("jobs:1", 1)
	other := r.publish("jobs:1", event(4))
	require.Equal(t, forked.Offset, other.Offset)
	reset := alice.until("reset", func(f wire.Frame) bool { return f.Type == "reset" })
	require.Equal(t, kept, *reset.Cursor)
	require.Equal(t, other, *alice.expect("event").Cursor)
	require.Contains(t, r.why("alice", "jobs:1", other), inspect.Delivered)
	require.Contains(t, r.why("alice", "jobs:1", kept), inspect.Delivered)
}
