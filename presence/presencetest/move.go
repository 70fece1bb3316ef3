package presencetest

import (
	"encoding/json"

	"github.com/stretchr/testify/require"

	"github.com/tallywire/tallywire/presence"
)

var moveCases = []testCase{
	{"MovesBetweenGateways", movesBetweenGateways},
	{"MovesInGrace", movesInGrace},
	{"MovesBack", movesBack},
	{"LateUpdateDoesNotStealBack", lateUpdateDoesNotStealBack},
	{"LateLeaveOnTheSameGateway", lateLeaveOnTheSameGateway},
}

// movesBetweenGateways: the client opens its next connection first, then the old one ends, with or
// without a goodbye. Nobody sees anything.
func movesBetweenGateways(s *suite) {
	a, b := s.node("a"), s.node("b")
	channel := s.channel(a, b)
	for _, now := range []bool{false, true} {
		user := map[bool]string{false: "alice", true: "bob"}[now]
		old := entry(channel, user, "s1")
		a.enter(old)
		next := old
		next.Claim = "next"
		b.enter(next)
		a.leave(old, now)
		a.pass(channel, Grace)
		require.Equal(s, []presence.Action{presence.Join}, a.actions(channel, user))
		b.leave(next, true)
		a.Until(s, "the leave", func() bool { return a.Count(channel, presence.Leave, user) == 1 })
	}
}

func movesInGrace(s *suite) {
	a, b := s.node("a"), s.node("b")
	channel := s.channel(a, b)
	e := entry(channel, "alice", "s1")
	a.enter(e)
	a.leave(e, false)
	e.Claim = "next"
	b.enter(e)
	a.pass(channel, Grace)
	require.Equal(s, []presence.Action{presence.Join, presence.Update, presence.Update}, a.actions(channel, "alice"))
	m, _ := a.member(channel, "alice")
	require.Equal(s, presence.Live, m.State)
	require.Equal(s, 1, m.Sessions)
}

func movesBack(s *suite) {
	a, b := s.node("a"), s.node("b")
	channel := s.channel(a, b)
	first := entry(channel, "alice", "s1")
	a.enter(first)
	second := first
	second.Claim = "second"
	b.enter(second)
	third := first
	third.Claim = "third"
	a.enter(third) // its first connection here has not been missed yet
	a.leave(first, true)
	b.leave(second, true)
	a.pass(channel, 0)
	b.pass(channel, 0)
	require.Equal(s, []presence.Action{presence.Join}, a.actions(channel, "alice"))
	third.Status = json.RawMessage(`1`)
	a.enter(third)
	a.leave(third, true)
	b.Until(s, "the leave", func() bool { return b.Count(channel, presence.Leave, "alice") == 1 })
}

func lateUpdateDoesNotStealBack(s *suite) {
	a, b := s.node("a"), s.node("b")
	channel := s.channel(a, b)
	old := entry(channel, "alice", "s1")
	a.enter(old)
	next := old
	next.Claim = "next"
	b.enter(next)
	for range 2 {
		old.Status = json.RawMessage(`"late"`)
		require.ErrorIs(s, a.Enter(s.ctx, old), presence.ErrMoved)
	}
	a.leave(old, false)
	a.pass(channel, Grace)
	m, ok := b.member(channel, "alice")
	require.True(s, ok)
	require.Equal(s, presence.Live, m.State)
	require.Empty(s, m.Status)
	require.Equal(s, []presence.Action{presence.Join}, a.actions(channel, "alice"))
}

func lateLeaveOnTheSameGateway(s *suite) {
	a := s.node("a")
	channel := s.channel(a)
	old := entry(channel, "alice", "s1")
	a.enter(old)
	next := old
	next.Claim = "next"
	a.enter(next)
	a.leave(old, true)
	a.pass(channel, Grace)
	require.Equal(s, []presence.Action{presence.Join}, a.actions(channel, "alice"))
	require.ErrorIs(s, a.Leave(s.ctx, presence.Exit{Channel: channel, User: "alice", Session: "s1"}), presence.ErrInvalid)
}
