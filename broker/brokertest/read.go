package brokertest

import (
	"fmt"
	"slices"
	"strings"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/tallywire/tallywire/broker"
)

var readCases = []testCase{
	{"ReadMissing", readMissing},
	{"PagesByCount", pagesByCount},
	{"PagesByBytes", pagesByBytes},
	{"ReadLimits", readLimits},
	{"ReadSince", readSince},
	{"ReadBefore", readBefore},
	{"ReadTrimmed", readTrimmed},
	{"ReadRandomly", readRandomly},
}

func readMissing(s *suite) {
	p := s.read(s.a, s.channel("jobs"), broker.ReadRequest{From: 5})
	require.Equal(s, broker.Page{}, p)
}

func pagesByCount(s *suite) {
	channel := s.channel("jobs")
	cursors := s.fill(s.a, channel, 25)
	var got []broker.Cursor
	for from, pages := uint64(2), 1; ; pages++ {
		p := s.read(s.b, channel, broker.ReadRequest{From: from, Limit: 10})
		require.True(s, p.Exists)
		require.Equal(s, cursors[24], p.Cursor, "every page tells the head")
		require.Equal(s, uint64(1), p.First.Offset)
		require.Zero(s, p.FirstPrev)
		got = append(got, cursorsOf(p.Entries)...)
		if len(p.Entries) < 10 {
			require.Equal(s, 3, pages)
			break
		}
		from += 10
	}
	require.Equal(s, cursors, got)
	for _, beyond := range []uint64{27, 28, 1 << 40} {
		require.Empty(s, s.read(s.a, channel, broker.ReadRequest{From: beyond}).Entries)
	}
	all := s.read(s.a, channel, broker.ReadRequest{})
	require.Equal(s, cursors, cursorsOf(visible(all.Entries)), "offset 0 is the oldest retained")
}

func pagesByBytes(s *suite) {
	channel := s.channel("jobs")
	event := fmt.Sprintf(`{"d":"%s"}`, strings.Repeat("x", 92)) // 100 bytes
	for range 10 {
		s.publish(s.a, channel, event)
	}
	offsets := func(r broker.ReadRequest) (out []uint64) {
		for _, e := range s.read(s.a, channel, r).Entries {
			out = append(out, e.Cursor.Offset)
		}
		return out
	}
	require.Equal(s, []uint64{2, 3, 4}, offsets(broker.ReadRequest{From: 2, MaxBytes: 300}))
	require.Equal(s, []uint64{2, 3}, offsets(broker.ReadRequest{From: 2, MaxBytes: 299}))
	require.Equal(s, []uint64{5}, offsets(broker.ReadRequest{From: 5, MaxBytes: 1}), "at least one entry")
	require.Equal(s, []uint64{7, 8}, offsets(broker.ReadRequest{Before: 9, MaxBytes: 250}), "the newest stay")
	require.Equal(s, []uint64{8}, offsets(broker.ReadRequest{Before: 9, MaxBytes: 1}))
}

func readLimits(s *suite) {
	channel := s.channel("jobs")
	s.fill(s.a, channel, broker.MaxReadLimit+10)
	require.Len(s, s.read(s.a, channel, broker.ReadRequest{From: 2}).Entries, broker.DefaultReadLimit)
	require.Len(s, s.read(s.a, channel, broker.ReadRequest{From: 2, Limit: 1 << 30}).Entries, broker.MaxReadLimit)
	require.Len(s, s.read(s.a, channel, broker.ReadRequest{Before: 1005, Limit: 1 << 30}).Entries, broker.MaxReadLimit)

	large := s.channel("jobs")
	event := fmt.Sprintf(`{"d":"%s"}`, strings.Repeat("x", 60_000))
	for range 6 {
		s.publish(s.a, large, event)
	}
	require.Len(s, s.read(s.a, large, broker.ReadRequest{From: 2}).Entries, broker.DefaultReadBytes/len(event))
}

func readSince(s *suite) {
	channel := s.channel("small")
	cursors := s.fill(s.a, channel, 20)[20-smallLen:] // the others are trimmed
	since := func(stamp uint64) []broker.Cursor {
		return cursorsOf(s.read(s.b, channel, broker.ReadRequest{Since: stamp, From: 99}).Entries)
	}
	require.Equal(s, cursors, since(1), "before the first")
	for i, c := range cursors {
		require.Equal(s, cursors[i:], since(c.Stamp-1))
		if i+1 < len(cursors) {
			require.Equal(s, cursors[i+1:], since(c.Stamp), "a greater stamp is wanted")
		}
	}
	require.Empty(s, since(cursors[smallLen-1].Stamp), "after the head")
	require.Empty(s, since(cursors[smallLen-1].Stamp+1e9))
	page := s.read(s.b, channel, broker.ReadRequest{Since: cursors[1].Stamp, Limit: 2})
	require.Equal(s, cursors[2:4], cursorsOf(page.Entries))
}

