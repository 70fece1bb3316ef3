package gateway_test

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"golang.org/x/sync/errgroup"

	"github.com/tallywire/tallywire/gateway"
	"github.com/tallywire/tallywire/gateway/auth"
	"github.com/tallywire/tallywire/gateway/wire"
	"github.com/tallywire/tallywire/presence"
	"github.com/tallywire/tallywire/presence/mempresence"
)

// fill lets members enter m:7 past the gateway, in the order of their names.
func (r *crowd) fill(n int) {
	r.t.Helper()
	var g errgroup.Group
	g.SetLimit(256)
	for i := range n {
		g.Go(func() error { return r.tracker.Enter(r.t.Context(), guest(i, "")) })
	}
	require.NoError(r.t, g.Wait())
}

func guest(i int, status string) presence.Entry {
	e := presence.Entry{
		Channel: "m:7", User: fmt.Sprintf("guest-%05d", i), Session: "s", Claim: fmt.Sprint("c", i), Grace: time.Minute,
	}
	if status != "" {
		e.Status = []byte(status)
	}
	return e
}

// However many members a channel has, no answer has more than a page of them.
func TestMembersArePaged(t *testing.T) {
	r := newCrowd(t, crowdOptions{})
	const n = 5000
	r.fill(n)
	alice, first := r.watcher("alice", "m:7")
	require.Len(t, first.Members, presence.DefaultPageLimit)
	require.Equal(t, n, first.Count)
	require.Equal(t, n, first.Sessions)
	require.Equal(t, "guest-00099", first.Next)

	for _, limit := range []int{0, 333, presence.MaxPageLimit} {
		asked := ""
		size := presence.DefaultPageLimit
		if limit > 0 {
			asked, size = fmt.Sprintf(`,"limit":%d`, limit), limit
		}
		var all []string
		for after, pages := "", 1; ; pages++ {
			alice.send(`{"type":"members","id":%d,"channel":"m:7","after":"%s"%s}`, pages, after, asked)
			f := alice.expect("members")
			require.Equal(t, fmt.Sprint(pages), string(f.ID))
			require.LessOrEqual(t, len(f.Members), size)
			require.Equal(t, n, f.Count)
			all = append(all, users(f)...)
			if after = f.Next; after == "" {
				require.GreaterOrEqual(t, pages, n/size)
				break
			}
		}
		require.Len(t, all, n)
		require.True(t, slices.IsSorted(all))
		require.Len(t, slices.Compact(all), n, "nobody twice")
	}
	alice.send(`{"type":"members","id":1,"channel":"m:7","after":"guest-04999"}`)
	require.Empty(t, alice.expect("members").Members, "after the last there is nobody")
}

func TestMembersOverHTTP(t *testing.T) {
	r := newCrowd(t, crowdOptions{})
	token := r.token("alice", nil)
	page := func(query string) (p gateway.MembersPage) {
		t.Helper()
		a := r.get("/v1/channels/m:7/members"+query, token, nil)
		require.Equal(t, 200, a.status, a.body)
		a.decode(t, &p)
		require.Equal(t, "m:7", p.Channel)
		require.True(t, p.StaleSince.IsZero())
		return p
	}
	require.Contains(t, r.get("/v1/channels/m:7/members", token, nil).body, `"members":[]`, "nobody is a list too")
	r.fill(250)
	r.session("bob", "b").enter("m:7", `,"status":{"at":"x"}`)
	var all []presence.Member
	for after := ""; ; {
		p := page("?limit=100&after=" + after)
		require.Equal(t, 251, p.Count)
		all = append(all, p.Members...)
		if after = p.Next; after == "" {
			break
		}
	}
	require.Len(t, all, 251)
	require.Equal(t, "bob", all[0].User)
	require.JSONEq(t, `{"at":"x"}`, string(all[0].Status))
	require.Len(t, page("").Members, presence.DefaultPageLimit)

	only := r.token("mallory", &auth.Permissions{Subscribe: []string{"*"}})
	for _, c := range []struct {
		path, token string
		status      int
		code        wire.Code
	}{
		{"m:7/members", "", 401, wire.CodeUnauthorized},
		{"m:7/members", "nonsense", 401, wire.CodeUnauthorized},
		{"m:7/members", only, 403, wire.CodeForbidden},
		{"_dead/members", token, 400, wire.CodeInvalidChannel},
		{"a%7Bb%7D/members", token, 400, wire.CodeInvalidChannel},
		{"a%2Fb/members", token, 400, wire.CodeInvalidChannel},
		{"m:7/members?limit=0", token, 400, wire.CodeInvalidRequest},
		{"m:7/members?limit=1001", token, 400, wire.CodeInvalidRequest},
		{"m:7/members?limit=many", token, 400, wire.CodeInvalidRequest},
		{"m:7/members?after=" + strings.Repeat("x", 257), token, 400, wire.CodeInvalidRequest},
	} {
		p := r.get("/v1/channels/"+c.path, c.token, nil).problem(t)
		require.Equal(t, c.status, p.Status, c.path)
		require.Equal(t, c.code, p.Code, c.path)
	}
}

