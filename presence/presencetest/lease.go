package presencetest

import (
	"fmt"
	"slices"
	"sync"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/tallywire/tallywire/presence"
)

var leaseCases = []testCase{
	{"Kill", kill},
	{"KillInGrace", killInGrace},
	{"GraceOutlivesTheLease", graceOutlivesTheLease},
	{"ReaperDies", reaperDies},
	{"Freeze", freeze},
	{"Restart", restart},
	{"RollingRestart", rollingRestart},
	{"RunEnds", runEnds},
	{"LastOneOut", lastOneOut},
}

// goneWithin is the promise: a dead gateway's members are gone within the lease's lifetime and a second.
const goneWithin = TTL + time.Second

// leaves requires exactly one leave of each user and of nobody else, and returns when the last one was.
func (n *node) leaves(channel string, users []string) time.Time {
	n.s.Helper()
	counts, last := map[string]int{}, time.Time{}
	for _, c := range n.Changes(channel) {
		if c.Action == presence.Leave {
			counts[c.Member.User]++
			last = c.At
		}
	}
	want := map[string]int{}
	for _, u := range users {
		want[u] = 1
	}
	require.Equal(n.s, want, counts)
	return last
}

// kill: a gateway with 1,000 members dies; some have several tabs, some of these at other gateways.
func kill(s *suite) {
	const members, elsewhere = 1000, 100
	a, b, c := s.node("a"), s.node("b"), s.node("c")
	channel := s.channel(b, c)
	a.fill(channel, members, 1)
	a.fill(channel, members/2, 2) // the first half has two tabs
	for i := range elsewhere {
		other := []*node{b, c}[i%2]
		other.enter(entry(channel, numbered("u", 7*i), "elsewhere"))
	}
	var gone, stay []string
	for i := range members {
		if u := numbered("u", i); i%7 == 0 && i < 7*elsewhere {
			stay = append(stay, u)
		} else {
			gone = append(gone, u)
		}
	}
	_, page := b.pages(channel, presence.MaxPageLimit)
	require.Equal(s, members, page.Count)
	require.Equal(s, members+members/2+elsewhere, page.Sessions)
	killed := time.Now()
	a.kill()
	for _, n := range []*node{b, c} {
		n.Until(s, "the leaves", func() bool { return n.Count(channel, presence.Leave, "") >= len(gone) })
	}
	for _, n := range []*node{b, c} {
		n.Until(s, "the dead gateway to be forgotten", func() bool {
			list, err := n.Gateways(s.ctx)
			return err == nil && len(list) == 2
		})
	}
	b.pass(channel, Grace)
	for _, n := range []*node{b, c} {
		n.Until(s, "the passer", func() bool { return n.Count(channel, presence.Leave, "") > len(gone) })
		passer := n.Changes(channel)[len(n.Changes(channel))-1].Member.User
		n.leaves(channel, append(slices.Clone(gone), passer))
		n.chained(channel)
	}
	var last time.Time
	for _, h := range b.Changes(channel) {
		if h.Action == presence.Leave && slices.Contains(gone, h.Member.User) {
			last = h.At
		}
	}
	took := last.Sub(killed)
	s.Logf("the last of %d leaves came %s after the kill (lease %s)", len(gone), took.Round(time.Millisecond), TTL)
	require.Less(s, took, goneWithin)
	all, page := b.pages(channel, presence.MaxPageLimit)
	require.Equal(s, len(stay), page.Count)
	require.Equal(s, elsewhere, page.Sessions)
	for i, m := range all {
		require.Equal(s, stay[i], m.User)
		require.Equal(s, 1, m.Sessions)
		require.Equal(s, presence.Live, m.State)
	}
}

// killInGrace: who was in grace when the gateway died leaves when the grace is over, all the same.
func killInGrace(s *suite) {
	a, b := s.node("a"), s.node("b")
	channel := s.channel(a, b)
	long := entry(channel, "alice", "s1")
	long.Grace = TTL + 500*time.Millisecond
	a.enter(long)
	a.leave(long, false)
	left := time.Now()
	a.kill()
	b.Until(s, "the leave", func() bool { return b.Count(channel, presence.Leave, "alice") == 1 })
	require.GreaterOrEqual(s, time.Since(left), TTL)
	require.Less(s, time.Since(left), long.Grace+time.Second)
	require.Equal(s, []presence.Action{presence.Join, presence.Update, presence.Leave}, b.actions(channel, "alice"))
}

