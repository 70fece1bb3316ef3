package relay

import (
	"encoding/json"
	"testing"
	"testing/synctest"

	"github.com/stretchr/testify/require"

	"github.com/tallywire/tallywire/broker"
	"github.com/tallywire/tallywire/namespace"
)

// cursorsOf returns the cursors of a batch's events.
func cursorsOf(b Batch, t require.TestingT) (cursors []broker.Cursor) {
	if b.Message == nil {
		return nil
	}
	var frames []frame
	require.NoError(t, json.Unmarshal(b.Message, &frames))
	for _, f := range frames {
		if f.Type == "event" {
			cursors = append(cursors, f.Cursor)
		}
	}
	return cursors
}

// A batch that is used again says whether there is more now, not whether there was more then: its
// reader has been woken already, and nobody would wake it again.
func TestCachedBatchSaysWhatIsNew(t *testing.T) {
	bubble(t, namespace.Options{}, func(r *rig) {
		cursors := r.publish(50)
		x := r.open()
		pos := at(x, cursors[40])
		page, _, err := r.fetch(x, pos)
		require.NoError(r, err)
		first := x.Pull(pos, page, 1<<16)
		require.Equal(r, cursors[41:], cursorsOf(first, r))
		require.False(r, first.More)
		r.publish(1)
		r.hub.Signal(channel, []byte(`{"type":"typing"}`))
		second := x.Pull(pos, page, 1<<16)
		require.Equal(r, &first.Message[0], &second.Message[0], "encoded once")
		require.True(r, second.More)
		last := x.Pull(second.Next, nil, 1<<16)
		require.Len(r, cursorsOf(last, r), 1)
		require.Contains(r, string(last.Message), "typing")
		require.False(r, last.More)
	})
}

// What was encoded before a cut is not used after it.
func TestCachedBatchesEndWithTheirLineage(t *testing.T) {
	bubble(t, namespace.Options{}, func(r *rig) {
		x := r.open()
		cursors := r.publish(10)
		pos := at(x, cursors[2])
		lost := x.Pull(pos, nil, 300) // cut off by its size, and so right for as long as its lineage is
		require.Equal(r, cursors[3], cursorsOf(lost, r)[0])
		require.True(r, lost.More)
		r.store.ForTest().Fork(channel, 7)
		fresh := r.publish(10)
		synctest.Wait()
		for _, from := range []Position{pos, at(x, cursors[2])} {
			b := x.Pull(from, nil, 300)
			require.Nil(r, b.Reset)
			require.Equal(r, fresh[0], cursorsOf(b, r)[0])
		}
	})
}
