package goclient

import (
	"slices"
	"testing"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/tallywire/tallywire/broker"
	"github.com/tallywire/tallywire/gateway/wire"
)

func cur(offset, stamp uint64) broker.Cursor { return broker.Cursor{Offset: offset, Stamp: stamp} }

// tracked returns a track that has been taken up at c.
func tracked(c broker.Cursor) track {
	t := track{known: true, pos: c}
	t.subscribed(&c, c, true)
	return t
}

func TestTrackStep(t *testing.T) {
	at10 := tracked(cur(10, 100))
	moved := at10 // resumed from 10 while another connection went on to 13
	moved.pos = cur(13, 130)
	owes := at10
	owes.subscribed(&broker.Cursor{Offset: 10, Stamp: 100}, cur(0, 0), false)
	for name, c := range map[string]struct {
		track   track
		cursor  broker.Cursor
		skipped uint64
		want    verdict
		gap     uint64
	}{
		"next":                          {at10, cur(11, 101), 0, deliver, 0},
		"after skipped":                 {at10, cur(14, 101), 3, deliver, 3},
		"gap":                           {at10, cur(12, 101), 0, violation, 0},
		"skipped too few":               {at10, cur(14, 101), 2, violation, 0},
		"skipped too many":              {at10, cur(12, 101), 2, violation, 0},
		"same again":                    {at10, cur(10, 100), 0, duplicate, 0},
		"older again":                   {at10, cur(9, 90), 0, duplicate, 0},
		"older of another lineage":      {at10, cur(9, 105), 0, violation, 0},
		"same offset, another stamp":    {at10, cur(10, 101), 0, violation, 0},
		"next but older stamp":          {at10, cur(11, 99), 0, violation, 0},
		"next but same stamp":           {at10, cur(11, 100), 0, violation, 0},
		"skipped overflows":             {at10, cur(11, 101), 1<<64 - 1, violation, 0},
		"first after zero":              {tracked(cur(0, 0)), cur(2, 7), 0, deliver, 0},
		"genesis is never delivered":    {tracked(cur(0, 0)), cur(1, 7), 0, violation, 0},
		"gap after zero":                {tracked(cur(0, 0)), cur(3, 7), 0, violation, 0},
		"overlap":                       {moved, cur(11, 110), 0, duplicate, 0},
		"overlap, another lineage":      {moved, cur(11, 135), 0, violation, 0},
		"skipped reaches over position": {moved, cur(15, 150), 4, deliver, 1},
		"over position, older stamp":    {moved, cur(15, 125), 4, violation, 0},
		"reset owed":                    {owes, cur(11, 101), 0, violation, 0},
		"no cursor":                     {at10, cur(0, 0), 0, violation, 0},
	} {
		t.Run(name, func(t *testing.T) {
			v, gap := c.track.event(c.cursor, c.skipped)
			require.Equal(t, c.want, v)
			require.Equal(t, c.gap, gap)
		})
	}
}

func TestTrackSkip(t *testing.T) {
	tr := tracked(cur(10, 100))
	v, n := tr.skip(cur(13, 130), 3)
	require.Equal(t, deliver, v)
	require.Equal(t, uint64(3), n)
	tr.commit(cur(13, 130))
	v, _ = tr.event(cur(14, 140), 0)
	require.Equal(t, deliver, v)

	tr = tracked(cur(10, 100))
	v, _ = tr.skip(cur(13, 130), 2)
	require.Equal(t, violation, v)
}

func TestTrackSubscribed(t *testing.T) {
	zero, ten := cur(0, 0), cur(10, 100)
	tr := track{}
	require.True(t, tr.subscribed(nil, ten, false), "from now on")
	require.Equal(t, ten, tr.pos)

	tr = track{known: true}
	require.True(t, tr.subscribed(&zero, cur(1, 5), true), "the zero cursor becomes the genesis")
	require.Equal(t, cur(1, 5), tr.pos)

	tr = track{known: true, pos: ten}
	require.False(t, tr.subscribed(&ten, cur(11, 110), true), "resumed elsewhere: a silent gap")
	require.False(t, tr.subscribed(&ten, cur(10, 101), true), "resumed in another lineage")
}

