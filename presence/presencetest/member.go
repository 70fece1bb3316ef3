package presencetest

import (
	"context"
	"strings"
	"sync"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/tallywire/tallywire/events"
	"github.com/tallywire/tallywire/presence"
)

var memberCases = []testCase{
	{"JoinAndLeave", joinAndLeave},
	{"Tabs", tabs},
	{"GraceKeeps", graceKeeps},
	{"GraceEnds", graceEnds},
	{"GraceOfTheExit", graceOfTheExit},
	{"ChannelsAreApart", channelsAreApart},
	{"UsersAreApart", usersAreApart},
	{"Refuses", refuses},
	{"TooManySessions", tooManySessions},
	{"MaxEntries", maxEntries},
	{"RunTwice", runTwice},
	{"Idempotent", idempotent},
}

func joinAndLeave(s *suite) {
	a, b := s.node("a"), s.node("b")
	channel := s.channel(a, b)
	p, err := a.Members(s.ctx, channel, presence.PageRequest{})
	require.NoError(s, err)
	require.Zero(s, p.Count+p.Sessions+len(p.Members))
	began := time.Now()
	e := entry(channel, "alice", "s1")
	a.enter(e)
	for _, n := range []*node{a, b} {
		n.Until(s, "the join", func() bool { return n.Count(channel, presence.Join, "alice") == 1 })
		c := n.last(channel, "alice")
		require.Equal(s, channel, c.Channel)
		require.Equal(s, "Name of alice", c.Member.Name)
		require.Equal(s, presence.Live, c.Member.State)
		require.Equal(s, 1, c.Member.Sessions)
		require.Empty(s, c.Member.Status)
		require.WithinDuration(s, began, c.Member.Since, Patience)
		require.Equal(s, p.Version, c.Prev, "the first change follows on the first snapshot")
		all, page := n.pages(channel, 10)
		require.Equal(s, []presence.Member{c.Member}, all)
		require.Equal(s, c.Version, page.Version)
		require.Equal(s, 1, page.Count)
		require.Equal(s, 1, page.Sessions)
	}
	a.leave(e, true)
	for _, n := range []*node{a, b} {
		n.Until(s, "the leave", func() bool { return n.Count(channel, presence.Leave, "alice") == 1 })
		require.Equal(s, []presence.Action{presence.Join, presence.Leave}, n.actions(channel, "alice"))
		c := n.last(channel, "alice")
		require.Zero(s, c.Member.Sessions)
		require.Equal(s, "Name of alice", c.Member.Name)
		all, page := n.pages(channel, 10)
		require.Empty(s, all)
		require.Equal(s, c.Version, page.Version)
		n.chained(channel)
	}
}

func tabs(s *suite) {
	a, b := s.node("a"), s.node("b")
	channel := s.channel(a, b)
	first, second, third := entry(channel, "alice", "s1"), entry(channel, "alice", "s2"), entry(channel, "alice", "s3")
	a.enter(first)
	a.enter(second)
	b.enter(third)
	m, _ := b.member(channel, "alice")
	require.Equal(s, 3, m.Sessions)
	joined := m.Since
	a.leave(first, true)
	b.leave(third, true)
	m, ok := b.member(channel, "alice")
	require.True(s, ok)
	require.Equal(s, 1, m.Sessions)
	require.Equal(s, joined, m.Since)
	a.leave(second, true)
	b.Until(s, "the leave", func() bool { return b.Count(channel, presence.Leave, "alice") == 1 })
	require.Equal(s, 1, b.Count(channel, presence.Join, "alice"))
	require.Equal(s, []presence.Action{
		presence.Join, presence.Update, presence.Update, presence.Update, presence.Update, presence.Leave,
	}, b.actions(channel, "alice"))
}

func graceKeeps(s *suite) {
	a := s.node("a")
	channel := s.channel(a)
	e := entry(channel, "alice", "s1")
	a.enter(e)
	before, _ := a.member(channel, "alice")
	a.leave(e, false)
	m, ok := a.member(channel, "alice")
	require.True(s, ok)
	require.Equal(s, presence.Grace, m.State)
	require.Equal(s, 1, m.Sessions)
	e.Claim = "s1.2"
	a.enter(e)
	a.pass(channel, Grace)
	m, ok = a.member(channel, "alice")
	require.True(s, ok)
	require.Equal(s, before, m)
	require.Equal(s, []presence.Action{presence.Join, presence.Update, presence.Update}, a.actions(channel, "alice"))
}

