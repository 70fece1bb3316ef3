package gateway_test

import (
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/tallywire/tallywire/gateway/auth"
	"github.com/tallywire/tallywire/gateway/wire"
	"github.com/tallywire/tallywire/presence"
)

// overCrowd runs a case with presence over every transport.
func overCrowd(t *testing.T, o crowdOptions, test func(t *testing.T, r *crowd, by transport)) {
	t.Helper()
	over(t, func(t *testing.T, by transport) { test(t, newCrowd(t, o), by) })
}

// watching is a reader of a channel's members.
func watching(channel string) wire.StreamChannel {
	return wire.StreamChannel{Channel: channel, Presence: true}
}

// roster reads until the members are those that are named.
func (f *feed) roster(r *presence.Roster, names ...string) {
	f.t.Helper()
	for {
		var got []string
		for _, m := range r.Members() {
			got = append(got, m.User)
		}
		if slices.Equal(got, names) && r.Settled() {
			return
		}
		switch x := f.next(); x.Type {
		case "members":
			r.Load("", pageOf(x))
		case "member":
			require.Equal(f.t, presence.Applied, r.Apply(changeOf(x)), "%s %s after %v", x.Action, x.Member.User, got)
		default:
			require.Contains(f.t, []string{"subscribed", "event"}, x.Type)
		}
	}
}

// A reader that asks for them has the members, and what becomes of them.
func TestTellsOfMembers(t *testing.T) {
	overCrowd(t, crowdOptions{}, func(t *testing.T, r *crowd, by transport) {
		f := by.read(r.rig, "bob", nil, watching("m:7"), now("m:8"))
		require.Equal(t, "subscribed", f.next().Type)
		var known presence.Roster
		for x := f.next(); ; x = f.next() {
			if x.Type == "members" {
				require.Empty(t, x.Members)
				known.Load("", pageOf(x))
				break
			}
			require.Equal(t, "subscribed", x.Type)
		}
		alice := r.session("alice", "a")
		alice.enter("m:7", `,"status":{"row":1}`)
		f.roster(&known, "alice")
		require.JSONEq(t, `{"row":1}`, string(known.Members()[0].Status))
		r.session("carol", "c").enter("m:7", "")
		r.session("dave", "d").enter("m:8", "") // which is not asked for
		f.roster(&known, "alice", "carol")
		alice.send(`{"type":"presence","channel":"m:7","leave":true}`)
		f.roster(&known, "carol")
		last := r.publish("m:7", event(1))
		f.until("m:7", last)
	})
}

// Members come and go while a reader reads, and while it does not: what it has in the end is what is so.
func TestRosterIsTrueInTheEnd(t *testing.T) {
	overCrowd(t, crowdOptions{}, func(t *testing.T, r *crowd, by transport) {
		f := by.read(r.rig, "bob", nil, watching("m:7"))
		done := make(chan error, 1)
		const total = 60
		var want []string
		for i := range total {
			if i%3 != 0 {
				want = append(want, fmt.Sprintf("guest-%05d", i))
			}
		}
		go func() {
			var err error
			for i := 0; i < total && err == nil; i++ {
				g := guest(i, fmt.Sprint(i))
				err = r.tracker.Enter(t.Context(), g)
				if i%3 == 0 && err == nil {
					err = r.tracker.Leave(t.Context(), presence.Exit{Channel: g.Channel, User: g.User, Session: g.Session, Claim: g.Claim, Now: true})
				}
				if err == nil {
					err = tryPublish(t.Context(), r.broker, "m:7", event(i))
				}
			}
			done <- err
		}()
		var known presence.Roster
		f.roster(&known, want...)
		require.NoError(t, <-done)
	})
}

func TestMembersMayBeForbidden(t *testing.T) {
	overCrowd(t, crowdOptions{}, func(t *testing.T, r *crowd, by transport) {
		may := &auth.Permissions{Subscribe: []string{"*"}, Presence: []string{"rooms:*"}}
		f := by.read(r.rig, "bob", may, watching("m:7"), now("m:8"))
		x := f.expectError(wire.CodeForbidden)
		require.Equal(t, "/channels/0/presence", x.Path)
		require.Equal(t, "m:7", x.Channel)
		require.Equal(t, "m:8", f.expect("subscribed").Channel)
		last := r.publish("m:8", event(1))
		f.until("m:8", last)
	})
}

// A store of presence that is away takes nothing from the events. What was known of the members is told
// once, and a true list follows when it is back.
func TestMembersFollowWhenTheirStoreIsBack(t *testing.T) {
	for _, known := range []bool{false, true} {
		t.Run(map[bool]string{false: "never seen", true: "seen"}[known], func(t *testing.T) {
			overCrowd(t, crowdOptions{timeout: 200 * time.Millisecond}, func(t *testing.T, r *crowd, by transport) {
				require.NoError(t, r.tracker.Enter(t.Context(), guest(1, "")))
				if known {
					_, first := r.watcher("early", "m:7")
					require.Len(t, first.Members, 1)
				}
				r.tracker.ForTest().Cut()
				before := r.gateway.Counters().Accepted.Load()
				f := by.read(r.rig, "bob", nil, watching("m:7"))
				f.expect("subscribed")
				x := f.next()
				if known {
					require.Equal(t, "members", x.Type)
					require.NotZero(t, x.StaleSinceMS)
					require.Len(t, x.Members, 1)
				} else {
					require.Equal(t, "error", x.Type)
					require.Equal(t, "/presence", x.Path)
					require.Equal(t, "m:7", x.Channel)
				}
				for n := range 5 { // and it is not told again with every poll
					r.publish("m:7", event(n))
					f.collect(1)
				}
				require.Less(t, r.gateway.Counters().Accepted.Load()-before, uint64(15))
				r.tracker.ForTest().Heal()
				x = f.expect("members")
				require.Zero(t, x.StaleSinceMS)
				require.Len(t, x.Members, 1)
			})
		})
	}
}
