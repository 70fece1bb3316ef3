package gateway_test

import (
	"context"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/tallywire/tallywire/gateway"
	"github.com/tallywire/tallywire/gateway/auth"
	"github.com/tallywire/tallywire/gateway/wire"
	"github.com/tallywire/tallywire/namespace"
	"github.com/tallywire/tallywire/presence"
)

// graced are namespaces whose members stay for a while.
func graced(d time.Duration) rigOptions {
	return rigOptions{namespaces: map[string]namespace.Options{"room": {Grace: d}}}
}

func TestMemberJoinsAndLeaves(t *testing.T) {
	r := newCrowd(t, crowdOptions{})
	bob, first := r.watcher("bob", "matches:7")
	require.Zero(t, first.Count)
	require.Empty(t, first.Members)

	tab1 := r.session("alice", "tab-1")
	tab1.enter("matches:7", `,"status":{"viewing":"match:42"}`)
	m := bob.change(presence.Join, "alice")
	require.Equal(t, presence.Live, m.State)
	require.Equal(t, 1, m.Sessions)
	require.JSONEq(t, `{"viewing":"match:42"}`, string(m.Status))

	tab2 := r.session("alice", "tab-2")
	members := tab2.enter("matches:7", "")
	require.Equal(t, []string{"alice"}, users(members))
	require.Equal(t, 1, members.Count)
	require.Equal(t, 2, bob.change(presence.Update, "alice").Sessions, "tabs are counted, the member is one")

	tab1.send(`{"type":"presence","id":8,"channel":"matches:7","leave":true}`)
	tab1.until("present", func(f wire.Frame) bool { return f.Type == "present" && string(f.ID) == "8" })
	m = bob.change(presence.Update, "alice")
	require.Equal(t, 1, m.Sessions)
	require.Empty(t, m.Status, "the status went with the session that had set it")
	tab2.send(`{"type":"presence","channel":"matches:7","leave":true}`)
	m = bob.change(presence.Leave, "alice")
	require.Zero(t, m.Sessions)

	r.session("carol", "c").enter("matches:7", "")
	bob.change(presence.Join, "carol")
	_, again := r.watcher("dave", "matches:7")
	require.Equal(t, []string{"carol"}, users(again))
	require.Equal(t, 1, again.Sessions)
}

// Members are told to subscribers who asked for them and may see them, and to nobody else.
func TestMembersAreForThoseWhoMay(t *testing.T) {
	r := newCrowd(t, crowdOptions{})
	plain := r.connect("plain", nil)
	plain.subscribe("matches:7", "")
	may := &auth.Permissions{Subscribe: []string{"*"}, Publish: []string{"*"}, Presence: []string{"rooms:*"}}
	mallory := r.connect("mallory", may)
	mallory.send(`{"type":"subscribe","id":3,"channels":[{"channel":"matches:7","presence":true}]}`)
	refused := mallory.expectError(wire.CodeForbidden)
	require.Equal(t, "/channels/0/presence", refused.Path)
	mallory.subscribe("matches:7", "")
	mallory.send(`{"type":"presence","id":4,"channel":"matches:7"}`)
	require.Equal(t, "4", string(mallory.expectError(wire.CodeForbidden).ID))
	mallory.send(`{"type":"members","id":5,"channel":"matches:7"}`)
	require.Equal(t, "5", string(mallory.expectError(wire.CodeForbidden).ID))

	bob, _ := r.watcher("bob", "matches:7")
	r.session("alice", "a").enter("matches:7", "")
	bob.change(presence.Join, "alice")
	r.publish("matches:7", event(1))
	plain.expect("event")
	mallory.expect("event")
	require.Equal(t, []string{"alice live 1"}, r.here("matches:7"))
}

