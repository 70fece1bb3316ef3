package gateway_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/tallywire/tallywire/broker"
	"github.com/tallywire/tallywire/namespace"
)

// resets reads the answer to a subscribe whose cursor is not honoured.
func (f *feed) resets(reason string) (cursor, head broker.Cursor) {
	f.t.Helper()
	require.False(f.t, f.expect("subscribed").Resumed)
	return f.reset(reason)
}

// reset reads a reset.
func (f *feed) reset(reason string) (cursor, head broker.Cursor) {
	f.t.Helper()
	x := f.next()
	if _, polls := f.source.(*pollSource); polls && x.Type == "subscribed" && !x.Resumed {
		x = f.next() // between two polls: the next one was not resumed
	}
	require.Equal(f.t, "reset", x.Type, "%+v", x)
	require.Equal(f.t, reason, x.Reason)
	return *x.Cursor, *x.Head
}

func TestResetsATrimmedCursor(t *testing.T) {
	over(t, func(t *testing.T, by transport) {
		r := newRig(t, rigOptions{namespaces: map[string]namespace.Options{"jobs": {MaxLen: 10}}})
		first := r.publish("jobs:1", event(0))
		var last broker.Cursor
		for n := range 100 {
			last = r.publish("jobs:1", event(n+1))
		}
		f := by.read(r, "alice", nil, after("jobs:1", first))
		cursor, head := f.resets("trimmed")
		require.Equal(t, last.Offset-10, cursor.Offset)
		require.Equal(t, last, head)
		require.Equal(t, last, f.collect(10))
		// The cursor of a reset is itself good to resume from.
		f = by.read(r, "bob", nil, after("jobs:1", cursor))
		require.True(t, f.expect("subscribed").Resumed)
		f.collect(10)
		// A time before what is retained.
		f = by.read(r, "carol", nil, since("jobs:1", first.Time()))
		f.resets("trimmed")
		require.Equal(t, last, f.collect(10))
	})
}

func TestResetsACursorOfAnotherLineage(t *testing.T) {
	over(t, func(t *testing.T, by transport) {
		r := newRig(t, rigOptions{})
		var cursors []broker.Cursor
		for n := range 10 {
			cursors = append(cursors, r.publish("jobs:1", event(n)))
		}
		live := by.read(r, "alice", nil, after("jobs:1", cursors[8]))
		live.expect("subscribed")
		live.collect(1)
		r.store.ForTest().Fork("jobs:1", 3)
		fresh := r.publish("jobs:1", event(100))
		require.Equal(t, cursors[7].Offset, fresh.Offset)

		cursor, _ := live.reset("forked")
		require.Equal(t, cursors[6], cursor)
		require.Equal(t, fresh, live.collect(1))

		// One that comes back with a cursor of the lost tail, and one from the future.
		for _, lost := range []broker.Cursor{cursors[8], {Offset: 999, Stamp: cursors[9].Stamp}} {
			f := by.read(r, "carol", nil, after("jobs:1", lost))
			cursor, head := f.resets("forked")
			require.Equal(t, fresh, head)
			require.LessOrEqual(t, cursor.Offset, fresh.Offset)
			f.collect(int(fresh.Offset - cursor.Offset))
			f.close()
		}
		// One that had not come so far notices nothing.
		f := by.read(r, "dave", nil, after("jobs:1", cursors[5]))
		require.True(t, f.expect("subscribed").Resumed)
		require.Equal(t, fresh, f.collect(2))
	})
}

// A stream that is gone and has a successor: for those who read it, and for those who come back.
func TestResetsACursorOfAStreamThatIsGone(t *testing.T) {
	over(t, func(t *testing.T, by transport) {
		r := newRig(t, rigOptions{})
		live := by.read(r, "alice", nil, now("jobs:1"))
		live.expect("subscribed")
		old := r.publish("jobs:1", event(1))
		live.collect(1)
		r.store.ForTest().Delete("jobs:1")
		fresh := r.publish("jobs:1", event(2))
		live.reset("expired")
		require.Equal(t, fresh, live.collect(1))
		back := by.read(r, "carol", nil, after("jobs:1", old))
		back.resets("expired")
		require.Equal(t, fresh, back.collect(1))
	})
}

// One channel's loss is no other's.
func TestAResetIsOfItsChannelOnly(t *testing.T) {
	over(t, func(t *testing.T, by transport) {
		r := newRig(t, rigOptions{})
		lost, kept := r.publish("jobs:1", event(1)), r.publish("jobs:2", event(1))
		r.store.ForTest().Fork("jobs:1", 1)
		fresh := r.publish("jobs:1", event(2))
		next := r.publish("jobs:2", event(2))
		f := by.read(r, "alice", nil, after("jobs:1", lost), after("jobs:2", kept))
		resets := 0
		for f.at["jobs:1"] != fresh || f.at["jobs:2"] != next {
			if x := f.next(); x.Type == "reset" {
				require.Equal(t, "jobs:1", x.Channel)
				resets++
			}
		}
		require.Equal(t, 1, resets)
	})
}
