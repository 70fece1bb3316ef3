package redispresence_test

import (
	"context"
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/tallywire/tallywire/internal/redistest"
	"github.com/tallywire/tallywire/presence"
	"github.com/tallywire/tallywire/presence/presencetest"
)

// gateway is a running tracker.
type gateway struct {
	handle
	*presencetest.Sink
}

func run(t *testing.T, s *redistest.Server, o presence.Options) gateway {
	t.Helper()
	if o.TTL == 0 {
		o.TTL = presencetest.TTL
	}
	g := gateway{open(t, redistest.StartProxy(t, s), o), &presencetest.Sink{}}
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- g.Run(ctx, g.Sink) }()
	t.Cleanup(func() {
		cancel()
		require.NoError(t, <-ended)
	})
	g.Until(t, "the lease", func() bool { return g.Stats().Incarnation > 0 })
	return g
}

func entry(channel, user string) presence.Entry {
	return presence.Entry{Channel: channel, User: user, Session: "s", Claim: "s", Grace: presencetest.Grace}
}

// A Redis that comes back empty gets everything that is connected, and followers know that they need a
// new snapshot.
func TestRedisWiped(t *testing.T) {
	s := redistest.Start(t)
	a, b := run(t, s, presence.Options{Gateway: "a"}), run(t, s, presence.Options{Gateway: "b"})
	require.NoError(t, b.Hear(t.Context(), "room:1"))
	for i := range 20 {
		require.NoError(t, a.Enter(t.Context(), entry("room:1", fmt.Sprint("u", i))))
	}
	require.NoError(t, a.SetSession(t.Context(), presence.SessionInfo{User: "u1", Session: "s", Claim: "s"}))
	b.Until(t, "the joins", func() bool { return b.Count("room:1", presence.Join, "") == 20 })
	before := b.Changes("room:1")[19].Version
	s.Kill()
	s.Restart()
	b.Until(t, "everyone again", func() bool {
		p, err := b.Members(t.Context(), "room:1", presence.PageRequest{})
		return err == nil && p.StaleSince.IsZero() && p.Count == 20
	})
	b.Until(t, "the session again", func() bool {
		list, err := b.UserSessions(t.Context(), "u1")
		return err == nil && len(list) == 1
	})
	b.Until(t, "the doubt", func() bool { return b.StaleCount("room:1") > 0 })
	p, err := b.Members(t.Context(), "room:1", presence.PageRequest{})
	require.NoError(t, err)
	require.Greater(t, p.Version, before)
}

// A library that vanishes is loaded again by whoever meets it first.
func TestFunctionFlush(t *testing.T) {
	s := redistest.Start(t)
	a := run(t, s, presence.Options{Gateway: "a"})
	e := entry("room:1", "alice")
	for what, call := range map[string]func() error{
		"enter":    func() error { return a.Enter(t.Context(), e) },
		"members":  func() error { _, err := a.Members(t.Context(), "room:1", presence.PageRequest{}); return err },
		"gateways": func() error { _, err := a.Gateways(t.Context()); return err },
		"session": func() error {
			return a.SetSession(t.Context(), presence.SessionInfo{User: "alice", Session: "s", Claim: "s"})
		},
	} {
		s.Do("FUNCTION", "FLUSH")
		require.NoError(t, call(), what)
	}
	require.Zero(t, a.Stats().Voids)
}

// A reply that is lost leads to a repetition, which nobody notices.
func TestReplyLost(t *testing.T) {
	s := redistest.Start(t)
	a, b := run(t, s, presence.Options{Gateway: "a"}), run(t, s, presence.Options{Gateway: "b"})
	require.NoError(t, b.Hear(t.Context(), "room:1"))
	e := entry("room:1", "alice")
	a.way.(*redistest.Proxy).LoseReplies(1, "tw_presence_enter")
	require.ErrorIs(t, a.Enter(t.Context(), e), presence.ErrUnavailable)
	require.NoError(t, a.Enter(t.Context(), e))
	a.way.(*redistest.Proxy).LoseReplies(1, "tw_presence_leave")
	require.ErrorIs(t, a.Leave(t.Context(), presence.Exit{Channel: e.Channel, User: e.User, Session: e.Session, Claim: e.Claim, Now: true}), presence.ErrUnavailable)
	b.Until(t, "the leave", func() bool { return b.Count("room:1", presence.Leave, "alice") == 1 })
	b.Until(t, "the repetition", func() bool { return a.Stats().Waiting == 0 && a.Stats().Entries == 0 })
	require.Len(t, b.Changes("room:1"), 2)
}

