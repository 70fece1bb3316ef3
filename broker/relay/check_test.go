package relay

import (
	"bytes"
	"encoding/json"
	"fmt"
	"slices"

	"github.com/tallywire/tallywire/broker"
)

// frame is what a client reads of a frame.
type frame struct {
	Type    string
	Channel string
	Cursor  broker.Cursor
	Event   json.RawMessage
	Skipped uint64
}

// truth is what a checker holds a reader's frames against.
type truth interface {
	// entry returns the entry that was once appended at a cursor, of whatever lineage.
	entry(c broker.Cursor) (broker.Entry, bool)
	// holds reports whether a reader at c has lost nothing: the stream has c, and all that comes after.
	holds(c broker.Cursor) bool
}

// check judges what one reader is told.
type check struct {
	truth  truth
	mutate func([]frame) []frame // a seeded bug
	later  bool                  // what is told is kept, and judged by replay
	calls  []func()

	last   broker.Cursor   // where the reader stands
	start  broker.Cursor   // where it began, or the last reset sent it
	got    []broker.Cursor // of the events since start
	hurt   bool            // the stream has lost something since start that the reader stood on
	spare  int             // resets that are forgiven, where a loss is told before it can be known what it was
	resets int
	told   uint64 // events and skipped since start
	errs   []string
}

func (k *check) fail(format string, args ...any) {
	if len(k.errs) < 5 {
		k.errs = append(k.errs, fmt.Sprintf(format, args...))
	}
}

func (k *check) kept(call func()) bool {
	if k.later {
		k.calls = append(k.calls, call)
	}
	return k.later
}

// replay judges what was kept.
func (k *check) replay() {
	k.later = false
	for _, call := range k.calls {
		call()
	}
}

// begin places the reader.
func (k *check) begin(at broker.Cursor) {
	if k.kept(func() { k.begin(at) }) {
		return
	}
	k.last, k.start, k.got, k.told = at, at, nil, 0
	k.hurt = !k.truth.holds(at)
}

// look notes whether the stream has lost what the reader stands on. It is called after all damage.
func (k *check) look() { k.hurt = k.hurt || !k.truth.holds(k.last) }

// reset takes a reset. One is right only for a reader that has lost something.
func (k *check) reset(r *Reset, to broker.Cursor) {
	if k.kept(func() { k.reset(r, to) }) {
		return
	}
	k.resets++
	if !k.hurt {
		k.spare--
	}
	if k.spare < 0 {
		k.fail("reset %s to %s without a loss, at %s", r.Reason, r.Cursor, k.last)
	}
	if r.Cursor != to {
		k.fail("reset to %s goes on at %s", r.Cursor, to)
	}
	if r.Cursor.IsZero() {
		k.fail("reset to nowhere: %s", r.Reason)
	}
	k.begin(r.Cursor)
}

// batch takes a batch that a reader pulled.
func (k *check) batch(b Batch) {
	if k.kept(func() { k.batch(b) }) {
		return
	}
	if b.Message == nil {
		if b.Events != 0 || b.Skipped != 0 {
			k.fail("%d events and %d skipped in no message", b.Events, b.Skipped)
		}
		k.silent(b.Next.Cursor)
		return
	}
	var frames []frame
	if err := json.Unmarshal(b.Message, &frames); err != nil {
		k.fail("message: %v: %.200s", err, b.Message)
		return
	}
	if k.mutate != nil {
		frames = k.mutate(frames)
	}
	n, skipped := 0, uint64(0)
	for _, f := range frames {
		switch f.Type {
		case "event":
			n++
			k.event(f)
		case "skip":
			k.advance(f.Cursor, f.Skipped)
		}
		skipped += f.Skipped
	}
	if n != b.Events || skipped != b.Skipped {
		k.fail("batch says %d events, %d skipped, its frames %d, %d", b.Events, b.Skipped, n, skipped)
	}
	k.silent(b.Next.Cursor)
}

// silent takes the reader to where a batch ends, over a genesis entry only.
func (k *check) silent(to broker.Cursor) {
	if k.last.Offset == 0 && to.Offset == 1 {
		k.last = to
	}
	if k.last != to {
		k.fail("told up to %s, but goes on after %s", k.last, to)
		k.last = to
	}
}

func (k *check) event(f frame) {
	from := k.last
	k.advance(f.Cursor, f.Skipped+1)
	e, ok := k.truth.entry(f.Cursor)
	switch {
	case !ok:
		k.fail("nothing was published at %s", f.Cursor)
	case !bytes.Equal(e.Event, f.Event):
		k.fail("at %s: %.60s instead of %.60s", f.Cursor, f.Event, e.Event)
	case f.Skipped == 0 && e.Before() != from && !from.IsZero():
		k.fail("%s does not follow %s", f.Cursor, from)
	}
	k.got = append(k.got, f.Cursor)
}

// advance moves the reader over n published events.
func (k *check) advance(to broker.Cursor, n uint64) {
	if want := k.last.Offset + n; to.Offset != want && (k.last.Offset != 0 || to.Offset != want+1) {
		k.fail("%s after %s, accounting for %d", to, k.last, n)
	}
	k.last = to
	k.told += n
	k.look()
}

// settled judges the reader when all is quiet: it has, since its start, what the stream has.
func (k *check) settled(head broker.Head, stream []broker.Entry, conflated bool) {
	if k.last != head.Cursor {
		k.fail("stands at %s of %s", k.last, head.Cursor)
		return
	}
	var want []broker.Cursor
	published := uint64(0)
	for _, e := range stream {
		if e.Cursor.Offset <= k.start.Offset || e.Genesis() {
			continue
		}
		published++
		if !bytes.Contains(e.Event, []byte(`"type":"bad"`)) {
			want = append(want, e.Cursor)
		}
	}
	if k.start.Offset >= head.Oldest().Offset && k.told != published {
		k.fail("told of %d events since %s, of %d", k.told, k.start, published)
	}
	got := k.got
	if conflated { // of which only the terminal ones must have come
		got = slices.DeleteFunc(slices.Clone(got), func(c broker.Cursor) bool { return !k.terminal(c) })
		want = slices.DeleteFunc(want, func(c broker.Cursor) bool { return !k.terminal(c) })
	}
	if cut := len(got) - len(want); cut > 0 { // what has been trimmed since
		got = got[cut:]
	}
	if len(got) != len(want) {
		k.fail("%d events since %s, not %d", len(got), k.start, len(want))
		return
	}
	for i := range got {
		if got[i] != want[i] {
			k.fail("got %s, the stream has %s", got[i], want[i])
			return
		}
	}
}

func (k *check) terminal(c broker.Cursor) bool {
	e, _ := k.truth.entry(c)
	return bytes.Contains(e.Event, []byte(`"type":"end"`))
}
