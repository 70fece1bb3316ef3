package brokertest

import (
	"context"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/tallywire/tallywire/broker"
	"github.com/tallywire/tallywire/namespace"
)

var lifeCases = []testCase{
	{"HealthyFromTheStart", healthyFromTheStart},
	{"RunEnds", runEnds},
	{"StreamsExpire", streamsExpire},
}

func healthyFromTheStart(s *suite) {
	h, _ := s.a.Healthy()
	require.True(s, h.OK)
	require.False(s, h.Since.IsZero())
	require.GreaterOrEqual(s, h.RoundTrip, time.Duration(0))
}

func runEnds(s *suite) {
	channel := s.channel("jobs")
	s.subscribe(s.a, channel)
	s.subscribe(s.b, channel)
	s.publish(s.a, channel, `{"n":1}`)
	s.a.Until(s, "the event", func() bool { return len(s.a.Entries(channel)) == 1 })
	s.a.stop()
	calls := s.a.Calls()

	s.publish(s.b, channel, `{"n":2}`)
	s.b.Until(s, "the other broker serves on", func() bool { return len(s.b.Entries(channel)) == 2 })
	s.fence(s.b)
	require.Equal(s, calls, s.a.Calls(), "the sink was called after Run had returned")

	ctx, cancel := context.WithTimeout(s.ctx, Patience)
	defer cancel()
	_, err := broker.PublishWait(ctx, s.a, broker.Publication{Channel: channel, Event: numbered(3)})
	require.ErrorIs(s, err, broker.ErrUnavailable)
	_, err = s.a.Read(ctx, channel, broker.ReadRequest{})
	require.ErrorIs(s, err, broker.ErrUnavailable)
	_, err = s.a.Subscribe(ctx, channel)
	require.ErrorIs(s, err, broker.ErrUnavailable)
	s.a.Unsubscribe(channel)
	require.NoError(s, ctx.Err(), "the errors came from the deadline")
	require.Len(s, visible(s.log(s.b, channel)), 2)
}

func streamsExpire(s *suite) {
	expirer := capability[Expirer](s)
	within := func(t testing.TB, channel string, want time.Duration) {
		t.Helper()
		got := expirer.TTL(channel)
		require.LessOrEqual(t, got, want)
		require.Greater(t, got, want-Patience)
	}
	jobs, brief, opened := s.channel("jobs"), s.channel("brief"), s.channel("jobs")
	require.Zero(s, expirer.TTL(jobs))
	s.publish(s.a, jobs, `{}`)
	within(s, jobs, namespace.DefaultTTL)
	s.publish(s.a, brief, `{}`)
	within(s, brief, 30*time.Second)
	s.subscribe(s.a, opened)
	within(s, opened, 10*time.Minute)
	s.publish(s.a, opened, `{}`)
	within(s, opened, namespace.DefaultTTL)

	expirer.Expire(brief)
	require.Equal(s, broker.Page{}, s.read(s.b, brief, broker.ReadRequest{}))
	require.True(s, s.read(s.b, jobs, broker.ReadRequest{}).Exists)
	require.Equal(s, uint64(1), s.subscribe(s.b, brief).Cursor.Offset)
}
