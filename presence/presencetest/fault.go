package presencetest

import (
	"context"
	"encoding/json"
	"errors"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/tallywire/tallywire/presence"
)

var faultCases = []testCase{
	{"AwayIsSaidSo", awayIsSaidSo},
	{"WhatWasToldIsDone", whatWasToldIsDone},
	{"MissedIsStale", missedIsStale},
	{"AllAwayNobodyLeaves", allAwayNobodyLeaves},
}

// awayIsSaidSo: while the store is away an answer says how old it is, or there is none.
func awayIsSaidSo(s *suite) {
	a, b := s.node("a"), s.node("b")
	channel, other := s.channel(a, b), s.channel(a, b)
	a.enter(entry(channel, "alice", "s1"))
	before := time.Now()
	known, page := b.pages(channel, 10)
	after := time.Now()
	b.Cut()
	p, err := b.Members(s.ctx, channel, presence.PageRequest{Limit: 10})
	require.NoError(s, err)
	require.Equal(s, known, p.Members)
	require.Equal(s, page.Version, p.Version)
	require.False(s, p.StaleSince.Before(before) || p.StaleSince.After(after), "stale since %s", p.StaleSince)
	_, err = b.Members(s.ctx, other, presence.PageRequest{Limit: 10})
	require.ErrorIs(s, err, presence.ErrUnavailable)
	_, err = b.UserSessions(s.ctx, "alice")
	require.ErrorIs(s, err, presence.ErrUnavailable)
	_, err = b.Gateways(s.ctx)
	require.ErrorIs(s, err, presence.ErrUnavailable)
	require.NoError(s, s.ctx.Err())
	a.enter(entry(channel, "bob", "s1"))
	b.Heal()
	b.Until(s, "a fresh answer", func() bool {
		p, err := b.Members(s.ctx, channel, presence.PageRequest{Limit: 10})
		return err == nil && p.StaleSince.IsZero() && p.Count == 2
	})
}

// whatWasToldIsDone: what could not be written is written when the store is back, in its last form.
func whatWasToldIsDone(s *suite) {
	a, b := s.node("a"), s.node("b")
	channel := s.channel(a, b)
	stays, goes, comes := entry(channel, "stays", "s1"), entry(channel, "goes", "s1"), entry(channel, "comes", "s1")
	a.enter(stays)
	a.enter(goes)
	twice := entry(channel, "twice", "s1")
	a.enter(twice)
	a.Cut()
	ctx, cancel := context.WithTimeout(s.ctx, Patience)
	defer cancel()
	require.ErrorIs(s, a.Enter(ctx, comes), presence.ErrUnavailable)
	require.ErrorIs(s, a.Leave(ctx, exit(goes, true)), presence.ErrUnavailable)
	stays.Status = json.RawMessage(`"still"`)
	require.ErrorIs(s, a.Enter(ctx, stays), presence.ErrUnavailable)
	short := entry(channel, "short", "s1")
	require.ErrorIs(s, a.Enter(ctx, short), presence.ErrUnavailable)
	require.NoError(s, ignore(a.Leave(ctx, exit(short, true)), presence.ErrUnavailable))
	twice.Claim = "again" // comes anew and goes, and the store hears of neither
	require.ErrorIs(s, a.Enter(ctx, twice), presence.ErrUnavailable)
	require.NoError(s, ignore(a.Leave(ctx, exit(twice, true)), presence.ErrUnavailable))
	require.NoError(s, ctx.Err(), "the errors came from the deadline")
	a.Heal()
	b.Until(s, "what was told", func() bool {
		m, _ := b.member(channel, "stays")
		_, gone := b.member(channel, "goes")
		_, come := b.member(channel, "comes")
		_, still := b.member(channel, "twice")
		return string(m.Status) == `"still"` && !gone && come && !still
	})
	b.Until(s, "everything to be written", func() bool { return a.Stats().Waiting == 0 })
	_, page := b.pages(channel, 10)
	require.Equal(s, 2, page.Count)
}

func ignore(err, known error) error {
	if err == nil || errors.Is(err, known) {
		return nil
	}
	return err
}

// missedIsStale: a tracker that may have missed changes says so, and a snapshot makes it good.
func missedIsStale(s *suite) {
	a, b := s.node("a"), s.node("b")
	channel := s.channel(a, b)
	f := &follower{node: b, channel: channel}
	a.enter(entry(channel, "alice", "s1"))
	b.Until(s, "alice", func() bool { f.step(); return f.roster.Len() == 1 })
	stale := b.StaleCount(channel)
	b.Cut()
	a.enter(entry(channel, "bob", "s1"))
	a.leave(entry(channel, "alice", "s1"), true)
	b.Heal()
	b.Until(s, "the doubt", func() bool { return b.StaleCount(channel) > stale })
	f.roster = presence.Roster{}
	b.Until(s, "bob alone", func() bool {
		f.step()
		m := f.roster.Members()
		return f.roster.Settled() && len(m) == 1 && m[0].User == "bob"
	})
	b.Until(s, "the lease", func() bool { return b.Stats().Incarnation > 0 })
	a.enter(entry(channel, "carol", "s1"))
	b.Until(s, "carol, live again", func() bool { return b.Count(channel, presence.Join, "carol") == 1 })
}

// allAwayNobodyLeaves: when the store was away from everyone for longer than the leases, these have all
// ended. The gateways wait for one another before they reap.
func allAwayNobodyLeaves(s *suite) {
	a, b := s.node("a"), s.node("b")
	channel := s.channel(a, b)
	a.enter(entry(channel, "alice", "s1"))
	b.enter(entry(channel, "bob", "s1"))
	first := [2]uint64{a.Stats().Incarnation, b.Stats().Incarnation}
	probe := s.node("probe")
	probe.Cut()
	a.Cut()
	b.Cut()
	away := time.NewTimer(TTL + TTL/2)
	defer away.Stop()
	select {
	case <-away.C:
	case <-s.ctx.Done():
	}
	// The first one that is back finds the leases of all others ended. It lets them come back.
	before := probe.Stats().Incarnation
	probe.Heal()
	probe.Until(s, "the first new lease", func() bool { return probe.Stats().Incarnation > before })
	other := entry(s.channel(probe), "passer", "s1")
	probe.enter(other)
	probe.leave(other, false)
	probe.Until(s, "a grace to pass", func() bool { return probe.Count(other.Channel, presence.Leave, "") == 1 })
	a.Heal()
	b.Heal()
	a.Until(s, "new leases", func() bool {
		return a.Stats().Incarnation > first[0] && b.Stats().Incarnation > first[1]
	})
	a.Until(s, "the old ones to be reaped", func() bool { return a.Stats().Reaped+b.Stats().Reaped+probe.Stats().Reaped >= 3 })
	a.pass(channel, Grace)
	m, ok := a.member(channel, "alice")
	require.True(s, ok)
	require.Equal(s, presence.Live, m.State)
	require.Equal(s, []presence.Action{presence.Join}, a.actions(channel, "alice"))
	require.Equal(s, []presence.Action{presence.Join}, b.actions(channel, "bob"))
}