// A status is what was said last, however often it was said.
func TestStatusIsConflated(t *testing.T) {
	r := newCrowd(t, crowdOptions{})
	bob, _ := r.watcher("bob", "matches:7")
	alice := r.session("alice", "a")
	alice.enter("matches:7", "")
	bob.change(presence.Join, "alice")
	const n = 30
	var frames []string
	for i := range n {
		frames = append(frames, fmt.Sprintf(`{"type":"presence","id":%d,"channel":"matches:7","status":{"row":%d}}`, 100+i, i))
	}
	alice.send("[%s]", strings.Join(frames, ","))
	for i := range n {
		f := alice.until("an answer", func(f wire.Frame) bool { return f.Type == "present" })
		require.Equal(t, fmt.Sprint(100+i), string(f.ID), "each frame is answered, in order")
	}
	for updates := 1; ; updates++ {
		require.LessOrEqual(t, updates, n)
		if m := bob.change(presence.Update, "alice"); string(m.Status) == `{"row":29}` {
			break
		}
	}
	alice.send(`{"type":"presence","channel":"matches:7","status":null}`)
	require.Empty(t, bob.change(presence.Update, "alice").Status, "null takes it away")
}

func TestGrace(t *testing.T) {
	t.Parallel()
	r := newCrowd(t, crowdOptions{rigOptions: graced(700 * time.Millisecond)})
	bob, _ := r.watcher("bob", "room:1")
	alice, zoe := r.session("alice", "a"), r.session("zoe", "z")
	alice.enter("room:1", `,"status":"here"`)
	bob.change(presence.Join, "alice")
	zoe.enter("room:1", "")
	bob.change(presence.Join, "zoe")

	alice.close()
	require.Equal(t, presence.Grace, bob.change(presence.Update, "alice").State)
	zoe.close()
	require.Equal(t, presence.Grace, bob.change(presence.Update, "zoe").State)
	r.session("alice", "a").enter("room:1", "")
	back := bob.change(presence.Update, "alice")
	require.Equal(t, presence.Live, back.State)
	require.Equal(t, 1, back.Sessions, "the same session, not another one")
	require.Equal(t, `"here"`, string(back.Status))
	bob.change(presence.Leave, "zoe") // whose grace began after alice's
	require.Equal(t, []string{"alice live 1"}, r.here("room:1"))
	r.session("carol", "c").enter("room:1", "")
	bob.change(presence.Join, "carol")
}

// Who unsubscribes, or says that he leaves, has left; who loses the connection afterwards does not come back.
func TestGoodbyeSkipsGrace(t *testing.T) {
	r := newCrowd(t, crowdOptions{rigOptions: graced(time.Hour)})
	bob, _ := r.watcher("bob", "room:1")
	for _, goodbye := range []string{
		`{"type":"presence","channel":"room:1","leave":true}`,
		`{"type":"unsubscribe","channels":[{"channel":"room:1"}]}`,
	} {
		alice := r.session("alice", "a")
		alice.subscribe("room:1", "")
		alice.enter("room:1", "")
		bob.change(presence.Join, "alice")
		alice.send("%s", goodbye)
		bob.change(presence.Leave, "alice")
		alice.close()
	}
	r.eventually("only bob", func() bool { return r.gateway.Connections() == 1 })
	require.Empty(t, r.here("room:1"))
}

