package presencetest

import (
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"sync"

	"github.com/stretchr/testify/require"
	"golang.org/x/sync/errgroup"

	"github.com/tallywire/tallywire/presence"
)

var pageCases = []testCase{
	{"Pages", pages},
	{"PagesAreBoundedInBytes", pagesAreBoundedInBytes},
	{"SnapshotsAndChangesFit", snapshotsAndChangesFit},
}

// fill lets count users enter, each with so many sessions, many at a time.
func (n *node) fill(channel string, count, sessions int) {
	n.s.Helper()
	var g errgroup.Group
	g.SetLimit(256)
	for i := range count {
		for j := range sessions {
			g.Go(func() error { return n.Enter(n.s.ctx, entry(channel, numbered("u", i), numbered("s", j))) })
		}
	}
	require.NoError(n.s, g.Wait())
}

func pages(s *suite) {
	a, b := s.node("a"), s.node("b")
	channel := s.channel()
	a.fill(channel, 1234, 1)
	for _, limit := range []int{0, 1, 7, 50, 100, presence.MaxPageLimit, 1 << 20} {
		if limit == 1 {
			continue // a thousand round trips say no more than 7 does
		}
		all, last := b.pages(channel, limit)
		require.Len(s, all, 1234, "pages of %d", limit)
		require.Equal(s, 1234, last.Count)
		require.True(s, slices.IsSortedFunc(all, func(x, y presence.Member) int { return strings.Compare(x.User, y.User) }))
	}
	p, err := b.Members(s.ctx, channel, presence.PageRequest{Limit: 1})
	require.NoError(s, err)
	require.Len(s, p.Members, 1)
	require.Equal(s, "u00000", p.Next)
	p, err = b.Members(s.ctx, channel, presence.PageRequest{After: "u00100x", Limit: 2})
	require.NoError(s, err)
	require.Equal(s, "u00101", p.Members[0].User)
	p, err = b.Members(s.ctx, channel, presence.PageRequest{After: "u01233"})
	require.NoError(s, err)
	require.Empty(s, p.Members)
	require.Empty(s, p.Next)
	p, err = b.Members(s.ctx, channel, presence.PageRequest{After: "u01133", Limit: 100})
	require.NoError(s, err)
	require.Len(s, p.Members, 100)
	require.Empty(s, p.Next, "a full last page is the last one")
}

func pagesAreBoundedInBytes(s *suite) {
	a := s.node("a")
	channel := s.channel()
	status := json.RawMessage(`"` + strings.Repeat("x", presence.MaxStatus-2) + `"`)
	var g errgroup.Group
	for i := range 200 {
		e := entry(channel, numbered("u", i), "s")
		e.Status = status
		g.Go(func() error { return a.Enter(s.ctx, e) })
	}
	require.NoError(s, g.Wait())
	p, err := a.Members(s.ctx, channel, presence.PageRequest{Limit: presence.MaxPageLimit})
	require.NoError(s, err)
	require.Less(s, len(p.Members), 66)
	require.Greater(s, len(p.Members), 30)
	require.Equal(s, p.Members[len(p.Members)-1].User, p.Next)
	require.Equal(s, 200, p.Count)
	all, _ := a.pages(channel, presence.MaxPageLimit)
	require.Len(s, all, 200)
}

// snapshotsAndChangesFit: sessions come, go, move and say things at two gateways, all at once. Somebody who
// takes snapshots in small pages meanwhile and applies the changes ends with what is there.
func snapshotsAndChangesFit(s *suite) {
	a, b := s.node("a"), s.node("b")
	channel := s.channel(a, b)
	var crowd sync.WaitGroup
	for who := range 24 {
		crowd.Go(func() { s.wander(channel, []*node{a, b}, numbered("u", who/3), numbered("s", who)) })
	}
	moving := make(chan struct{})
	go func() {
		defer close(moving)
		crowd.Wait()
	}()
	f := &follower{node: b, channel: channel}
	for followed := false; !followed; {
		select {
		case <-moving:
			followed = true
		default:
		}
		f.step()
	}
	b.Until(s, "the follower to arrive", func() bool {
		f.step()
		_, page := b.pages(channel, presence.MaxPageLimit)
		return f.roster.Settled() && f.roster.Version() == page.Version
	})
	all, page := b.pages(channel, presence.MaxPageLimit)
	require.Equal(s, page.Version, f.roster.Version(), "graces are over")
	require.Equal(s, all, f.roster.Members())
	b.chained(channel)
	s.Logf("%d changes, %d snapshots, %d pages", len(b.Changes(channel)), f.snapshots, f.pages)
	// The changes alone, from the first, say the same.
	var whole presence.Roster
	whole.Load("", presence.Page{})
	for _, c := range b.Changes(channel) {
		require.Equal(s, presence.Applied, whole.Apply(c.Change))
	}
	require.Equal(s, all, whole.Members())
}

// wander moves one session about and ends it, or leaves it there. Grace is not used at the end, so that
// everything has come to rest when it returns.
func (s *suite) wander(channel string, nodes []*node, user, session string) {
	at, e := nodes[rand.N(len(nodes))], entry(channel, user, session)
	for i := range 40 {
		var err error
		switch rand.N(6) {
		case 0: // to another gateway; the old one notices later
			old, before := at, e
			at = nodes[rand.N(len(nodes))]
			e.Claim = fmt.Sprintf("%s.%d", session, i+2)
			err = at.Enter(s.ctx, e)
			if err == nil {
				err = old.Leave(s.ctx, exit(before, rand.N(2) == 0))
			}
		case 1:
			err = at.Leave(s.ctx, exit(e, rand.N(2) == 0))
		case 2:
			e.Status = fmt.Appendf(nil, `{"i":%d}`, i)
			err = at.Enter(s.ctx, e)
			e.Status = nil
		default:
			err = at.Enter(s.ctx, e)
		}
		if err != nil {
			s.Errorf("%s: %v", session, err)
		}
	}
	err := at.Enter(s.ctx, e)
	if rand.N(2) == 0 && err == nil {
		err = at.Leave(s.ctx, exit(e, true))
	}
	if err != nil {
		s.Errorf("%s: %v", session, err)
	}
}

func exit(e presence.Entry, now bool) presence.Exit {
	return presence.Exit{Channel: e.Channel, User: e.User, Session: e.Session, Claim: e.Claim, Now: now}
}

// follower follows a channel as a client does.
type follower struct {
	node             *node
	channel          string
	roster           presence.Roster
	heard            int // changes applied
	snapshots, pages int
}

// step applies what was heard and loads one page, if one is wanted; now and then it begins anew.
func (f *follower) step() {
	f.node.s.Helper()
	anew := rand.N(50) == 0
	apply := func() {
		for _, c := range f.node.Changes(f.channel)[f.heard:] {
			f.heard++
			if f.roster.Apply(c.Change) == presence.Missed {
				anew = true
			}
		}
	}
	apply()
	after, wanted := f.roster.Next()
	if anew {
		after, wanted = "", true
	}
	if !wanted {
		return
	}
	p, err := f.node.Members(f.node.s.ctx, f.channel, presence.PageRequest{After: after, Limit: 3})
	require.NoError(f.node.s, err)
	if rand.N(2) == 0 {
		apply() // the page was under way while changes came
	}
	f.pages++
	if after == "" {
		f.snapshots++
	}
	if f.roster.Load(after, p) == presence.Missed {
		f.roster = presence.Roster{}
	}
}