// graceOfTheExit: what is said at the end counts, be it shorter or longer than what was said before.
func graceOfTheExit(s *suite) {
	a, b := s.node("a"), s.node("b")
	channel := s.channel(a, b)
	short, long := entry(channel, "short", "s1"), entry(channel, "long", "s1")
	short.Grace = presence.MaxGrace
	for _, e := range []presence.Entry{short, long} {
		b.enter(e)
	}
	left := time.Now()
	for e, grace := range map[*presence.Entry]time.Duration{&short: Grace, &long: presence.MaxGrace} {
		x := presence.Exit{Channel: channel, User: e.User, Session: e.Session, Claim: e.Claim, Grace: grace}
		require.NoError(s, b.Handle.Leave(s.ctx, x))
	}
	a.Until(s, "the end of the short grace", func() bool { return a.Count(channel, presence.Leave, "short") == 1 })
	require.GreaterOrEqual(s, time.Since(left), Grace)
	a.pass(channel, Grace)
	m, ok := a.member(channel, "long")
	require.True(s, ok)
	require.Equal(s, presence.Grace, m.State)
	for _, grace := range []time.Duration{-1, presence.MaxGrace + 1} {
		x := presence.Exit{Channel: channel, User: "long", Session: "s1", Claim: long.Claim, Grace: grace}
		require.ErrorIs(s, b.Handle.Leave(s.ctx, x), presence.ErrInvalid)
	}
}

func graceEnds(s *suite) {
	a, b := s.node("a"), s.node("b")
	channel := s.channel(a, b)
	e, other := entry(channel, "alice", "s1"), entry(channel, "alice", "s2")
	b.enter(e)
	b.enter(other)
	left := time.Now()
	b.leave(e, false)
	m, _ := a.member(channel, "alice")
	require.Equal(s, presence.Live, m.State, "another tab is there")
	require.Equal(s, 2, m.Sessions, "one in grace counts")
	a.Until(s, "the end of one grace", func() bool { m, _ := a.member(channel, "alice"); return m.Sessions == 1 })
	require.GreaterOrEqual(s, time.Since(left), Grace)
	b.leave(other, false)
	a.Until(s, "the leave", func() bool { return a.Count(channel, presence.Leave, "alice") == 1 })
	require.GreaterOrEqual(s, time.Since(left), 2*Grace)
	all, page := a.pages(channel, 10)
	require.Empty(s, all)
	require.Zero(s, page.Count+page.Sessions)
	a.chained(channel)
}

func channelsAreApart(s *suite) {
	a := s.node("a")
	one, two := s.channel(a), s.channel(a)
	a.enter(entry(one, "alice", "s1"))
	a.enter(entry(two, "alice", "s1"))
	a.leave(entry(one, "alice", "s1"), true)
	a.Until(s, "the leave", func() bool { return a.Count(one, presence.Leave, "alice") == 1 })
	_, ok := a.member(two, "alice")
	require.True(s, ok)
	require.Zero(s, a.Count(two, presence.Leave, ""))
}

// usersAreApart: session ids are the clients' choice; one user's id does nothing to another.
func usersAreApart(s *suite) {
	a, b := s.node("a"), s.node("b")
	channel := s.channel(a, b)
	a.enter(entry(channel, "alice", "same"))
	b.enter(entry(channel, "bob", "same"))
	b.enter(entry(channel, "alic", "esame"))
	b.enter(entry(channel, "alicf", "same"))
	b.leave(entry(channel, "bob", "same"), true)
	b.Until(s, "the leave", func() bool { return b.Count(channel, presence.Leave, "bob") == 1 })
	m, ok := b.member(channel, "alice")
	require.True(s, ok)
	require.Equal(s, 1, m.Sessions)
	_, page := b.pages(channel, 10)
	require.Equal(s, 3, page.Count)
}

