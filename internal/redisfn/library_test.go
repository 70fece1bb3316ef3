package redisfn_test

import (
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/tallywire/tallywire/internal/redisfn"
	"github.com/tallywire/tallywire/internal/redistest"
)

const source = `#!lua name=sample
-- tallywire-version: 3
redis.register_function('sample', function() return 1 end)
`

func TestVersionOf(t *testing.T) {
	require.Equal(t, 3, redisfn.VersionOf(source))
	require.Zero(t, redisfn.VersionOf("-- tallywire-version: x"))
	require.Zero(t, redisfn.VersionOf("-- tallywire-version: 99999999999999999999"))
}

func TestCompare(t *testing.T) {
	for theirs, want := range map[string]redisfn.State{
		"": redisfn.Missing, source: redisfn.Same, source + "-- edited\n": redisfn.Different,
		"-- tallywire-version: 2": redisfn.Older, "-- tallywire-version: 4": redisfn.Newer, "no version": redisfn.Older,
	} {
		require.Equal(t, want, redisfn.Compare(source, theirs), theirs)
	}
}

// However many ask at once, one loads; a library that is gone is loaded by whoever meets it.
func TestEnsure(t *testing.T) {
	s := redistest.Start(t)
	l := redisfn.New(s.Admin(), "sample", source, time.Second)
	var wg sync.WaitGroup
	for range 8 {
		wg.Go(func() {
			if err := l.Ensure(t.Context(), false); err != nil {
				t.Errorf("ensure: %v", err)
			}
		})
	}
	wg.Wait()
	require.EqualValues(t, 1, l.Loads())
	require.EqualValues(t, 1, s.Do("FCALL", "sample", 0))
	s.Do("FUNCTION", "FLUSH")
	_, err := s.Admin().Do(t.Context(), "FCALL", "sample", 0).Result()
	require.True(t, redisfn.NotFound(err), "%v", err)
	require.NoError(t, l.Ensure(t.Context(), false))
	require.EqualValues(t, 2, l.Loads())

	edited := redisfn.New(s.Admin(), "sample", source+"-- edited\n", time.Second)
	require.NoError(t, edited.Ensure(t.Context(), false))
	require.Zero(t, edited.Loads(), "another text of the same version was replaced unasked")
	require.NoError(t, edited.Ensure(t.Context(), true))
	require.EqualValues(t, 1, edited.Loads())

	s.Kill()
	require.Error(t, l.Ensure(t.Context(), false))
}