func TestPresenceRefusals(t *testing.T) {
	r := newCrowd(t, crowdOptions{rigOptions: rigOptions{change: func(o *gateway.Options) { o.Limits.Subscriptions = 2 }}})
	alice := r.session("alice", "a")
	refused := func(code wire.Code, path, format string, args ...any) {
		t.Helper()
		alice.send(format, args...)
		f := alice.until("an error", func(f wire.Frame) bool { return f.Type == "error" })
		require.Equal(t, code, f.Code, f.Message)
		require.Equal(t, path, f.Path)
		require.Equal(t, "9", string(f.ID))
	}
	big := strings.Repeat("x", presence.MaxStatus-1)
	refused(wire.CodeStatusTooLarge, "/status", `{"type":"presence","id":9,"channel":"m:7","status":"%s"}`, big)
	for _, name := range []string{"", "_dead", "a{b}c", "a b", "room:*", "jobs:1:members/x", "ü", strings.Repeat("x", 129)} {
		refused(wire.CodeInvalidChannel, "/channel", `{"type":"presence","id":9,"channel":"%s"}`, name)
		refused(wire.CodeInvalidChannel, "/channel", `{"type":"members","id":9,"channel":"%s"}`, name)
	}
	refused(wire.CodeNotSubscribed, "", `{"type":"presence","id":9,"channel":"m:7","leave":true}`)
	refused(wire.CodeInvalidFrame, "/limit", `{"type":"members","id":9,"channel":"m:7","limit":1001}`)
	refused(wire.CodeInvalidFrame, "/presence", `{"type":"members","id":9,"channel":"m:7","after":"%s"}`, strings.Repeat("x", 257))
	alice.enter("m:1", "")
	alice.enter("m:2", "")
	refused(wire.CodeTooManySubscriptions, "", `{"type":"presence","id":9,"channel":"m:3"}`)
	require.Empty(t, r.here("m:7"))

	// A session's name that no store takes.
	odd := r.dial(nil)
	odd.send(`{"type":"connect","token":"%s","session":"a\u0001b"}`, r.token("odd", nil))
	odd.expect("connected")
	odd.send(`{"type":"presence","id":9,"channel":"m:7"}`)
	f := odd.until("an error", func(f wire.Frame) bool { return f.Type == "error" })
	require.Equal(t, wire.CodeInvalidFrame, f.Code)
}

func TestStatusTooOften(t *testing.T) {
	r := newCrowd(t, crowdOptions{})
	alice := r.session("alice", "a")
	const burst, n = 40, 100
	var frames []string
	for i := range n {
		frames = append(frames, fmt.Sprintf(`{"type":"presence","id":%d,"channel":"m:7","status":%d}`, 1000+i, i))
	}
	alice.send("[%s]", strings.Join(frames, ","))
	present, limited := 0, 0
	for present+limited < n {
		switch f := alice.next(); {
		case f.Type == "present":
			present++
		case f.Type == "error":
			require.Equal(t, wire.CodeRateLimited, f.Code)
			require.True(t, f.Retry)
			limited++
		}
	}
	require.GreaterOrEqual(t, present, burst)
	require.Greater(t, limited, n/2)
}

// A client that reconnects enters all its channels at once.
func TestManyChannelsAreEnteredAtOnce(t *testing.T) {
	r := newCrowd(t, crowdOptions{})
	alice := r.session("alice", "a")
	const n = 250
	var frames []string
	for i := range n {
		frames = append(frames, fmt.Sprintf(`{"type":"presence","id":%d,"channel":"m:%d"}`, i, i))
	}
	alice.send("[%s]", strings.Join(frames, ","))
	for answers := 0; answers < n; {
		f := alice.next()
		require.NotEqual(t, "error", f.Type, f.Message)
		if f.Type == "present" {
			answers++
		}
	}
}

// A gateway that has just started does not take its first clients for impatient ones.
func TestPresenceAtTheStart(t *testing.T) {
	r := newCrowd(t, crowdOptions{rigOptions: rigOptions{starting: true}})
	alice := r.session("alice", "a")
	for range 20 {
		alice.send(`{"type":"presence","id":1,"channel":"m:7","status":1}`)
	}
	for answers := 0; answers < 20; {
		f := alice.next()
		require.NotEqual(t, wire.CodeRateLimited, f.Code)
		if f.Type == "present" {
			answers++
		}
	}
}

func TestPresenceDisabled(t *testing.T) {
	r := newRig(t, rigOptions{})
	alice := r.connect("alice", nil)
	alice.send(`{"type":"presence","id":1,"channel":"m:7"}`)
	require.False(t, alice.expectError(wire.CodeUnsupported).Retry)
	alice.send(`{"type":"members","id":1,"channel":"m:7"}`)
	alice.expectError(wire.CodeUnsupported)
	alice.send(`{"type":"subscribe","id":2,"channels":[{"channel":"m:7","presence":true}]}`)
	require.Equal(t, "/channels/0/presence", alice.expectError(wire.CodeUnsupported).Path)
	p := r.get("/v1/channels/m:7/members", r.token("alice", nil), nil).problem(t)
	require.Equal(t, wire.CodeUnsupported, p.Code)
	alice.subscribe("m:7", "")
	alice.send(`{"type":"unsubscribe","channels":[{"channel":"m:7"}]}`)
	alice.expect("unsubscribed")
}

