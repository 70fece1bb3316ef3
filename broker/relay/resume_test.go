package relay

import (
	"context"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/tallywire/tallywire/broker"
	"github.com/tallywire/tallywire/namespace"
)

// Rewinding to a moment gives what was published after it, to the microsecond.
func TestRewind(t *testing.T) {
	bubble(t, namespace.Options{TTL: time.Hour}, func(r *rig) {
		x := r.open()
		genesis := x.Head()
		time.Sleep(time.Minute) // the bubble's clock
		cursors := r.publish(20)
		rewind := func(to time.Time, reset *Reset, want broker.Cursor) {
			r.Helper()
			pos, got, err := x.Rewind(r.Context(), to)
			require.NoError(r, err)
			require.Equal(r, reset, got)
			require.Equal(r, want, pos.Cursor)
		}
		last := cursors[19]
		us := time.Microsecond
		rewind(last.Time(), nil, last)
		rewind(last.Time().Add(us), nil, last)
		rewind(last.Time().Add(-us), nil, cursors[18])
		rewind(cursors[7].Time(), nil, cursors[7])
		rewind(genesis.Time(), nil, genesis)
		rewind(genesis.Time().Add(time.Second), nil, genesis)
		// Before the stream: nothing can have been lost, for an older stream would still be retained.
		rewind(genesis.Time().Add(-us), nil, broker.Cursor{})
		rewind(genesis.Time().Add(-time.Hour+2*time.Minute), nil, broker.Cursor{})
		// Unless the moment is further back than anything is retained.
		expired := &Reset{Reason: broker.Expired, Cursor: genesis, Head: last}
		rewind(genesis.Time().Add(-time.Hour), expired, genesis)
		rewind(time.Unix(-5, 0), expired, genesis)

		head := r.store.ForTest().Trim(channel, 10)
		trimmed := &Reset{Reason: broker.Trimmed, Cursor: cursors[9], Head: last}
		require.Equal(r, cursors[10], head.First)
		rewind(cursors[9].Time(), nil, cursors[9])
		rewind(cursors[9].Time().Add(-us), trimmed, cursors[9])
		rewind(cursors[2].Time(), trimmed, cursors[9])
		r.store.ForTest().Trim(channel, 0)
		rewind(last.Time(), nil, last)
		rewind(last.Time().Add(-us), &Reset{Reason: broker.Trimmed, Cursor: last, Head: last}, last)

		r.store.ForTest().Delete(channel)
		_, _, err := x.Rewind(r.Context(), last.Time())
		require.ErrorIs(r, err, ErrRetry)
		synctest.Wait()
		head, _ = r.stream()
		rewind(head.Cursor.Time(), nil, head.Cursor)
	})
}

// A cursor of the stream's that the relay's stale log cannot know waits for the repair, and is then good.
func TestResumeAtAStaleRelay(t *testing.T) {
	bubble(t, namespace.Options{}, func(r *rig) {
		x := r.open()
		r.publish(5)
		f := r.store.ForTest()
		f.Fork(channel, 3)
		f.Drop(channel, 3)
		fresh := r.publish(3)
		for _, c := range fresh[1:] {
			pos, reset, err := x.Resume(r.Context(), c)
			if err != nil {
				require.ErrorIs(r, err, ErrRetry)
				synctest.Wait()
				pos, reset, err = x.Resume(r.Context(), c)
			}
			require.NoError(r, err)
			require.Nil(r, reset)
			require.Nil(r, x.Pull(pos, nil, 1000).Reset, "its cursor is good")
		}
	})
}

// paged answers reads from a stream that it is given, whatever its stamps.
type paged struct {
	broker.Broker
	entries []broker.Entry
}

func (p *paged) Read(_ context.Context, _ string, r broker.ReadRequest) (broker.Page, error) {
	last, first := p.entries[len(p.entries)-1], p.entries[0]
	page := broker.Page{Head: broker.Head{Cursor: last.Cursor, First: first.Cursor, FirstPrev: first.Prev, Exists: true}}
	r = r.WithDefaults()
	for _, e := range p.entries {
		switch {
		case r.Before != 0 && e.Cursor.Offset < r.Before, r.Before == 0 && r.Since != 0 && e.Cursor.Stamp > r.Since,
			r.Before == 0 && r.Since == 0 && e.Cursor.Offset >= r.From:
			page.Entries = append(page.Entries, e)
		}
	}
	if n := len(page.Entries) - r.Limit; n > 0 && r.Before != 0 {
		page.Entries = page.Entries[n:]
	}
	page.Entries = page.Entries[:min(len(page.Entries), r.Limit)]
	return page, nil
}

// Where lineages part is found by their stamps. A new primary whose clock is behind gives stamps that do
// not tell; then the reader is sent no further than to the entry before its own.
func TestLastShared(t *testing.T) {
	chain := func(stamps ...uint64) (entries []broker.Entry) {
		prev := uint64(0)
		for i, s := range stamps {
			e := broker.Entry{Cursor: broker.Cursor{Offset: uint64(i + 1), Stamp: s}, Prev: prev}
			if i > 0 {
				e.Event = []byte(`{"type":"t"}`)
			}
			entries, prev = append(entries, e), s
		}
		return entries
	}
	for _, tc := range []struct {
		name   string
		stream []broker.Entry
		lost   broker.Cursor
		want   uint64 // offset
	}{
		{"later stamps", chain(10, 20, 30, 100, 110, 120), broker.Cursor{Offset: 5, Stamp: 50}, 3},
		{"nothing since", chain(10, 20, 30), broker.Cursor{Offset: 5, Stamp: 50}, 3},
		{"from the future", chain(10, 20, 30), broker.Cursor{Offset: 99, Stamp: 990}, 3},
		{"clock behind, reader's offset overtaken", chain(10, 20, 30, 31, 32, 33, 34), broker.Cursor{Offset: 5, Stamp: 50}, 4},
		{"clock behind, reader's offset not reached", chain(10, 20, 30, 31), broker.Cursor{Offset: 5, Stamp: 50}, 4},
		{"all that is retained is foreign", chain(10, 20, 30, 100, 110, 120)[4:], broker.Cursor{Offset: 5, Stamp: 50}, 4},
		{"trimmed beyond the reader", chain(10, 20, 30, 100, 110, 120, 130)[6:], broker.Cursor{Offset: 5, Stamp: 50}, 6},
	} {
		t.Run(tc.name, func(t *testing.T) {
			r := &Relay{hub: NewHub(&paged{entries: tc.stream}, Options{})}
			to, head, err := r.lastShared(t.Context(), tc.lost)
			require.NoError(t, err)
			require.Equal(t, tc.stream[len(tc.stream)-1].Cursor, head.Cursor)
			require.Equal(t, tc.want, to.Offset)
			page, err := r.hub.read(t.Context(), "", broker.ReadRequest{From: to.Offset + 1})
			require.NoError(t, err)
			require.Equal(t, broker.Valid, page.Check(to), "%s", to)
		})
	}
}
