package logs_test

import (
	"bytes"
	"io"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/rs/zerolog"
	"github.com/stretchr/testify/require"

	"github.com/tallywire/tallywire/cmd/tallywire/internal/logs"
)

// TestSwitch: another level holds for a time, for every logger that comes from the first.
func TestSwitch(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var out bytes.Buffer
		log, level := logs.New(&out, zerolog.WarnLevel)
		part := log.With().Str("part", "x").Logger()
		says := func() string {
			out.Reset()
			part.Debug().Msg("d")
			part.Info().Msg("i")
			part.WithLevel(zerolog.InfoLevel).Msg("w")
			part.Warn().Msg("w")
			part.Error().Msg("e")
			var levels []string
			for line := range strings.Lines(out.String()) {
				levels = append(levels, strings.SplitN(line, `"`, 5)[3])
			}
			return strings.Join(levels, " ")
		}
		require.Equal(t, "warn error", says())
		until := level.Set(zerolog.DebugLevel, time.Minute)
		require.Equal(t, time.Minute, time.Until(until))
		require.Equal(t, "debug info info warn error", says())
		time.Sleep(59 * time.Second)
		level.Set(zerolog.ErrorLevel, 2*time.Second)
		require.Equal(t, "error", says())
		time.Sleep(2 * time.Second)
		require.Equal(t, "warn error", says(), "the settings' level holds again")
		require.Equal(t, zerolog.WarnLevel, level.Level())
	})
}

// TestSilenceIsCheap: a line below the level is not made.
func TestSilenceIsCheap(t *testing.T) {
	log, _ := logs.New(io.Discard, zerolog.InfoLevel)
	require.Zero(t, testing.AllocsPerRun(100, func() { log.Debug().Str("event", "x").Msg("nothing") }))
}
