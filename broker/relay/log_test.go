package relay

import (
	"fmt"
	"testing"

	"pgregory.net/rapid"

	"github.com/tallywire/tallywire/broker"
)

// naive is the log's model: the cursors that it holds, the first of which is the floor.
type naive struct {
	cursors []broker.Cursor
	sizes   []int // of cursors[1:]
}

func (m *naive) head() broker.Cursor { return m.cursors[len(m.cursors)-1] }

func (m *naive) find(c broker.Cursor) int {
	for i := range m.cursors {
		if m.cursors[i] == c {
			return i
		}
	}
	return -1
}

func (m *naive) accept(c broker.Cursor, prev uint64, size int) outcome {
	head := m.head()
	switch {
	case m.find(c) >= 0:
		return duplicate
	case c.Offset > head.Offset+1:
		return gap
	case c.Offset == head.Offset+1 && prev == head.Stamp:
		m.cursors, m.sizes = append(m.cursors, c), append(m.sizes, size)
		return appended
	}
	return doubtful
}

func (m *naive) trim(items, bytes int) {
	total := 0
	for _, s := range m.sizes {
		total += s
	}
	for len(m.sizes) > 0 && (len(m.sizes) > items || total > bytes) {
		total -= m.sizes[0]
		m.cursors, m.sizes = m.cursors[1:], m.sizes[1:]
	}
}

func (m *naive) agrees(l *log) error {
	total := 0
	for _, s := range m.sizes {
		total += s
	}
	switch {
	case l.floor != m.cursors[0] || l.head != m.head():
		return fmt.Errorf("from %s to %s, not %s to %s", l.floor, l.head, m.cursors[0], m.head())
	case len(l.items) != len(m.sizes) || l.bytes != total:
		return fmt.Errorf("%d items, %d bytes, not %d, %d", len(l.items), l.bytes, len(m.sizes), total)
	}
	for i := range l.items {
		it, want := &l.items[i], m.cursors[i+1]
		if it.cursor != want || it.prev != m.cursors[i].Stamp || want.Offset != l.floor.Offset+1+uint64(i) {
			return fmt.Errorf("item %d is %s after %d", i, it.cursor, it.prev)
		}
		if l.at(want.Offset) != it || !l.contains(want) {
			return fmt.Errorf("%s is not found", want)
		}
		if foreign := (broker.Cursor{Offset: want.Offset, Stamp: want.Stamp + 500}); l.contains(foreign) {
			return fmt.Errorf("contains %s", foreign)
		}
	}
	for i, c := range m.cursors {
		if rest := l.after(c.Offset); len(rest) != len(m.sizes)-i || len(rest) > 0 && &rest[0] != &l.items[i] {
			return fmt.Errorf("%d items after %s", len(rest), c)
		}
	}
	outside := l.at(l.floor.Offset) != nil || l.at(l.head.Offset+1) != nil ||
		l.contains(broker.Cursor{Offset: l.head.Offset + 1, Stamp: l.head.Stamp}) || l.after(l.head.Offset+9) != nil
	if outside {
		return fmt.Errorf("holds something outside %s to %s", l.floor, l.head)
	}
	return nil
}

// Whatever is offered, cut and trimmed, the log is a contiguous chain and agrees with its model.
func TestLogAgreesWithItsModel(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		floor := broker.Cursor{Offset: rapid.Uint64Range(0, 5).Draw(t, "floor")}
		floor.Stamp = floor.Offset * 1000
		var l log
		l.open(floor)
		m := &naive{cursors: []broker.Cursor{floor}}
		stamp := uint64(10_000)
		t.Repeat(map[string]func(*rapid.T){
			"next": func(t *rapid.T) {
				stamp++
				it := item{
					cursor: broker.Cursor{Offset: l.head.Offset + 1, Stamp: stamp}, prev: l.head.Stamp,
					frame: make([]byte, rapid.IntRange(0, 300).Draw(t, "size")),
				}
				if got, want := l.accept(it), m.accept(it.cursor, it.prev, it.size()); got != want || got != appended {
					t.Fatalf("next: %d, not %d", got, want)
				}
			},
			"any": func(t *rapid.T) {
				stamp++
				it := item{cursor: broker.Cursor{
					Offset: rapid.Uint64Range(0, l.head.Offset+3).Draw(t, "offset"), Stamp: stamp,
				}, prev: rapid.Uint64Range(9_990, stamp).Draw(t, "prev")}
				if got, want := l.accept(it), m.accept(it.cursor, it.prev, it.size()); got != want {
					t.Fatalf("any %s: %d, not %d", it.cursor, got, want)
				}
			},
			"again": func(t *rapid.T) {
				it := item{cursor: rapid.SampledFrom(m.cursors).Draw(t, "cursor")}
				if got := l.accept(it); got != duplicate {
					t.Fatalf("again %s: %d", it.cursor, got)
				}
			},
			"truncate": func(t *rapid.T) {
				i := rapid.IntRange(0, len(m.cursors)-1).Draw(t, "keep")
				l.truncate(m.cursors[i])
				m.cursors, m.sizes = m.cursors[:i+1:i+1], m.sizes[:i:i]
			},
			"trim": func(t *rapid.T) {
				items, size := rapid.IntRange(0, 20).Draw(t, "items"), rapid.IntRange(0, 3000).Draw(t, "bytes")
				l.trim(items, size)
				m.trim(items, size)
			},
			"": func(t *rapid.T) {
				if err := m.agrees(&l); err != nil {
					t.Fatal(err)
				}
			},
		})
	})
}

// A log that moves on for long keeps neither what it dropped nor an ever larger array.
func TestLogKeepsNothingThatItDropped(t *testing.T) {
	const limit = 100
	var l log
	l.open(broker.Cursor{})
	for range 50_000 {
		l.accept(item{
			cursor: broker.Cursor{Offset: l.head.Offset + 1, Stamp: l.head.Stamp + 1}, prev: l.head.Stamp,
			frame: []byte("frame"),
		})
		l.trim(limit, 1<<30)
		if cap(l.items) > 4*limit {
			t.Fatalf("room for %d items at offset %d, %d are kept", cap(l.items), l.head.Offset, len(l.items))
		}
	}
	dropped := l.items
	l.trim(limit/2, 1<<30)
	for i := range limit / 2 {
		if dropped[i].frame != nil {
			t.Fatalf("dropped item %d holds its frame", i)
		}
	}
	l.truncate(l.floor)
	for i := range dropped {
		if dropped[i].frame != nil {
			t.Fatalf("truncated item %d holds its frame", i)
		}
	}
	if l.bytes != 0 || l.head != l.floor {
		t.Fatalf("%d bytes, %s to %s", l.bytes, l.floor, l.head)
	}
}