// graceOutlivesTheLease: a grace that is longer than the lease counts from the last sign of life.
func graceOutlivesTheLease(s *suite) {
	a, b := s.node("a"), s.node("b")
	channel := s.channel(a, b)
	back, away := entry(channel, "back", "s1"), entry(channel, "away", "s1")
	back.Grace = TTL + time.Second
	away.Grace = back.Grace
	a.enter(back)
	a.enter(away)
	a.kill()
	killed := time.Now()
	b.Until(s, "the grace", func() bool { m, _ := b.member(channel, "back"); return m.State == presence.Grace })
	back.Claim = "back"
	b.enter(back)
	b.Until(s, "the leave", func() bool { return b.Count(channel, presence.Leave, "away") == 1 })
	require.Less(s, time.Since(killed), back.Grace+time.Second)
	b.pass(channel, Grace)
	require.Equal(s, []presence.Action{presence.Join, presence.Update, presence.Update}, b.actions(channel, "back"))
	require.Equal(s, []presence.Action{presence.Join, presence.Update, presence.Leave}, b.actions(channel, "away"))
}

// reaperDies: what a reaper has taken over passes on when it dies itself.
func reaperDies(s *suite) {
	a, b := s.node("a"), s.node("b")
	channel := s.channel(a, b)
	e := entry(channel, "alice", "s1")
	e.Grace = 2*TTL + 500*time.Millisecond
	a.enter(e)
	a.kill()
	b.Until(s, "b to reap a", func() bool { return b.Stats().Reaped == 1 })
	c := s.node("c")
	require.NoError(s, c.Hear(s.ctx, channel))
	m, ok := c.member(channel, "alice")
	require.True(s, ok)
	require.Equal(s, presence.Grace, m.State)
	b.kill()
	c.Until(s, "the leave", func() bool { return c.Count(channel, presence.Leave, "alice") == 1 })
	all, _ := c.pages(channel, 10)
	require.Empty(s, all)
}

// freeze: a gateway stands still for longer than its lease, as by SIGSTOP, and goes on. What is still
// connected to it comes back; nothing else does.
func freeze(s *suite) {
	const members = 300
	a, b := s.node("a"), s.node("b")
	channel := s.channel(a, b)
	a.fill(channel, members, 1)
	incarnation := a.Stats().Incarnation
	a.Stall()
	frozen := time.Now()
	// While it stands still: the first ten come to b, and five of these leave b again.
	for i := range 10 {
		e := entry(channel, numbered("u", i), numbered("s", 0))
		e.Claim = "at-b"
		b.enter(e)
		if i < 5 {
			b.leave(e, true)
		}
	}
	// The next ten have gone; it notices only now.
	var late sync.WaitGroup
	for i := 10; i < 20; i++ {
		before := a.Stats().Told
		late.Go(func() { _ = a.Leave(s.ctx, exit(entry(channel, numbered("u", i), numbered("s", 0)), false)) })
		a.Until(s, "the wish to be noted", func() bool { return a.Stats().Told > before })
	}
	b.Until(s, "the leaves", func() bool { return b.Count(channel, presence.Leave, "") == members-5 })
	require.Less(s, time.Since(frozen), goneWithin)
	a.Heal()
	late.Wait()
	b.Until(s, "who is still connected", func() bool { _, p := b.pages(channel, 10); return p.Count == members-20+5 })
	require.Greater(s, a.Stats().Incarnation, incarnation)
	b.pass(channel, TTL) // late commands have had their time
	all, page := b.pages(channel, presence.MaxPageLimit)
	require.Equal(s, members-20+5, page.Count)
	require.Equal(s, numbered("u", 5), all[0].User)
	require.Equal(s, numbered("u", 9), all[4].User)
	require.Equal(s, numbered("u", 20), all[5].User)
	for i := range members {
		user := numbered("u", i)
		want := []presence.Action{presence.Join, presence.Leave, presence.Join}
		switch {
		case i < 5:
			want = []presence.Action{presence.Join, presence.Leave}
		case i < 10:
			want = []presence.Action{presence.Join}
		case i < 20:
			want = []presence.Action{presence.Join, presence.Leave}
		}
		require.Equal(s, want, b.actions(channel, user), user)
	}
	b.chained(channel)
}