func readBefore(s *suite) {
	channel := s.channel("small")
	cursors := s.fill(s.a, channel, 20)
	retained := cursors[20-smallLen:]
	before := func(offset uint64, limit int) []broker.Cursor {
		return cursorsOf(s.read(s.b, channel, broker.ReadRequest{Before: offset, Limit: limit}).Entries)
	}
	head := cursors[19].Offset
	require.Equal(s, retained, before(head+1, 100))
	require.Equal(s, retained, before(head+1000, 100), "beyond the head")
	require.Equal(s, retained[smallLen-4:smallLen-1], before(head, 3))
	require.Equal(s, retained[:2], before(retained[2].Offset, 5))
	require.Empty(s, before(retained[0].Offset, 5))
	require.Empty(s, before(1, 5))
}

func readTrimmed(s *suite) {
	channel := s.channel("small")
	cursors := s.fill(s.a, channel, 30)
	p := s.read(s.b, channel, broker.ReadRequest{From: 2})
	require.Equal(s, cursors[22:], cursorsOf(p.Entries))
	require.Equal(s, cursors[22], p.First)
	require.Equal(s, cursors[21].Stamp, p.FirstPrev)
	require.Equal(s, cursors[21], p.Oldest())
	s.chained(p.Entries)

	one := s.channel("one")
	for i := range 3 {
		c := s.publish(s.a, one, string(numbered(i))).Cursor
		p := s.read(s.b, one, broker.ReadRequest{})
		require.Equal(s, []broker.Cursor{c}, cursorsOf(p.Entries))
		require.Equal(s, c, p.First)
		require.Equal(s, c, p.Cursor)
	}
}

// readRandomly compares every kind of page with what the receipts say must be in the log.
func readRandomly(s *suite) {
	rapid.Check(s, func(t *rapid.T) {
		channel := s.channel(rapid.SampledFrom([]string{"jobs", "small", "one"}).Draw(t, "namespace"))
		genesis := s.subscribe(s.a, channel).Cursor
		defer s.a.Unsubscribe(channel)
		model := []broker.Entry{{Cursor: genesis}}
		for range rapid.IntRange(1, 4).Draw(t, "rounds") {
			for range rapid.IntRange(0, 6).Draw(t, "published") {
				event := string(numbered(len(model)))
				c := s.publish(s.b, channel, event).Cursor
				last := model[len(model)-1].Cursor
				model = append(model, broker.Entry{Cursor: c, Prev: last.Stamp, Event: []byte(event)})
			}
			r := broker.ReadRequest{Limit: rapid.IntRange(1, 12).Draw(t, "limit")}
			at := model[rapid.IntRange(0, len(model)-1).Draw(t, "place")].Cursor
			switch rapid.IntRange(0, 2).Draw(t, "kind") {
			case 0:
				r.From = at.Offset + uint64(rapid.IntRange(0, 2).Draw(t, "beyond"))
			case 1:
				r.Since = at.Stamp - uint64(rapid.IntRange(0, 1).Draw(t, "earlier"))
			case 2:
				r.Before = at.Offset + uint64(rapid.IntRange(0, 2).Draw(t, "beyond"))
			}
			compare(t, s.read(s.a, channel, r), expected(model, channel, r), r)
		}
	})
}

// expected is the page of the model.
func expected(model []broker.Entry, channel string, r broker.ReadRequest) broker.Page {
	retained := model
	switch {
	case strings.HasPrefix(channel, "small:"):
		retained = model[max(0, len(model)-smallLen):]
	case strings.HasPrefix(channel, "one:"):
		retained = model[len(model)-1:]
	}
	p := broker.Page{Head: broker.Head{
		Cursor: model[len(model)-1].Cursor, First: retained[0].Cursor, FirstPrev: retained[0].Prev, Exists: true,
	}}
	for _, e := range retained {
		switch {
		case r.Before != 0 && e.Cursor.Offset >= r.Before:
		case r.Before == 0 && r.Since != 0 && e.Cursor.Stamp <= r.Since:
		case r.Before == 0 && r.Since == 0 && e.Cursor.Offset < r.From:
		default:
			p.Entries = append(p.Entries, e)
		}
	}
	if len(p.Entries) > r.Limit {
		if r.Before != 0 {
			p.Entries = p.Entries[len(p.Entries)-r.Limit:]
		} else {
			p.Entries = p.Entries[:r.Limit]
		}
	}
	return p
}

func compare(t *rapid.T, got, want broker.Page, r broker.ReadRequest) {
	if got.Head != want.Head {
		t.Fatalf("%+v: head %+v, want %+v", r, got.Head, want.Head)
	}
	same := func(a, b broker.Entry) bool {
		return a.Cursor == b.Cursor && a.Prev == b.Prev && string(a.Event) == string(b.Event)
	}
	if !slices.EqualFunc(got.Entries, want.Entries, same) {
		t.Fatalf("%+v: entries %v, want %v", r, cursorsOf(got.Entries), cursorsOf(want.Entries))
	}
}
