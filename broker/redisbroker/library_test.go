package redisbroker_test

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/tallywire/tallywire/broker"
	"github.com/tallywire/tallywire/broker/redisbroker"
	"github.com/tallywire/tallywire/internal/redistest"
	"github.com/tallywire/tallywire/namespace"
)

func state(t *testing.T, b *redisbroker.Broker) redisbroker.LibraryState {
	t.Helper()
	s, err := b.LibraryState(t.Context())
	require.NoError(t, err)
	return s
}

func TestLibraryVersions(t *testing.T) {
	s := redistest.Start(t)
	b := open(t, s.URL(), redisbroker.Options{})
	require.Equal(t, redisbroker.LibraryMissing, state(t, b))
	require.NoError(t, b.Load(t.Context()))
	require.Equal(t, redisbroker.LibrarySame, state(t, b))
	require.NoError(t, b.Load(t.Context()))
	require.EqualValues(t, 1, b.Stats().LibraryLoads, "the same library was loaded again")

	table, err := namespace.NewTable(map[string]namespace.Options{"jobs": {MaxLen: 7}})
	require.NoError(t, err)
	other := open(t, s.URL(), redisbroker.Options{Namespaces: table})
	require.Equal(t, redisbroker.LibraryDifferent, state(t, other))
	require.NoError(t, other.Load(t.Context()))
	require.Equal(t, redisbroker.LibrarySame, state(t, other))
	require.Equal(t, redisbroker.LibraryDifferent, state(t, b))

	older := strings.Replace(b.Library(), "tallywire-version: 1", "tallywire-version: 0", 1)
	s.Do("FUNCTION", "LOAD", "REPLACE", older)
	require.Equal(t, redisbroker.LibraryOlder, state(t, b))
	require.NoError(t, b.Load(t.Context()))
	require.Equal(t, redisbroker.LibrarySame, state(t, b))

	newer := strings.Replace(b.Library(), "tallywire-version: 1", "tallywire-version: 99", 1)
	s.Do("FUNCTION", "LOAD", "REPLACE", newer)
	require.Equal(t, redisbroker.LibraryNewer, state(t, b))
	require.NoError(t, b.Load(t.Context()))
	require.Equal(t, redisbroker.LibraryNewer, state(t, b), "a newer library was replaced by an older one")
}

func TestLibraryRefusesOddPrefixes(t *testing.T) {
	s := redistest.Start(t)
	table, err := namespace.NewTable(map[string]namespace.Options{"a'] = nil --": {}})
	require.NoError(t, err)
	client := s.Admin()
	_, err = redisbroker.New(client, redisbroker.Options{Namespaces: table})
	require.ErrorContains(t, err, "prefix")
}

// A library that vanishes is loaded again by whoever meets it first; nothing is lost or doubled.
func TestFunctionFlush(t *testing.T) {
	s := redistest.Start(t)
	b := open(t, s.URL(), quick(t))
	sink := run(t, b)
	sink.UntilHealthy(t, true)
	for _, call := range []func() error{
		func() error {
			_, err := broker.PublishWait(t.Context(), b, broker.Publication{Channel: "jobs:1", Event: []byte(`{}`)})
			return err
		},
		func() error { _, err := b.Subscribe(t.Context(), "jobs:2"); return err },
		func() error { _, err := b.Read(t.Context(), "jobs:1", broker.ReadRequest{}); return err },
		func() error {
			return b.Bury(t.Context(), broker.DeadLetter{Channel: "jobs:1", Cursor: broker.Cursor{Offset: 2, Stamp: 3}})
		},
	} {
		s.Do("FUNCTION", "FLUSH")
		require.NoError(t, call())
	}
	p, err := b.Read(t.Context(), "jobs:1", broker.ReadRequest{})
	require.NoError(t, err)
	require.Len(t, p.Entries, 2)
	sink.UntilHealthy(t, true)
}
