package membroker

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/tallywire/tallywire/broker"
)

// Whoever holds a channel that a sweep has taken away meanwhile is told to look it up again.
func TestSweptChannelTakesNothing(t *testing.T) {
	now := time.Unix(1_700_000_000, 0)
	s := NewStore(Options{Clock: func() time.Time { return now }})
	b := s.Broker()
	held, err := s.obtain("jobs:1")
	require.NoError(t, err)
	p := broker.Publication{Channel: "jobs:1", Event: []byte(`{}`)}
	_, ok, err := held.publish(&p)
	require.True(t, ok)
	require.NoError(t, err)

	now = now.Add(25 * time.Hour)
	s.sweep()
	require.Nil(t, s.find("jobs:1"))
	_, ok, _ = held.publish(&p)
	require.False(t, ok, "published where nobody will read")
	_, ok, _ = held.subscribe(b)
	require.False(t, ok, "subscribed where nobody will publish")

	r, err := broker.PublishWait(t.Context(), b, p)
	require.NoError(t, err)
	require.NotNil(t, s.find("jobs:1"))
	require.Equal(t, r.Cursor, s.find("jobs:1").last)
}

// A Subscribe that overlaps the end of Run leaves nothing behind that would call the sink.
func TestSubscribeAfterTheEnd(t *testing.T) {
	s := NewStore(Options{})
	b := s.Broker()
	c, err := s.obtain("jobs:1")
	require.NoError(t, err)
	b.end()
	_, ok, err := c.subscribe(b)
	require.True(t, ok)
	require.ErrorIs(t, err, broker.ErrUnavailable)
	require.Empty(t, c.subs)
}
