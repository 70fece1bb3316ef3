package presencetest

import (
	"strings"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/tallywire/tallywire/presence"
)

var directoryCases = []testCase{
	{"Sessions", sessions},
	{"SessionsMove", sessionsMove},
	{"SessionsOfTheDead", sessionsOfTheDead},
	{"Gateways", gateways},
}

func session(user, id string) presence.SessionInfo {
	at := time.Now().UTC().Truncate(time.Millisecond)
	return presence.SessionInfo{
		User: user, Session: id, Claim: id + ".1", Transport: "websocket", Since: at, LastSeen: at,
		Remote: "192.0.2.7:4711", UserAgent: "Mozilla/5.0", Channels: []string{"jobs:42"}, ChannelCount: 1,
	}
}

func (n *node) sessions(user string) []presence.SessionInfo {
	n.s.Helper()
	list, err := n.UserSessions(n.s.ctx, user)
	require.NoError(n.s, err)
	return list
}

func sessions(s *suite) {
	a, b := s.node("a"), s.node("b")
	user := `auth0|{alice} %7B*\é`
	require.Empty(s, b.sessions(user))
	first, second := session(user, "s1"), session(user, "s2")
	second.Since = first.Since.Add(time.Second)
	require.NoError(s, b.SetSession(s.ctx, second))
	require.NoError(s, a.SetSession(s.ctx, first))
	require.NoError(s, a.SetSession(s.ctx, session("auth0|", "s1")))
	require.Zero(s, a.Stats().Members, "a session alone is no member")
	first.Gateway, second.Gateway = "a", "b"
	require.Equal(s, []presence.SessionInfo{first, second}, b.sessions(user))
	first.Channels = nil
	for range presence.MaxSessionChannels + 1 {
		first.Channels = append(first.Channels, "jobs:42")
	}
	first.UserAgent = strings.Repeat("x", 1000)
	require.NoError(s, a.SetSession(s.ctx, first))
	got := b.sessions(user)[0]
	require.Len(s, got.Channels, presence.MaxSessionChannels)
	require.Equal(s, presence.MaxSessionChannels+1, got.ChannelCount)
	require.Len(s, got.UserAgent, 256)
	require.NoError(s, a.RemoveSession(s.ctx, user, "s1", "another"))
	require.Len(s, b.sessions(user), 2)
	require.NoError(s, a.RemoveSession(s.ctx, user, "s1", first.Claim))
	require.Equal(s, []presence.SessionInfo{second}, a.sessions(user))
	require.ErrorIs(s, a.SetSession(s.ctx, presence.SessionInfo{User: "u"}), presence.ErrInvalid)
}

func sessionsMove(s *suite) {
	a, b := s.node("a"), s.node("b")
	old := session("alice", "s1")
	require.NoError(s, a.SetSession(s.ctx, old))
	next := old
	next.Claim = "next"
	require.NoError(s, b.SetSession(s.ctx, next))
	require.ErrorIs(s, a.SetSession(s.ctx, old), presence.ErrMoved)
	require.NoError(s, a.RemoveSession(s.ctx, "alice", "s1", old.Claim))
	list := a.sessions("alice")
	require.Len(s, list, 1)
	require.Equal(s, "b", list[0].Gateway)
}

// sessionsOfTheDead are not told; those of a gateway with a new lease are.
func sessionsOfTheDead(s *suite) {
	a, b := s.node("a"), s.node("b")
	require.NoError(s, a.SetSession(s.ctx, session("alice", "s1")))
	require.NoError(s, b.SetSession(s.ctx, session("alice", "s2")))
	require.Len(s, b.sessions("alice"), 2)
	a.Stall()
	b.Until(s, "the end of a's lease", func() bool { return len(b.sessions("alice")) == 1 })
	a.Heal()
	b.Until(s, "a's new lease", func() bool { return len(b.sessions("alice")) == 2 })
	a.kill()
	b.Until(s, "the end of a", func() bool { return len(b.sessions("alice")) == 1 })
	require.Equal(s, "b", b.sessions("alice")[0].Gateway)
}

func gateways(s *suite) {
	a, b := s.node("gw-a"), s.node("gw-b")
	b.SetReport(presence.Report{Connections: 7, Sessions: 6, Channels: 5, Published: 4, Delivered: 3, Draining: true})
	var list []presence.GatewayInfo
	a.Until(s, "the report", func() bool {
		var err error
		list, err = a.Gateways(s.ctx)
		require.NoError(s, err)
		return len(list) == 2 && list[1].Connections == 7
	})
	require.Equal(s, "gw-a", list[0].ID)
	require.Equal(s, "gw-b", list[1].ID)
	g := list[1]
	require.True(s, g.Live)
	require.Equal(s, b.Stats().Incarnation, g.Incarnation)
	require.Equal(s, "v1", g.Version)
	require.Equal(s, "127.0.0.1:9090", g.Address)
	require.WithinDuration(s, time.Now(), g.Start, Patience)
	require.Equal(s, presence.Report{Connections: 7, Sessions: 6, Channels: 5, Published: 4, Delivered: 3, Draining: true}, g.Report)
	require.LessOrEqual(s, g.Left, TTL)
	require.Less(s, g.Age, TTL)
	b.stop()
	list, err := a.Gateways(s.ctx)
	require.NoError(s, err)
	require.Len(s, list, 1, "a gateway that has ended is none")
	require.Equal(s, "gw-a", list[0].ID)
}
