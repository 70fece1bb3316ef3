package broker_test

import (
	"encoding/json"
	"math"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/tallywire/tallywire/broker"
)

func TestParseCursor(t *testing.T) {
	for _, c := range []struct {
		text string
		want broker.Cursor
	}{
		{"0", broker.Cursor{}},
		{"0-0", broker.Cursor{}},
		{"1-1732441234567890", broker.Cursor{Offset: 1, Stamp: 1732441234567890}},
		{"42-7", broker.Cursor{Offset: 42, Stamp: 7}},
		{"18446744073709551615-18446744073709551615", broker.Cursor{Offset: math.MaxUint64, Stamp: math.MaxUint64}},
	} {
		got, err := broker.ParseCursor(c.text)
		require.NoError(t, err, c.text)
		require.Equal(t, c.want, got, c.text)
	}
	for _, text := range []string{
		"", "-", "1", "1-", "-1", "00", "0-1", "1-0", "01-2", "1-02", "+1-2", "1-+2", "-1-2", "1--2", "1-2-3",
		" 1-2", "1-2 ", "1-2\n", "1_0-2", "0x1-2", "1.0-2", "1e3-2", "a-b", "$", "*", ">",
		"18446744073709551616-1", "1-18446744073709551616", "000000000000000000000000000000000000000001-1",
	} {
		_, err := broker.ParseCursor(text)
		require.ErrorIs(t, err, broker.ErrInvalidCursor, "%q", text)
	}
}

func TestCursorIsAlsoATime(t *testing.T) {
	at := time.Date(2026, 11, 24, 10, 0, 0, 123456000, time.UTC)
	c := broker.Cursor{Offset: 9, Stamp: uint64(at.UnixMicro())}
	require.True(t, at.Equal(c.Time()))
	require.False(t, c.IsZero())
	require.True(t, broker.Cursor{}.IsZero())
}

func TestEntryBefore(t *testing.T) {
	genesis := broker.Entry{Cursor: broker.Cursor{Offset: 1, Stamp: 5}}
	require.True(t, genesis.Genesis())
	require.True(t, genesis.Before().IsZero())
	next := broker.Entry{Cursor: broker.Cursor{Offset: 2, Stamp: 9}, Prev: 5, Event: []byte(`{}`)}
	require.False(t, next.Genesis())
	require.Equal(t, genesis.Cursor, next.Before())
}

func drawCursor(t *rapid.T) broker.Cursor {
	if rapid.IntRange(0, 9).Draw(t, "zero") == 0 {
		return broker.Cursor{}
	}
	return broker.Cursor{
		Offset: rapid.Uint64Range(1, math.MaxUint64).Draw(t, "offset"),
		Stamp:  rapid.Uint64Range(1, math.MaxUint64).Draw(t, "stamp"),
	}
}

func TestCursorRoundTrip(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		c := drawCursor(t)
		got, err := broker.ParseCursor(c.String())
		require.NoError(t, err)
		require.Equal(t, c, got)
		require.Equal(t, "x"+c.String(), string(c.Append([]byte("x"))))

		text, err := json.Marshal(map[string]broker.Cursor{"cursor": c})
		require.NoError(t, err)
		var back map[string]broker.Cursor
		require.NoError(t, json.Unmarshal(text, &back))
		require.Equal(t, c, back["cursor"])
	})
	var c broker.Cursor
	require.ErrorIs(t, json.Unmarshal([]byte(`"1-x"`), &c), broker.ErrInvalidCursor)
}

// Whatever is accepted has exactly one text, so that cursors may be compared as texts.
func FuzzParseCursor(f *testing.F) {
	for _, s := range []string{"0", "0-0", "1-1", "42-1732441234567890", "01-1", "1-", "-", "1-18446744073709551616"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		c, err := broker.ParseCursor(s)
		if err != nil {
			require.ErrorIs(t, err, broker.ErrInvalidCursor)
			require.True(t, c.IsZero())
			return
		}
		if s != "0" {
			require.Equal(t, s, c.String())
		}
		require.Equal(t, c.Offset == 0, c.Stamp == 0)
	})
}
