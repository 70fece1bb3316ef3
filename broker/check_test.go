package broker_test

import (
	"fmt"
	"testing"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/tallywire/tallywire/broker"
)

// at makes cursors of a log whose entry n has the stamp 100·n, as lineage 0 wrote it; another lineage
// wrote its entries later.
func at(offset, lineage uint64) broker.Cursor {
	return broker.Cursor{Offset: offset, Stamp: 100*offset + lineage}
}

// page returns the entries from..to of a log that retains first..head, all of one lineage.
func page(first, head, from, to uint64) broker.Page {
	p := broker.Page{Head: broker.Head{Cursor: at(head, 0), First: at(first, 0), Exists: true}}
	if first > 1 {
		p.FirstPrev = at(first-1, 0).Stamp
	}
	for o := max(from, first); o <= min(to, head); o++ {
		e := broker.Entry{Cursor: at(o, 0)}
		if o > 1 {
			e.Prev, e.Event = at(o-1, 0).Stamp, []byte(`{}`)
		}
		p.Entries = append(p.Entries, e)
	}
	return p
}

func TestCheck(t *testing.T) {
	emptied := broker.Page{Head: broker.Head{Cursor: at(9, 0), Exists: true}}
	young := page(1, 5, 1, 5)
	for _, c := range []struct {
		name   string
		page   broker.Page
		cursor broker.Cursor
		want   broker.Verdict
	}{
		{"no stream", broker.Page{}, at(3, 0), broker.Expired},
		{"no stream, from the start", broker.Page{}, broker.Cursor{}, broker.Expired},
		{"the head", page(1, 9, 10, 10), at(9, 0), broker.Valid},
		{"the head of another lineage", page(1, 9, 10, 10), at(9, 1), broker.Forked},
		{"from the future", page(1, 9, 10, 10), at(10, 0), broker.Forked},
		{"far from the future", page(1, 9, 10, 10), at(1000, 0), broker.Forked},
		{"from the start", page(1, 9, 1, 9), broker.Cursor{}, broker.Valid},
		{"from the start, trimmed", page(2, 9, 1, 9), broker.Cursor{}, broker.Trimmed},
		{"the genesis", page(1, 9, 2, 9), at(1, 0), broker.Valid},
		{"the genesis, just trimmed", page(2, 9, 2, 9), at(1, 0), broker.Valid},
		{"the genesis of another stream, just trimmed", page(2, 9, 2, 9), at(1, 1), broker.Forked},
		{"before the first retained", page(5, 9, 5, 9), at(4, 0), broker.Valid},
		{"before the first retained, another lineage", page(5, 9, 5, 9), at(4, 1), broker.Forked},
		{"two before the first retained", page(5, 9, 4, 9), at(3, 0), broker.Trimmed},
		{"two before, another lineage", page(5, 9, 4, 9), at(3, 1), broker.Trimmed},
		{"the first retained", page(5, 9, 6, 9), at(5, 0), broker.Valid},
		{"inside, entry after it read", page(1, 9, 7, 9), at(6, 0), broker.Valid},
		{"inside, entry after it read, forked", page(1, 9, 7, 9), at(6, 1), broker.Forked},
		{"inside, entry itself read", page(1, 9, 2, 6), at(6, 0), broker.Valid},
		{"inside, entry itself read, forked", page(1, 9, 2, 6), at(6, 1), broker.Forked},
		{"inside, not read", page(1, 9, 2, 4), at(6, 0), broker.Unknown},
		{"inside, nothing read", page(1, 9, 10, 10), at(6, 0), broker.Unknown},
		{"the stream is younger", young, broker.Cursor{Offset: 3, Stamp: 99}, broker.Expired},
		{"the stream is younger, beyond its head", young, broker.Cursor{Offset: 30, Stamp: 99}, broker.Expired},
		{"emptied, the head", emptied, at(9, 0), broker.Valid},
		{"emptied, older", emptied, at(8, 0), broker.Trimmed},
		{"emptied, from the start", emptied, broker.Cursor{}, broker.Trimmed},
		{"emptied, from the future", emptied, at(10, 0), broker.Forked},
		{"emptied, another head", emptied, at(9, 1), broker.Forked},
	} {
		t.Run(c.name, func(t *testing.T) {
			require.Equal(t, c.want.String(), c.page.Check(c.cursor).String())
		})
	}
}

func TestVerdictsAreReasons(t *testing.T) {
	for v, want := range map[broker.Verdict]string{
		broker.Valid: "valid", broker.Trimmed: "trimmed", broker.Forked: "forked", broker.Expired: "expired",
		broker.Unknown: "unknown", broker.Verdict(99): "unknown",
	} {
		require.Equal(t, want, v.String())
	}
}

func TestOldest(t *testing.T) {
	require.Equal(t, broker.Cursor{}, page(1, 9, 1, 0).Oldest())
	require.Equal(t, at(1, 0), page(2, 9, 1, 0).Oldest())
	require.Equal(t, at(8, 0), page(9, 9, 1, 0).Oldest())
	require.Equal(t, at(9, 0), broker.Head{Cursor: at(9, 0), Exists: true}.Oldest())
	require.Equal(t, broker.Cursor{}, broker.Head{}.Oldest())
}

// For any log, any retention, any fork and any page read after the cursor, Check says what the log's
// whole history says.
func TestCheckKnowsTheHistory(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		head := rapid.Uint64Range(1, 30).Draw(t, "head")
		first := rapid.Uint64Range(1, head).Draw(t, "first")
		limit := rapid.Uint64Range(1, 12).Draw(t, "limit")
		c := at(rapid.Uint64Range(1, 40).Draw(t, "offset"), rapid.Uint64Range(0, 1).Draw(t, "lineage"))
		if rapid.IntRange(0, 9).Draw(t, "zero") == 0 {
			c = broker.Cursor{}
		}
		p := page(first, head, c.Offset+1, c.Offset+limit)
		ours := c == at(c.Offset, 0) && c.Offset <= head
		want := broker.Valid
		switch {
		case c.Offset+1 < first:
			want = broker.Trimmed
		case !ours && !c.IsZero():
			want = broker.Forked
		}
		got := p.Check(c)
		require.Equal(t, want.String(), got.String(), fmt.Sprint(c))
		if got == broker.Valid && len(p.Entries) > 0 && c != p.Cursor {
			require.Equal(t, c, p.Entries[0].Before(), "what follows a valid cursor is chained to it")
		}
		require.Equal(t, broker.Valid, p.Check(p.Cursor))
		require.Equal(t, broker.Valid, p.Check(p.Oldest()), "a reset never leads to another reset")
	})
}

func TestReadRequestDefaults(t *testing.T) {
	require.Equal(t, broker.ReadRequest{Limit: broker.DefaultReadLimit, MaxBytes: broker.DefaultReadBytes},
		broker.ReadRequest{}.WithDefaults())
	r := broker.ReadRequest{From: 1, Since: 2, Before: 3, Limit: 4, MaxBytes: 5}
	require.Equal(t, r, r.WithDefaults())
	require.Equal(t, broker.MaxReadLimit, broker.ReadRequest{Limit: 1 << 20}.WithDefaults().Limit)
	require.Equal(t, broker.DefaultReadLimit, broker.ReadRequest{Limit: -1}.WithDefaults().Limit)
	require.Equal(t, broker.DefaultReadBytes, broker.ReadRequest{MaxBytes: -1}.WithDefaults().MaxBytes)
}