// Keys of users and gateways stay what they are, whatever the names.
func TestKeys(t *testing.T) {
	s := redistest.Start(t)
	a := run(t, s, presence.Options{Gateway: "gw:1.a-b"})
	for _, user := range []string{"alice", "a:b", "{x}:members", "a b*?[c]", "é", "%7B"} {
		require.NoError(t, a.SetSession(t.Context(), presence.SessionInfo{User: user, Session: "s", Claim: "s"}))
		require.NoError(t, a.Enter(t.Context(), entry("room:1", user)))
	}
	keys, err := s.Admin().Keys(t.Context(), "*").Result()
	require.NoError(t, err)
	slices.Sort(keys)
	want := []string{
		"tw:_gateways", "tw:gateway:gw:1.a-b",
		"tw:user:%257B", "tw:user:%7Bx%7D%3Amembers", "tw:user:%C3%A9", "tw:user:a%3Ab", "tw:user:a+b%2A%3F%5Bc%5D", "tw:user:alice",
	}
	got := slices.DeleteFunc(slices.Clone(keys), func(k string) bool { return len(k) > 3 && k[3] == '{' })
	require.Equal(t, want, got)
	require.NotEqual(t, int64(-1), s.Do("PTTL", "tw:gateway:gw:1.a-b"))
	require.NotEqual(t, int64(-1), s.Do("PTTL", "tw:user:alice"))
	raw, err := s.Admin().HGet(t.Context(), "tw:{room:1}:members", "alice").Result()
	require.NoError(t, err)
	require.Regexp(t, `^\{"user":"alice","name":"","state":"live","since":\d{16},"sessions":1\}$`, raw)
}

// A channel that is not used any more is taken from the gateway's list.
func TestListsShrink(t *testing.T) {
	s := redistest.Start(t)
	a := run(t, s, presence.Options{Gateway: "a", TTL: presence.MinTTL})
	list := fmt.Sprintf("tw:{a/%d}:channels", a.Stats().Incarnation)
	size := func() int64 { return s.Admin().SCard(t.Context(), list).Val() }
	for i := range 50 {
		require.NoError(t, a.Enter(t.Context(), entry(fmt.Sprint("room:", i), "alice")))
	}
	require.EqualValues(t, 50, size())
	for i := range 49 {
		require.NoError(t, a.Leave(t.Context(), presence.Exit{Channel: fmt.Sprint("room:", i), User: "alice", Session: "s", Claim: "s"}))
	}
	a.Until(t, "the list to shrink", func() bool { return size() == 1 || a.Stats().Voids > 0 })
	require.NoError(t, a.Enter(t.Context(), entry("room:1", "alice")))
	if a.Stats().Voids == 0 { // a lease this short may be lost on a busy machine
		require.EqualValues(t, 2, size())
	}
}

// A member that nobody of this program wrote is told as a doubt, not as a change.
func TestMalformedDoorbells(t *testing.T) {
	s := redistest.Start(t)
	a := run(t, s, presence.Options{Gateway: "a"})
	require.NoError(t, a.Hear(t.Context(), "room:1"))
	for i, payload := range []string{
		"% ", "% 1 2 {}", "% 2 1 {}", `% 2 1 {"action":"jump","user":"u"}`, `% 2 1 {"action":"join"}`, `% x 1 {"action":"join","user":"u"}`, `% 2 1 {"action":"join","user":"u"`,
	} {
		s.Do("PUBLISH", "tw:{room:1}", payload)
		a.Until(t, payload, func() bool { return a.Stats().Malformed == uint64(i+1) })
	}
	require.Equal(t, 7, a.StaleCount("room:1"))
	require.Empty(t, a.Changes("room:1"))
	s.Do("PUBLISH", "tw:{room:1}", `% 2 1 {"action":"join","user":"u","since":1}`)
	a.Until(t, "one that is well", func() bool { return a.Count("room:1", presence.Join, "u") == 1 })
	require.Equal(t, time.UnixMicro(1).UTC(), a.Changes("room:1")[0].Member.Since)
}