// While the store is away, answers say how old they are, or that there is none; both heal by themselves.
func TestMembersWhileTheStoreIsAway(t *testing.T) {
	r := newCrowd(t, crowdOptions{timeout: 300 * time.Millisecond})
	token := r.token("dave", nil)
	alice := r.session("alice", "a")
	alice.enter("m:7", "")
	asked := time.Now()
	bob, before := r.watcher("bob", "m:7") // which is what is remembered
	require.Equal(t, []string{"alice"}, users(before))
	carol := r.connect("carol", nil)

	r.tracker.ForTest().Cut()
	stale := carol.watch("m:7")
	require.Equal(t, []string{"alice"}, users(stale))
	require.InDelta(t, asked.UnixMilli(), stale.StaleSinceMS, 5000)
	carol.send(`{"type":"members","id":3,"channel":"m:7"}`)
	require.Equal(t, stale.StaleSinceMS, carol.expect("members").StaleSinceMS)
	carol.subscribe("m:8", `,"presence":true`)
	unknown := carol.expectError(wire.CodeUnavailable)
	require.True(t, unknown.Retry)
	require.Equal(t, "/presence", unknown.Path, "the subscription goes on")
	require.Equal(t, "m:8", unknown.Channel)
	carol.send(`{"type":"members","id":4,"channel":"m:8"}`)
	require.Equal(t, "4", string(carol.expectError(wire.CodeUnavailable).ID))
	var p gateway.MembersPage
	r.get("/v1/channels/m:7/members", token, nil).decode(t, &p)
	require.Equal(t, stale.StaleSinceMS, p.StaleSince.UnixMilli())
	away := r.get("/v1/channels/m:8/members", token, nil).problem(t)
	require.Equal(t, 503, away.Status)
	require.True(t, away.Retry)
	carol.send(`{"type":"presence","id":5,"channel":"m:8","status":1}`)
	carol.until("unavailable", func(f wire.Frame) bool { return f.Code == wire.CodeUnavailable && string(f.ID) == "5" })

	r.tracker.ForTest().Heal()
	for _, c := range []*client{bob, carol} {
		f := c.until("members", func(f wire.Frame) bool {
			if f.Type == "error" { // to enter m:8 asked for its members once more
				require.Equal(t, "m:8", f.Channel, "told once: %+v", f)
			}
			return f.Type == "members" && f.Channel == "m:7" && f.StaleSinceMS == 0
		})
		require.Equal(t, []string{"alice"}, users(f))
	}
	// What was told meanwhile is made up for.
	r.eventually("carol", func() bool { return slices.Equal(r.here("m:8"), []string{"carol live 1"}) })
	r.session("erin", "e").enter("m:8", "")
	carol.until("erin", func(f wire.Frame) bool {
		return f.Type == "member" && f.Member.User == "erin" || f.Type == "members" && slices.Contains(users(f), "erin")
	})
}

// A store that cannot be reached while nothing else says so: snapshots are tried again.
func TestSnapshotIsTriedAgain(t *testing.T) {
	t.Parallel()
	flaky := &flakyTracker{}
	o := crowdOptions{}
	o.wrap = func(tr presence.Tracker) presence.Tracker { flaky.Tracker = tr; return flaky }
	r := newCrowd(t, o)
	flaky.failures = 3
	alice := r.connect("alice", nil)
	alice.subscribe("m:7", `,"presence":true`)
	require.Equal(t, "/presence", alice.expectError(wire.CodeUnavailable).Path)
	require.Empty(t, alice.expect("members").Members, "the next that comes is the snapshot")
	r.session("bob", "b").enter("m:7", "")
	alice.change(presence.Join, "bob")
}