// A token that does not allow presence any more ends it; the subscription goes on.
func TestRefreshWithoutPresence(t *testing.T) {
	r := newCrowd(t, crowdOptions{rigOptions: graced(time.Hour)})
	bob, _ := r.watcher("bob", "room:1")
	alice, _ := r.watcher("alice", "room:1")
	alice.enter("room:1", "")
	bob.change(presence.Join, "alice")
	less := &auth.Permissions{Subscribe: []string{"*"}, Presence: []string{"other:*"}}
	alice.send(`{"type":"refresh","id":5,"token":"%s"}`, r.token("alice", less))
	f := alice.until("forbidden", func(f wire.Frame) bool { return f.Type == "error" })
	require.Equal(t, wire.CodeForbidden, f.Code)
	require.Equal(t, "/presence", f.Path)
	require.Equal(t, "room:1", f.Channel)
	bob.change(presence.Leave, "alice")
	r.session("carol", "c").enter("room:1", "")
	bob.change(presence.Join, "carol")
	r.publish("room:1", event(1))
	require.Equal(t, "event", alice.next().Type, "the next thing that alice hears is an event, and no member")
}

// What a session watches as a subscriber it goes on to watch when it is present no more; and one that
// leaves and enters in one breath watches.
func TestWatchingAndBeingPresentAreTwoThings(t *testing.T) {
	r := newCrowd(t, crowdOptions{})
	alice, _ := r.watcher("alice", "m:7")
	alice.enter("m:7", "")
	alice.send(`{"type":"presence","id":8,"channel":"m:7","leave":true}`)
	alice.until("present", func(f wire.Frame) bool { return f.Type == "present" && string(f.ID) == "8" })
	r.session("bob", "b").enter("m:7", "")
	alice.until("bob", func(f wire.Frame) bool { return f.Type == "member" && f.Member.User == "bob" })

	carol := r.session("carol", "c")
	carol.enter("m:8", "")
	carol.send(`[{"type":"presence","channel":"m:8","leave":true},{"type":"presence","id":8,"channel":"m:8"}]`)
	carol.until("present", func(f wire.Frame) bool { return f.Type == "present" && string(f.ID) == "8" })
	r.session("dave", "d").enter("m:8", "")
	carol.until("dave", func(f wire.Frame) bool {
		return f.Type == "member" && f.Member.User == "dave" || f.Type == "members" && len(f.Members) == 2
	})

	// A subscription that replaces one says anew whether it watches.
	erin, _ := r.watcher("erin", "m:9")
	erin.subscribe("m:9", "")
	r.session("frank", "f").enter("m:9", "")
	r.publish("m:9", event(1))
	erin.expect("event")
}

// slowTracker holds back what enters until it is let go.
type slowTracker struct {
	presence.Tracker
	entering chan struct{}
	let      chan struct{}
}

func (s *slowTracker) Enter(ctx context.Context, e presence.Entry) error {
	s.entering <- struct{}{}
	<-s.let
	return s.Tracker.Enter(context.WithoutCancel(ctx), e)
}

// A connection that ends while its session enters leaves nobody behind.
func TestEndWhileEntering(t *testing.T) {
	slow := &slowTracker{entering: make(chan struct{}), let: make(chan struct{})}
	o := crowdOptions{rigOptions: graced(time.Millisecond)}
	o.wrap = func(tr presence.Tracker) presence.Tracker { slow.Tracker = tr; return slow }
	r := newCrowd(t, o)
	bob, _ := r.watcher("bob", "room:1")
	alice := r.session("alice", "a")
	alice.send(`{"type":"presence","channel":"room:1"}`)
	<-slow.entering
	alice.close()
	r.eventually("alice's connection is gone", func() bool { return r.gateway.Connections() == 1 })
	close(slow.let)
	bob.change(presence.Join, "alice")
	bob.until("leave", func(f wire.Frame) bool { return f.Action == presence.Leave })
	require.Empty(t, r.here("room:1"))
}
