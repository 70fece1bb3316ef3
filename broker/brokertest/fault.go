package brokertest

import (
	"context"
	"fmt"

	"github.com/stretchr/testify/require"

	"github.com/tallywire/tallywire/broker"
)

var faultCases = []testCase{
	{"CutAndHeal", cutAndHeal},
	{"CutFails", cutFails},
}

// cutAndHeal: what was published while a broker was cut off is announced by heads afterwards.
func cutAndHeal(s *suite) {
	cutter := capability[Cutter](s)
	channels := make([]string, 20)
	for i := range channels {
		channels[i] = s.channel("jobs")
		s.subscribe(s.b, channels[i])
		s.publish(s.a, channels[i], `{"n":1}`)
	}
	for _, c := range channels {
		s.b.Until(s, "the event before the cut", func() bool { return len(s.b.Entries(c)) == 1 })
	}
	cutter.Cut(1)
	s.b.UntilHealthy(s, false)
	h, _ := s.b.Healthy()
	require.NotEmpty(s, h.Reason)
	missed := map[string]broker.Cursor{}
	for _, c := range channels {
		missed[c] = s.publish(s.a, c, `{"n":2}`).Cursor
	}
	for _, c := range channels {
		require.Empty(s, s.b.After(c, 2), "delivered through a cut")
	}
	cutter.Heal(1)
	s.b.UntilHealthy(s, true)
	for _, c := range channels {
		s.b.Until(s, "the head after the cut", func() bool {
			heads := s.b.Heads(c)
			return len(heads) > 0 && heads[len(heads)-1].Cursor == missed[c]
		})
		p := s.read(s.b, c, broker.ReadRequest{From: 3})
		require.Equal(s, []broker.Cursor{missed[c]}, cursorsOf(p.Entries))
		c3 := s.publish(s.a, c, `{"n":3}`).Cursor
		s.b.Until(s, "an event after the cut", func() bool {
			got := s.b.After(c, 3)
			return len(got) == 1 && got[0].Cursor == c3
		})
	}
}

// cutFails: while the store is away every call ends, and says so.
func cutFails(s *suite) {
	cutter := capability[Cutter](s)
	channel := s.channel("jobs")
	s.publish(s.a, channel, `{"n":1}`)
	cutter.Cut(1)
	s.b.UntilHealthy(s, false)
	ctx, cancel := context.WithTimeout(s.ctx, Patience)
	defer cancel()
	p := broker.Publication{Channel: channel, Event: numbered(2), ID: "w/1"}
	_, err := broker.PublishWait(ctx, s.b, p)
	require.ErrorIs(s, err, broker.ErrUnavailable)
	_, err = s.b.Read(ctx, channel, broker.ReadRequest{})
	require.ErrorIs(s, err, broker.ErrUnavailable)
	_, err = s.b.Subscribe(ctx, channel)
	require.ErrorIs(s, err, broker.ErrUnavailable)
	require.NoError(s, ctx.Err(), "the errors came from the deadline")

	cutter.Heal(1)
	s.b.UntilHealthy(s, true)
	again := s.send(s.b, p) // whether or not the first got through
	log := visible(s.log(s.a, channel))
	require.Len(s, log, 2, fmt.Sprint(cursorsOf(log)))
	require.Equal(s, log[1].Cursor, again.Cursor)
}