// flakyTracker fails the first of its answers.
type flakyTracker struct {
	presence.Tracker
	failures int // owned by the one room that asks
}

func (f *flakyTracker) Members(ctx context.Context, channel string, r presence.PageRequest) (presence.Page, error) {
	if f.failures--; f.failures >= 0 {
		return presence.Page{}, presence.ErrUnavailable
	}
	return f.Tracker.Members(ctx, channel, r)
}

// Sessions that end while the store does not answer leave all their channels, not only the first ones.
func TestLeavesAreRemembered(t *testing.T) {
	t.Parallel()
	o := crowdOptions{rigOptions: graced(time.Millisecond), timeout: time.Second}
	r := newCrowd(t, o)
	alice := r.session("alice", "a")
	const rooms = 20
	for i := range rooms {
		alice.enter(fmt.Sprint("room:", i), "")
	}
	r.tracker.ForTest().Stall()
	alice.close()
	r.eventually("alice's connection is gone", func() bool { return r.gateway.Connections() == 0 })
	r.tracker.ForTest().Heal()
	for i := range rooms {
		r.eventually("everybody has left", func() bool { return len(r.here(fmt.Sprint("room:", i))) == 0 })
	}
}

// A watcher that does not read is not sent every change: when it reads again it gets a new snapshot.
func TestSlowWatcher(t *testing.T) {
	members := mempresence.NewStore(mempresence.StoreOptions{})
	r := newCrowd(t, crowdOptions{members: members, rigOptions: rigOptions{change: func(o *gateway.Options) {
		o.Limits.WriteTimeout = 3 * patience
	}}})
	slow := r.connectRaw(4096, "slow")
	slow.send(`{"type":"subscribe","channels":[{"channel":"m:7","presence":true}]}`)
	require.Equal(t, "subscribed", slow.next().Type)
	require.Equal(t, "members", slow.next().Type)

	const changes = 4000 // of 4 KB: beyond what the sockets' buffers hold
	pad := strings.Repeat("x", 4000)
	before := heap()
	for i := range changes {
		require.NoError(t, r.tracker.Enter(t.Context(), guest(i%10, fmt.Sprintf(`{"n":%d,"pad":"%s"}`, i, pad))))
	}
	// What is kept of the last changes, for those who have just come, is at most 512 of them.
	require.Less(t, heap()-before, int64(6<<20))
	var roster presence.Roster
	roster.Load("", presence.Page{})
	told, snapshots := 0, 0
	last := fmt.Sprintf(`{"n":%d,"pad":"%s"}`, changes-1, pad)
	for done := false; !done; {
		switch f := slow.next(); f.Type {
		case "members":
			snapshots++
			require.Equal(t, presence.Applied, roster.Load("", pageOf(f)))
		case "member":
			told++
			require.Equal(t, presence.Applied, roster.Apply(changeOf(f)))
		}
		done = slices.ContainsFunc(roster.Members(), func(m presence.Member) bool { return string(m.Status) == last })
	}
	require.Positive(t, snapshots)
	require.Less(t, told, changes)
	require.Equal(t, 10, roster.Len())
}

func pageOf(f wire.Frame) presence.Page {
	return presence.Page{Version: f.Version, Count: f.Count, Sessions: f.Sessions, Members: f.Members, Next: f.Next}
}

func changeOf(f wire.Frame) presence.Change {
	return presence.Change{Channel: f.Channel, Version: f.Version, Prev: f.Prev, Action: f.Action, Member: *f.Member}
}

// A burst of changes that is more than may wait for a client at once reaches every watcher that reads, change
// by change.
func TestBurstOfChanges(t *testing.T) {
	r := newCrowd(t, crowdOptions{})
	const n, watchers = 1000, 5 // some 200 KB
	var g errgroup.Group
	for i := range watchers {
		c, _ := r.watcher(fmt.Sprint("watcher-", i), "m:7")
		g.Go(func() error {
			var roster presence.Roster
			roster.Load("", presence.Page{})
			for roster.Len() < n {
				f, err := c.read()
				switch {
				case err != nil:
					return err
				case f.Type != "member" || roster.Apply(changeOf(f)) != presence.Applied:
					return fmt.Errorf("%s after %d members", f.Type, roster.Len())
				}
			}
			return nil
		})
	}
	r.fill(n)
	require.NoError(t, g.Wait())
}
