package membroker_test

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/tallywire/tallywire/broker"
	"github.com/tallywire/tallywire/broker/membroker"
)

func TestDoorbellFaults(t *testing.T) {
	store := membroker.NewStore(membroker.Options{})
	faults := store.ForTest()
	n := run(t, store.Broker())
	n.subscribe(t, "jobs:1")
	heard := func(count int) []broker.Cursor {
		got := cursors(n.Entries("jobs:1"))
		return got[len(got)-count:]
	}

	faults.Drop("jobs:1", 2)
	c := n.fill(t, "jobs:1", 3)
	require.Equal(t, c[2:], cursors(n.Entries("jobs:1")), "the first two are lost")

	faults.Duplicate("jobs:1", 1)
	c = n.fill(t, "jobs:1", 2)
	require.Equal(t, []broker.Cursor{c[0], c[0], c[1]}, heard(3))

	faults.Reorder("jobs:1", 3)
	c = n.fill(t, "jobs:1", 2)
	require.Len(t, n.Entries("jobs:1"), 4, "held back until the third")
	c = append(c, n.fill(t, "jobs:1", 2)...)
	require.Equal(t, []broker.Cursor{c[2], c[1], c[0], c[3]}, heard(4))

	page, err := n.Read(t.Context(), "jobs:1", broker.ReadRequest{From: 2})
	require.NoError(t, err)
	require.Len(t, page.Entries, 9, "the log has everything")
}

func TestForkTakesBackWhatWasRemembered(t *testing.T) {
	store := membroker.NewStore(membroker.Options{})
	n := run(t, store.Broker())
	kept := n.publish(t, broker.Publication{Channel: "jobs:1", ID: "w/1"})
	lost := n.publish(t, broker.Publication{Channel: "jobs:1", ID: "w/2"})
	h := store.ForTest().Fork("jobs:1", 1)
	require.Equal(t, kept.Cursor, h.Cursor)

	require.True(t, n.publish(t, broker.Publication{Channel: "jobs:1", ID: "w/1"}).Duplicate)
	again := n.publish(t, broker.Publication{Channel: "jobs:1", ID: "w/2"})
	require.False(t, again.Duplicate, "the first was lost with its entry")
	require.Equal(t, lost.Cursor.Offset, again.Cursor.Offset)
	require.Greater(t, again.Cursor.Stamp, lost.Cursor.Stamp)

	require.Equal(t, broker.Head{}, store.ForTest().Fork("jobs:1", 100), "nothing is left, not even the genesis")
	require.Equal(t, broker.Head{}, store.ForTest().Fork("jobs:none", 1))
}

// Stamps tell lineages apart also where the clock stands still.
func TestStampsOfAFrozenClock(t *testing.T) {
	now := time.UnixMicro(1_700_000_000_000_000)
	store := membroker.NewStore(membroker.Options{Clock: func() time.Time { return now }})
	n := run(t, store.Broker())
	used := map[uint64]bool{}
	fill := func() {
		t.Helper()
		c := n.fill(t, "jobs:1", 5)
		for i := range c {
			require.False(t, used[c[i].Stamp], "stamp %d is used again", c[i].Stamp)
			used[c[i].Stamp] = true
			require.True(t, i == 0 || c[i].Stamp > c[i-1].Stamp)
		}
	}
	fill()
	require.Contains(t, used, uint64(now.UnixMicro())+1, "the genesis entry has the clock's own time")
	store.ForTest().Fork("jobs:1", 3)
	fill()
	store.ForTest().Fork("jobs:1", 1)
	fill()
	store.ForTest().Delete("jobs:1")
	fill()
}

func TestTrimToNothingKeepsTheHead(t *testing.T) {
	store := membroker.NewStore(membroker.Options{})
	n := run(t, store.Broker())
	c := n.fill(t, "jobs:1", 5)
	h := store.ForTest().Trim("jobs:1", 0)
	require.Equal(t, broker.Head{Cursor: c[4], Exists: true}, h)

	read := func(from uint64) broker.Page {
		p, err := n.Read(t.Context(), "jobs:1", broker.ReadRequest{From: from})
		require.NoError(t, err)
		return p
	}
	require.Equal(t, broker.Valid, read(7).Check(c[4]))
	require.Equal(t, broker.Trimmed, read(6).Check(c[3]))
	require.Empty(t, read(1).Entries)
	next := n.fill(t, "jobs:1", 1)[0]
	require.Equal(t, c[4].Offset+1, next.Offset, "offsets go on after the last generated one")
	require.Equal(t, c[4].Stamp, read(1).Entries[0].Prev)
	require.Equal(t, broker.Valid, read(7).Check(c[4]))
}

func TestDeletedStreamIsOpenedByTheAudit(t *testing.T) {
	store := membroker.NewStore(membroker.Options{})
	n := run(t, store.Broker())
	n.subscribe(t, "jobs:1")
	c := n.fill(t, "jobs:1", 3)
	n.publish(t, broker.Publication{Channel: "jobs:1", ID: "w/1"})
	store.ForTest().Delete("jobs:1")
	store.ForTest().Delete("jobs:none")
	store.ForTest().Audit()
	heads := n.Heads("jobs:1")
	h := heads[len(heads)-1]
	require.Equal(t, uint64(1), h.Cursor.Offset)
	require.Greater(t, h.Cursor.Stamp, c[2].Stamp, "stamps are not used again")
	require.Equal(t, broker.Expired, broker.Page{Head: h}.Check(c[2]))
	require.False(t, n.publish(t, broker.Publication{Channel: "jobs:1", ID: "w/1"}).Duplicate, "its event is gone")
}

func TestOutage(t *testing.T) {
	store := membroker.NewStore(membroker.Options{Audit: time.Hour}) // heads come from the outage alone
	a, b := run(t, store.Broker()), run(t, store.Broker())
	for _, n := range []*node{a, b} {
		n.subscribe(t, "jobs:1")
	}
	store.ForTest().Outage(true)
	for _, n := range []*node{a, b} {
		n.UntilHealthy(t, false)
		_, err := broker.PublishWait(t.Context(), n, broker.Publication{Channel: "jobs:1", Event: []byte(`{}`)})
		require.ErrorIs(t, err, broker.ErrUnavailable)
		_, err = n.Read(t.Context(), "jobs:1", broker.ReadRequest{})
		require.ErrorIs(t, err, broker.ErrUnavailable)
		_, err = n.Subscribe(t.Context(), "jobs:2")
		require.ErrorIs(t, err, broker.ErrUnavailable)
	}
	told := len(a.Heads("jobs:1"))
	store.ForTest().Audit()
	require.Len(t, a.Heads("jobs:1"), told, "nothing is told during an outage")
	store.ForTest().Outage(false)
	for _, n := range []*node{a, b} {
		n.UntilHealthy(t, true)
		n.Until(t, "the head after the outage", func() bool { return len(n.Heads("jobs:1")) > 0 })
		n.fill(t, "jobs:1", 1)
	}
	require.Len(t, a.Entries("jobs:1"), 2)
}
