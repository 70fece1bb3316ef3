package gateway

import (
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/tallywire/tallywire/broker"
)

// placesAt returns places of channels with the cursors that are known.
func placesAt(cursors map[string]*broker.Cursor) []place {
	var out []place
	for channel, c := range cursors {
		p := place{channel: channel}
		if c != nil {
			p.cursor, p.known = *c, true
		}
		out = append(out, p)
	}
	sortPlaces(out)
	return out
}

// blank returns the places without their cursors.
func blank(places []place) []place {
	out := make([]place, len(places))
	for i := range places {
		out[i].channel = places[i].channel
	}
	return out
}

func TestCompositeIsWhatItSays(t *testing.T) {
	t.Parallel()
	cursor := rapid.Custom(func(t *rapid.T) *broker.Cursor {
		switch rapid.IntRange(0, 3).Draw(t, "kind") {
		case 0:
			return nil
		case 1:
			return &broker.Cursor{}
		default:
			return &broker.Cursor{
				Offset: rapid.Uint64Range(1, math.MaxUint64-1).Draw(t, "offset"),
				Stamp:  rapid.Uint64Range(1, math.MaxInt64).Draw(t, "stamp"),
			}
		}
	})
	rapid.Check(t, func(t *rapid.T) {
		channels := rapid.MapOfN(rapid.StringMatching(`[a-z]{1,3}:[0-9]{1,2}`), cursor, 1, 40).Draw(t, "channels")
		places := placesAt(channels)
		composite := string(appendCursors(nil, places))
		got := blank(places)
		require.NoError(t, parseCursors(composite, got))
		require.Equal(t, places, got)
		// Of other channels it is not.
		other := blank(places)
		other[len(other)-1].channel += "x"
		require.ErrorIs(t, parseCursors(composite, other), errCursors)
		require.ErrorIs(t, parseCursors(composite, other[:len(other)-1]), errCursors)
		// Nor is anything that is cut off it.
		for range 5 {
			cut := composite[:rapid.IntRange(0, len(composite)-1).Draw(t, "cut")]
			require.ErrorIs(t, parseCursors(cut, blank(places)), errCursors)
		}
	})
}

// A composite of 200 channels fits into a header and a URL of the usual proxies.
func TestCompositeIsShort(t *testing.T) {
	t.Parallel()
	random := rand.New(rand.NewPCG(1, 2))
	cursors := map[string]*broker.Cursor{}
	for i := range 200 {
		stamp := uint64(1_795_000_000_000_000) + random.Uint64N(86_400_000_000) // of one day
		cursors[fmt.Sprintf("matches:%d", i)] = &broker.Cursor{Offset: random.Uint64N(100_000), Stamp: stamp}
	}
	require.Less(t, len(appendCursors(nil, placesAt(cursors))), 3000)
}

func FuzzParseCursors(f *testing.F) {
	channels := []place{{channel: "a:1"}, {channel: "b:2"}, {channel: "c:3"}}
	f.Add(string(appendCursors(nil, channels)))
	known := slices.Clone(channels)
	for i := range known {
		known[i].known = true
		known[i].cursor = broker.Cursor{Offset: uint64(i), Stamp: uint64(i) * 1_795_000_000_000_000}
	}
	f.Add(string(appendCursors(nil, known)))
	f.Add("")
	f.Add("AQ")
	f.Fuzz(func(t *testing.T, s string) {
		got := slices.Clone(channels)
		if parseCursors(s, got) != nil {
			return
		}
		// What is taken is cursors, and says the same again.
		for _, p := range got {
			if p.known {
				c, err := broker.ParseCursor(p.cursor.String())
				require.NoError(t, err)
				require.Equal(t, p.cursor, c)
			}
		}
		again := slices.Clone(channels)
		require.NoError(t, parseCursors(string(appendCursors(nil, got)), again))
		require.Equal(t, got, again)
	})
}
