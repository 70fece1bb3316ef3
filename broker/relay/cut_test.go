package relay

import (
	"testing"
	"testing/synctest"

	"github.com/stretchr/testify/require"

	"github.com/tallywire/tallywire/broker"
	"github.com/tallywire/tallywire/namespace"
)

// A reader that slept through several cuts is sent where all of them together lead.
func TestResetLeadsThroughAllCuts(t *testing.T) {
	c := func(offset, stamp uint64) broker.Cursor { return broker.Cursor{Offset: offset, Stamp: stamp} }
	forked := func(to broker.Cursor) lineage { return lineage{reason: broker.Forked, shared: to} }
	trimmed := func(to broker.Cursor) lineage { return lineage{reason: broker.Trimmed, shared: to} }
	expired := func(to broker.Cursor) lineage { return lineage{reason: broker.Expired, shared: to} }
	for _, tc := range []struct {
		name string
		at   broker.Cursor
		cuts []lineage
		want broker.Cursor // zero for none
	}{
		{"none concerned", c(5, 5), []lineage{forked(c(7, 7)), trimmed(c(4, 4)), forked(c(5, 5))}, broker.Cursor{}},
		{"second concerned", c(5, 5), []lineage{forked(c(7, 7)), forked(c(3, 3))}, c(3, 3)},
		{"further back", c(9, 9), []lineage{forked(c(7, 7)), forked(c(3, 3)), forked(c(4, 40))}, c(3, 3)},
		{"back, then the stream is gone", c(9, 9), []lineage{forked(c(7, 7)), expired(c(1, 100))}, c(1, 100)},
		{"back, then trimmed", c(9, 9), []lineage{forked(c(7, 7)), trimmed(c(20, 20))}, c(20, 20)},
		{"gone twice", c(9, 9), []lineage{expired(c(50, 50)), expired(c(1, 100))}, c(1, 100)},
		{"trimmed, then back", c(9, 9), []lineage{trimmed(c(20, 20)), forked(c(15, 15))}, c(15, 15)},
	} {
		t.Run(tc.name, func(t *testing.T) {
			r := &Relay{hub: NewHub(nil, Options{})}
			r.log.open(c(60, 600))
			for _, cut := range tc.cuts {
				r.lineage++
				cut.number = r.lineage
				r.cuts = append(r.cuts, cut)
			}
			b := r.Pull(Position{Cursor: tc.at}, nil, 1000)
			if tc.want.IsZero() {
				require.Nil(t, b.Reset)
				require.Equal(t, r.lineage, b.Next.lineage)
				return
			}
			require.NotNil(t, b.Reset)
			require.Equal(t, tc.want, b.Reset.Cursor)
			require.Equal(t, Position{Cursor: tc.want, lineage: r.lineage}, b.Next)
		})
	}
}

// A reader that slept through more cuts than the relay remembers is checked against the stream.
func TestMoreCutsThanRemembered(t *testing.T) {
	bubble(t, namespace.Options{}, func(r *rig) {
		x := r.open()
		cursors := r.publish(10)
		kept, lost := at(x, cursors[3]), at(x, cursors[8])
		for range maxLineages + 1 {
			r.store.ForTest().Fork(channel, 2)
			r.publish(2)
			synctest.Wait()
		}
		head, _ := r.stream()
		require.Equal(r, head.Cursor, x.Head())
		require.EqualValues(r, maxLineages+1, r.hub.Counters().Cuts.Load())
		b := x.Pull(kept, nil, 1000)
		require.True(r, b.Behind)
		require.Equal(r, cursors[4:8], cursorsOf(x.Pull(b.Next, nil, 1<<20), r)[:4])
		b = x.Pull(lost, nil, 1000)
		require.True(r, b.Behind)
		_, reset, err := r.fetch(x, b.Next)
		require.NoError(r, err)
		require.Equal(r, broker.Forked, reset.Reason)
		require.LessOrEqual(r, reset.Cursor.Offset, cursors[7].Offset)
	})
}

// A reset takes no signals from a reader.
func TestResetKeepsSignals(t *testing.T) {
	bubble(t, namespace.Options{}, func(r *rig) {
		x := r.open()
		cursors := r.publish(3)
		pos := at(x, cursors[2])
		r.hub.Signal(channel, []byte(`{"type":"typing"}`))
		r.store.ForTest().Fork(channel, 1)
		r.publish(1)
		synctest.Wait()
		b := x.Pull(pos, nil, 1000)
		require.NotNil(r, b.Reset)
		b = x.Pull(b.Next, nil, 1000)
		require.Contains(r, string(b.Message), `"typing"`)
	})
}

// A reader that stands ahead of the relay, on an entry that the stream then lost unseen, is told.
func TestAheadOfTheRelayWhenTheStreamForks(t *testing.T) {
	bubble(t, namespace.Options{}, func(r *rig) {
		x := r.open()
		cursors := r.publish(3)
		f := r.store.ForTest()
		f.Drop(channel, 2)
		ahead := at(x, r.publish(2)[1])
		b := x.Pull(ahead, nil, 1000)
		require.True(r, b.Behind)
		_, reset, err := r.fetch(x, ahead)
		require.Nil(r, reset)
		require.ErrorIs(r, err, ErrRetry, "it waits for the relay, which has been told to look")
		synctest.Wait()
		require.Equal(r, ahead.Cursor, x.Head())

		f.Drop(channel, 2)
		ahead = at(x, r.publish(2)[1])
		f.Fork(channel, 2)
		fresh := r.publish(1)[0]
		require.Equal(r, fresh, x.Head(), "the relay has not seen what was lost")
		b = x.Pull(ahead, nil, 1000)
		require.True(r, b.Behind)
		_, reset, err = r.fetch(x, ahead)
		require.NoError(r, err)
		require.Equal(r, broker.Forked, reset.Reason)
		require.Equal(r, fresh.Offset-1, reset.Cursor.Offset)
		require.Greater(r, reset.Cursor.Offset, cursors[2].Offset)
	})
}

// A page from before a cut, which a reader has not come to the end of, is not used after it.
func TestPagesEndWithTheirLineage(t *testing.T) {
	bubble(t, namespace.Options{}, func(r *rig) {
		x := r.open()
		cursors := r.publish(20)
		pos := at(x, cursors[2])
		page, _, err := r.fetch(x, pos)
		require.NoError(r, err)
		r.store.ForTest().Fork(channel, 15)
		fresh := r.publish(20)
		synctest.Wait()
		b := x.Pull(pos, page, 1000)
		require.Nil(r, b.Reset, "it has not stood on what was lost")
		require.True(r, b.Behind)
		page, _, err = r.fetch(x, b.Next)
		require.NoError(r, err)
		require.Equal(r, append(cursors[3:5:5], fresh[:3]...), cursorsOf(x.Pull(b.Next, page, 1<<16), r)[:5])
	}, small)
}
