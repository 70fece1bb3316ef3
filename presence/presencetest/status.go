package presencetest

import (
	"encoding/json"
	"fmt"
	"strings"
	"sync"

	"github.com/stretchr/testify/require"

	"github.com/tallywire/tallywire/presence"
)

var statusCases = []testCase{
	{"Status", status},
	{"StatusFallsBack", statusFallsBack},
	{"StatusIsConflated", statusIsConflated},
	{"StatusTravels", statusTravels},
}

func numbered(what string, i int) string { return fmt.Sprintf("%s%05d", what, i) }

func status(s *suite) {
	a, b := s.node("a"), s.node("b")
	channel := s.channel(a, b)
	e := entry(channel, `a"\u{<é`, "s1") // whatever a user's id is
	a.enter(e)
	for _, c := range []struct{ set, want string }{
		{`{"viewing":"match:42","field":"amount"}`, `{"viewing":"match:42","field":"amount"}`},
		{" {\"a\" :\n[ ],\"n\":12345678901234567890,\"e\":\"\\u00e9% {}\"} ", `{"a":[],"n":12345678901234567890,"e":"\u00e9% {}"}`},
		{`"` + strings.Repeat("x", presence.MaxStatus-2) + `"`, `"` + strings.Repeat("x", presence.MaxStatus-2) + `"`},
		{"null", ""},
		{`7`, `7`},
	} {
		e.Status = json.RawMessage(c.set)
		a.enter(e)
		e.Status = nil
		a.enter(e) // keeps it
		m, _ := b.member(channel, e.User)
		require.Equal(s, c.want, string(m.Status))
		b.Until(s, "the update", func() bool {
			changes := b.Changes(channel)
			return len(changes) > 0 && string(changes[len(changes)-1].Member.Status) == c.want
		})
		require.Equal(s, m, b.last(channel, e.User).Member)
	}
	require.Equal(s, 1, b.Count(channel, presence.Join, ""))
	require.Equal(s, 5, b.Count(channel, presence.Update, ""))
	b.chained(channel)
}

func statusFallsBack(s *suite) {
	a, b := s.node("a"), s.node("b")
	channel := s.channel(a, b)
	of := func(n *node, session, status string) presence.Entry {
		e := entry(channel, "alice", session)
		e.Status = json.RawMessage(status)
		n.enter(e)
		return e
	}
	first, second, third := of(a, "s1", `1`), of(b, "s2", `2`), of(a, "s3", `3`)
	b.enter(entry(channel, "alice", "s4")) // says nothing
	is := func(want string) {
		s.Helper()
		m, _ := b.member(channel, "alice")
		require.Equal(s, want, string(m.Status))
	}
	is("3")
	a.leave(third, true)
	is("2")
	of(a, "s1", `11`)
	is("11")
	a.leave(first, true)
	is("2")
	b.leave(second, true)
	is("")
}

// statusIsConflated: while the store does not answer, the last status counts.
func statusIsConflated(s *suite) {
	a, b := s.node("a"), s.node("b")
	channel := s.channel(a, b)
	e := entry(channel, "alice", "s1")
	a.enter(e)
	b.Until(s, "the join", func() bool { return b.Count(channel, presence.Join, "alice") == 1 })
	a.Stall()
	const count = 200
	var wg sync.WaitGroup
	for i := range count {
		update := e
		update.Status = fmt.Appendf(nil, "%d", i)
		before := a.Stats()
		wg.Go(func() { _ = a.Enter(s.ctx, update) }) // some may not be answered in time
		a.Until(s, "the wish to be noted", func() bool { return a.Stats().Told > before.Told })
	}
	a.Heal()
	wg.Wait()
	b.Until(s, "the last status", func() bool {
		m, _ := b.member(channel, "alice")
		return string(m.Status) == fmt.Sprint(count-1)
	})
	b.Until(s, "its change", func() bool { return string(b.last(channel, "alice").Member.Status) == fmt.Sprint(count-1) })
	require.LessOrEqual(s, b.Count(channel, presence.Update, "alice"), 4)
}

// statusTravels: a session that moves keeps its status, also through the loss of the lease.
func statusTravels(s *suite) {
	a, b := s.node("a"), s.node("b")
	channel := s.channel(a, b)
	e := entry(channel, "alice", "s1")
	e.Status = json.RawMessage(`{"viewing":"match:42"}`)
	a.enter(e)
	moved := entry(channel, "alice", "s1")
	moved.Claim = "elsewhere"
	b.enter(moved)
	m, _ := a.member(channel, "alice")
	require.JSONEq(s, `{"viewing":"match:42"}`, string(m.Status))
	b.Cut() // until b's lease has ended and a has reaped it
	a.Until(s, "the leave", func() bool { return a.Count(channel, presence.Leave, "alice") == 1 })
	b.Heal()
	a.Until(s, "the return", func() bool { return a.Count(channel, presence.Join, "alice") == 2 })
	m, _ = a.member(channel, "alice")
	require.JSONEq(s, `{"viewing":"match:42"}`, string(m.Status))
}