func TestTrackRewind(t *testing.T) {
	ten := cur(10, 100)
	tr := tracked(ten)
	require.True(t, tr.rewind(wire.ReasonForked, cur(8, 80)))
	tr.commit(cur(8, 80))
	v, _ := tr.event(cur(9, 200), 0)
	require.Equal(t, deliver, v, "the new lineage follows")

	tr = tracked(ten)
	require.True(t, tr.rewind(wire.ReasonTrimmed, ten), "a reset is told even where it moves nothing")

	tr = track{known: true, pos: cur(50, 500)} // another connection overtook the request
	require.True(t, tr.subscribed(&ten, cur(20, 200), false))
	require.False(t, tr.rewind(wire.ReasonTrimmed, cur(20, 200)), "all after 20 was delivered already")
	v, _ = tr.event(cur(21, 210), 0)
	require.Equal(t, duplicate, v)
	for o := uint64(22); o <= 50; o++ {
		v, _ = tr.event(cur(o, o*10), 0)
		require.Equal(t, duplicate, v)
	}
	v, _ = tr.event(cur(51, 510), 0)
	require.Equal(t, deliver, v)

	tr = track{known: true, pos: cur(15, 150)}
	require.True(t, tr.subscribed(&ten, cur(20, 200), false))
	require.True(t, tr.rewind(wire.ReasonTrimmed, cur(20, 200)), "16 to 20 are gone")
}

// TestTrackSeesEveryFault feeds a track a log with one seeded fault and demands that it is either
// harmless (a duplicate) or noticed before anything wrong is delivered.
func TestTrackSeesEveryFault(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		type frame struct {
			c       broker.Cursor
			skipped uint64
		}
		n := rapid.IntRange(3, 40).Draw(t, "events")
		var feed []frame
		stamp, offset := uint64(1), uint64(1)
		for range n {
			skipped := rapid.Uint64Range(0, 2).Draw(t, "skipped")
			offset += skipped + 1
			stamp += rapid.Uint64Range(1, 5).Draw(t, "ticks")
			feed = append(feed, frame{cur(offset, stamp), skipped})
		}
		truth := slices.Clone(feed)
		fault := rapid.SampledFrom([]string{"none", "loss", "duplicate", "swap", "fork", "miscount"}).Draw(t, "fault")
		i := rapid.IntRange(0, n-2).Draw(t, "at")
		switch fault {
		case "loss":
			feed = slices.Delete(feed, i, i+1)
		case "duplicate":
			j := rapid.IntRange(i, n-1).Draw(t, "again")
			feed = slices.Insert(feed, j+1, feed[i])
		case "swap":
			feed[i], feed[i+1] = feed[i+1], feed[i]
		case "fork": // the same offsets, written again later
			again := frame{cur(feed[i].c.Offset, stamp+10), feed[i].skipped}
			feed = slices.Insert(feed, rapid.IntRange(i, n-1).Draw(t, "again")+1, again)
		case "miscount":
			feed[i].skipped++
		}
		tr := tracked(cur(1, 1))
		seen, delivered := false, 0
		for _, f := range feed {
			v, skipped := tr.event(f.c, f.skipped)
			if v == violation {
				seen = true
				break
			}
			if v == deliver {
				if f.c != truth[delivered].c || skipped != truth[delivered].skipped {
					t.Fatalf("%s at %d: delivered %v (skipped %d) as number %d", fault, i, f.c, skipped, delivered)
				}
				delivered++
				tr.commit(f.c)
			}
		}
		if harmless := fault == "none" || fault == "duplicate"; seen == harmless {
			t.Fatalf("%s at %d: violation seen: %v", fault, i, seen)
		}
		if !seen && delivered != n {
			t.Fatalf("%s: %d of %d delivered", fault, delivered, n)
		}
	})
}
