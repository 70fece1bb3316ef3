package gateway_test

import (
	"fmt"
	"slices"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/tallywire/tallywire/broker"
)

// ledger is what was published and what was received in a test, for judgement at its end. Safe for
// concurrent use.
type ledger struct {
	mu        sync.Mutex // guards the following
	published []entry
	readers   []*reading
}

type outcome int

const (
	ok      outcome = iota
	unknown         // the publisher got no answer
	failed          // the publisher was told that it did not happen
)

// entry is a publish, or the receipt of one. Values are unique.
type entry struct {
	channel string
	cursor  broker.Cursor // zero unless ok
	value   int
	outcome outcome
}

// reading is what one client received of one channel, across its reconnects.
type reading struct {
	client, channel string
	start           broker.Cursor
	got             []entry
	resets          int
}

func (l *ledger) publish(e entry) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.published = append(l.published, e)
}

// reader adds a reading, which belongs to the caller until verify.
func (l *ledger) reader(client, channel string) *reading {
	l.mu.Lock()
	defer l.mu.Unlock()
	r := &reading{client: client, channel: channel}
	l.readers = append(l.readers, r)
	return r
}

// verify returns what breaks the guarantee, when everything has been published and read, and no entry was
// taken back. It is linear in what was received.
func (l *ledger) verify() (violations []string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	report := func(format string, args ...any) { violations = append(violations, fmt.Sprintf(format, args...)) }
	byValue := map[int]entry{}
	at := map[string]map[broker.Cursor]int{} // channel → cursor → value: one to one
	place := func(e entry, who string) {
		m := at[e.channel]
		if m == nil {
			m = map[broker.Cursor]int{}
			at[e.channel] = m
		}
		if other, taken := m[e.cursor]; taken && other != e.value {
			report("%s: %s of %s holds %d and %d", who, e.cursor, e.channel, other, e.value)
		}
		m[e.cursor] = e.value
	}
	expected := map[string][]entry{}
	for _, p := range l.published {
		byValue[p.value] = p
		if p.outcome == ok {
			place(p, "publisher")
			expected[p.channel] = append(expected[p.channel], p)
		}
	}
	for _, r := range l.readers {
		if r.resets > 0 {
			report("%s: %d resets of %s without a cause", r.client, r.resets, r.channel)
		}
		last, seen := r.start, map[int]bool{}
		for _, e := range r.got {
			p, known := byValue[e.value]
			switch {
			case !known || p.channel != e.channel:
				report("%s: received %d on %s, which nobody published there", r.client, e.value, e.channel)
			case p.outcome == failed:
				report("%s: received %d, whose publisher was told that it failed", r.client, e.value)
			case p.outcome == ok && p.cursor != e.cursor:
				report("%s: received %d at %s, published at %s", r.client, e.value, e.cursor, p.cursor)
			}
			if e.cursor.Offset != last.Offset+1 {
				report("%s: %s of %s follows %s", r.client, e.cursor, e.channel, last)
			}
			if seen[e.value] {
				report("%s: received %d twice", r.client, e.value)
			}
			place(e, r.client)
			last, seen[e.value] = e.cursor, true
		}
		for _, p := range expected[r.channel] {
			if p.cursor.Offset > r.start.Offset && !seen[p.value] {
				report("%s: never received %d at %s of %s", r.client, p.value, p.cursor, p.channel)
			}
		}
	}
	return violations
}

// TestLedgerFindsDamage proves that the judgement sees what it is there for.
func TestLedgerFindsDamage(t *testing.T) {
	cursor := func(offset int) broker.Cursor {
		return broker.Cursor{Offset: uint64(offset), Stamp: uint64(1000 + offset)}
	}
	whole := func() *ledger {
		l := &ledger{}
		for n := range 10 {
			l.publish(entry{channel: "a", cursor: cursor(n + 2), value: n})
		}
		l.publish(entry{channel: "a", value: 100, outcome: unknown})
		l.publish(entry{channel: "a", value: 101, outcome: failed})
		for _, name := range []string{"alice", "bob"} {
			r := l.reader(name, "a")
			r.start = cursor(1)
			for n := range 10 {
				r.got = append(r.got, entry{channel: "a", cursor: cursor(n + 2), value: n})
			}
		}
		return l
	}
	require.Empty(t, whole().verify())
	for name, damage := range map[string]func(*reading){
		"loss":          func(r *reading) { r.got = slices.Delete(r.got, 4, 5) },
		"loss at last":  func(r *reading) { r.got = r.got[:9] },
		"loss at first": func(r *reading) { r.got = r.got[1:] },
		"everything":    func(r *reading) { r.got = nil },
		"duplicate":     func(r *reading) { r.got = slices.Insert(r.got, 4, r.got[4]) },
		"later again":   func(r *reading) { r.got = append(r.got, r.got[2]) },
		"swap":          func(r *reading) { r.got[3], r.got[4] = r.got[4], r.got[3] },
		"swap of values": func(r *reading) {
			r.got[3].value, r.got[4].value = r.got[4].value, r.got[3].value
		},
		"reuse of a cursor": func(r *reading) { r.got[9].value = 100 },
		"another stamp":     func(r *reading) { r.got[9].cursor.Stamp++ },
		"a failed one":      func(r *reading) { r.got = append(r.got, entry{"a", cursor(12), 101, ok}) },
		"an invented one":   func(r *reading) { r.got = append(r.got, entry{"a", cursor(12), 999, ok}) },
		"of another channel": func(r *reading) {
			r.got = append(r.got, entry{"b", cursor(12), 3, ok})
		},
		"an idle reset": func(r *reading) { r.resets++ },
	} {
		l := whole()
		damage(l.readers[1])
		require.NotEmpty(t, l.verify(), name)
	}
	// A publish without an answer may have happened, once and for all the same.
	l := whole()
	for _, r := range l.readers {
		r.got = append(r.got, entry{"a", cursor(12), 100, ok})
	}
	require.Empty(t, l.verify())
	l.readers[0].got[10].cursor.Stamp++
	l.publish(entry{channel: "a", cursor: cursor(12), value: 200})
	require.NotEmpty(t, l.verify())
}