func refuses(s *suite) {
	a := s.node("a")
	good := entry("room:good", "alice", "s1")
	for what, c := range map[string]struct {
		change func(e *presence.Entry)
		want   error
	}{
		"another key":      {func(e *presence.Entry) { e.Channel = "x}:members" }, events.ErrInvalidChannel},
		"a reserved name":  {func(e *presence.Entry) { e.Channel = "_gateways" }, events.ErrInvalidChannel},
		"no channel":       {func(e *presence.Entry) { e.Channel = "" }, events.ErrInvalidChannel},
		"no user":          {func(e *presence.Entry) { e.User = "" }, presence.ErrInvalid},
		"a NUL":            {func(e *presence.Entry) { e.User = "a\x00b" }, presence.ErrInvalid},
		"a line feed":      {func(e *presence.Entry) { e.Session = "a\nb" }, presence.ErrInvalid},
		"a long user":      {func(e *presence.Entry) { e.User = strings.Repeat("u", presence.MaxUser+1) }, presence.ErrInvalid},
		"no UTF-8":         {func(e *presence.Entry) { e.Name = "\xff" }, presence.ErrInvalid},
		"no claim":         {func(e *presence.Entry) { e.Claim = "" }, presence.ErrInvalid},
		"a negative grace": {func(e *presence.Entry) { e.Grace = -1 }, presence.ErrInvalid},
		"a long grace":     {func(e *presence.Entry) { e.Grace = presence.MaxGrace + 1 }, presence.ErrInvalid},
		"no JSON":          {func(e *presence.Entry) { e.Status = []byte(`{"a":`) }, presence.ErrInvalid},
		"two documents":    {func(e *presence.Entry) { e.Status = []byte(`{} {}`) }, presence.ErrInvalid},
		"a large status": {func(e *presence.Entry) {
			e.Status = []byte(`"` + strings.Repeat("x", presence.MaxStatus) + `"`)
		}, presence.ErrStatusTooLarge},
	} {
		e := good
		c.change(&e)
		require.ErrorIs(s, a.Enter(s.ctx, e), c.want, what)
	}
	_, err := a.Members(s.ctx, "x}y", presence.PageRequest{})
	require.ErrorIs(s, err, events.ErrInvalidChannel)
	_, err = a.Members(s.ctx, "room:1", presence.PageRequest{After: strings.Repeat("u", presence.MaxUser+1)})
	require.ErrorIs(s, err, presence.ErrInvalid)
	require.ErrorIs(s, a.Leave(s.ctx, presence.Exit{Channel: "room:1"}), presence.ErrInvalid)
	_, err = a.UserSessions(s.ctx, "")
	require.ErrorIs(s, err, presence.ErrInvalid)
	ctx, cancel := context.WithCancel(s.ctx)
	cancel()
	require.ErrorIs(s, a.Enter(ctx, entry("room:late", "alice", "s1")), context.Canceled)
	require.Zero(s, func() int { _, p := a.pages("room:good", 10); return p.Count }())
}

func tooManySessions(s *suite) {
	a := s.node("a")
	channel := s.channel(a)
	var wg sync.WaitGroup
	for i := range presence.MaxSessions {
		wg.Go(func() {
			if err := a.Enter(s.ctx, entry(channel, "alice", numbered("s", i))); err != nil {
				s.Errorf("session %d: %v", i, err)
			}
		})
	}
	wg.Wait()
	require.ErrorIs(s, a.Enter(s.ctx, entry(channel, "alice", "one-more")), presence.ErrTooManySessions)
	m, _ := a.member(channel, "alice")
	require.Equal(s, presence.MaxSessions, m.Sessions)
	a.leave(entry(channel, "alice", numbered("s", 0)), true)
	a.enter(entry(channel, "alice", "one-more"))
}

func maxEntries(s *suite) {
	a := s.nodeWith(presence.Options{Gateway: "a", MaxEntries: 2})
	channel := s.channel(a)
	a.enter(entry(channel, "alice", "s1"))
	a.enter(entry(channel, "bob", "s1"))
	require.ErrorIs(s, a.Enter(s.ctx, entry(channel, "carol", "s1")), presence.ErrOverloaded)
	require.EqualValues(s, 1, a.Stats().Overloaded)
	require.Equal(s, 2, a.Stats().Members)
	a.leave(entry(channel, "bob", "s1"), true)
	require.Equal(s, 1, a.Stats().Members)
	a.enter(entry(channel, "carol", "s1"))
}

func runTwice(s *suite) {
	a := s.node("a")
	require.Error(s, a.Run(s.ctx, a.Sink))
	channel := s.channel(a)
	a.enter(entry(channel, "alice", "s1"))
	a.Until(s, "the join", func() bool { return a.Count(channel, presence.Join, "alice") == 1 })
	a.stop()
	require.ErrorIs(s, a.Enter(s.ctx, entry(channel, "bob", "s1")), presence.ErrUnavailable)
}

func idempotent(s *suite) {
	a := s.node("a")
	channel := s.channel(a)
	e := entry(channel, "alice", "s1")
	for range 3 {
		a.enter(e)
	}
	a.leave(e, true)
	a.leave(e, true)
	a.leave(entry(channel, "nobody", "s1"), true)
	a.pass(channel, 0)
	require.Equal(s, []presence.Action{presence.Join, presence.Leave}, a.actions(channel, "alice"))
}