// restart: a gateway is killed and started again with the same id. Sessions that come back to it within
// their grace make no leave; the others leave.
func restart(s *suite) {
	a, b := s.node("a"), s.node("b")
	channel := s.channel(b)
	back, away := entry(channel, "back", "s1"), entry(channel, "away", "s1")
	back.Grace, away.Grace = TTL, TTL
	a.enter(back)
	a.enter(away)
	first := a.Stats().Incarnation
	a.kill()
	a = s.node("a")
	require.Greater(s, a.Stats().Incarnation, first)
	back.Claim = "again"
	a.enter(back)
	b.Until(s, "the leave", func() bool { return b.Count(channel, presence.Leave, "away") == 1 })
	b.pass(channel, TTL)
	b.stayed(channel, "back")
}

// stayed requires that a user joined once and never left; it may have been in grace for a moment.
func (n *node) stayed(channel, user string) {
	n.s.Helper()
	m, ok := n.member(channel, user)
	require.True(n.s, ok)
	require.Equal(n.s, presence.Live, m.State)
	require.Equal(n.s, 1, n.Count(channel, presence.Join, user))
	require.Zero(n.s, n.Count(channel, presence.Leave, user))
}

// rollingRestart: gateways are drained one after another; nobody leaves or joins.
func rollingRestart(s *suite) {
	const members = 60
	nodes := []*node{s.node("a"), s.node("b"), s.node("c")}
	watcher := s.node("watcher")
	channel := s.channel(watcher)
	at := map[string]int{}
	entries := map[string]presence.Entry{}
	for i := range members {
		e := entry(channel, numbered("u", i), "s")
		e.Grace = TTL
		nodes[i%3].enter(e)
		at[e.User], entries[e.User] = i%3, e
	}
	for i := range nodes {
		for user, where := range at {
			if where != i {
				continue
			}
			e, next := entries[user], (i+1)%3
			before := e
			e.Claim = fmt.Sprintf("%s-%d", e.Claim, i)
			nodes[next].enter(e)
			nodes[i].leave(before, false)
			at[user], entries[user] = next, e
		}
		nodes[i].stop()
		nodes[i] = s.node(nodes[i].id)
	}
	watcher.pass(channel, TTL)
	require.Equal(s, members+1, watcher.Count(channel, presence.Join, ""))
	require.Equal(s, 1, watcher.Count(channel, presence.Leave, ""))
	require.Equal(s, 1, watcher.Count(channel, presence.Update, ""), "the passer's grace is all that changes")
}

// runEnds: a gateway that ends in order lets its sessions have their grace, from then on.
func runEnds(s *suite) {
	a, b := s.node("a"), s.node("b")
	channel := s.channel(b)
	a.enter(entry(channel, "alice", "s1"))
	stay := entry(channel, "bob", "s1")
	stay.Grace = TTL
	a.enter(stay)
	ended := time.Now()
	a.stop()
	stay.Claim = "at-b"
	b.enter(stay)
	b.Until(s, "the leave", func() bool { return b.Count(channel, presence.Leave, "alice") == 1 })
	require.GreaterOrEqual(s, time.Since(ended), Grace)
	require.Less(s, time.Since(ended), TTL, "it does not take the end of the lease")
	b.pass(channel, TTL)
	b.stayed(channel, "bob")
}

// lastOneOut: when all gateways die, the next one that comes finds who was here, and reaps.
func lastOneOut(s *suite) {
	a := s.node("a")
	channel := s.channel()
	a.enter(entry(channel, "alice", "s1"))
	a.kill()
	b := s.node("b")
	b.Until(s, "an empty channel", func() bool { all, _ := b.pages(channel, 10); return len(all) == 0 })
	b.Until(s, "a clean index", func() bool {
		list, err := b.Gateways(s.ctx)
		return err == nil && len(list) == 1 && list[0].ID == "b"
	})
}
