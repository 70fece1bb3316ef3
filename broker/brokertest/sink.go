package brokertest

import (
	"cmp"
	"fmt"
	"runtime"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/tallywire/tallywire/broker"
)

// Patience is how long a condition may take to come true.
const Patience = 10 * time.Second

// Sink records what a broker tells. It is safe for concurrent use; the zero value is ready.
type Sink struct {
	mu         sync.Mutex    // protects following
	changed    chan struct{} // closed at the next change; nil while nobody waits
	busy       map[string]bool
	violations []string
	entries    map[string][]broker.Entry
	signals    map[string][][]byte
	heads      map[string][]broker.Head
	health     []broker.Health
}

var _ broker.Sink = (*Sink)(nil)

// Deliver implements [broker.Sink]. The event is kept as it came: a broker that reuses its memory
// shows as a changed event.
func (s *Sink) Deliver(channel string, e broker.Entry) {
	s.during(channel, func() {
		if s.entries == nil {
			s.entries = map[string][]broker.Entry{}
		}
		s.entries[channel] = append(s.entries[channel], e)
	})
}

// Signal implements [broker.Sink].
func (s *Sink) Signal(channel string, event []byte) {
	s.during(channel, func() {
		if s.signals == nil {
			s.signals = map[string][][]byte{}
		}
		s.signals[channel] = append(s.signals[channel], event)
	})
}

// Head implements [broker.Sink].
func (s *Sink) Head(channel string, h broker.Head) {
	s.during(channel, func() {
		if s.heads == nil {
			s.heads = map[string][]broker.Head{}
		}
		s.heads[channel] = append(s.heads[channel], h)
	})
}

// Health implements [broker.Sink].
func (s *Sink) Health(h broker.Health) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.health = append(s.health, h)
	s.wakeLocked()
}

// during records, and gives a concurrent call for the same channel the chance to be caught.
func (s *Sink) during(channel string, record func()) {
	s.mu.Lock()
	if s.busy[channel] {
		s.violations = append(s.violations, fmt.Sprintf("concurrent calls for channel %s", channel))
	}
	if s.busy == nil {
		s.busy = map[string]bool{}
	}
	s.busy[channel] = true
	s.mu.Unlock()
	runtime.Gosched()
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.busy, channel)
	record()
	s.wakeLocked()
}

func (s *Sink) wakeLocked() {
	if s.changed != nil {
		close(s.changed)
		s.changed = nil
	}
}

// Entries returns what was delivered for the channel, in the order of delivery.
func (s *Sink) Entries(channel string) []broker.Entry {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Clone(s.entries[channel])
}

// After returns the delivered entries with greater offsets, sorted, without repetitions.
func (s *Sink) After(channel string, offset uint64) []broker.Entry {
	out := slices.DeleteFunc(s.Entries(channel), func(e broker.Entry) bool { return e.Cursor.Offset <= offset })
	slices.SortStableFunc(out, func(a, b broker.Entry) int {
		return cmp.Or(cmp.Compare(a.Cursor.Offset, b.Cursor.Offset), cmp.Compare(a.Cursor.Stamp, b.Cursor.Stamp))
	})
	return slices.CompactFunc(out, func(a, b broker.Entry) bool { return a.Cursor == b.Cursor })
}

// Signals returns the ephemeral events heard on the channel.
func (s *Sink) Signals(channel string) [][]byte {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Clone(s.signals[channel])
}

// Heads returns the heads told for the channel.
func (s *Sink) Heads(channel string) []broker.Head {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Clone(s.heads[channel])
}

// Healthy returns the last health told and whether there was one.
func (s *Sink) Healthy() (broker.Health, bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(s.health) == 0 {
		return broker.Health{}, false
	}
	return s.health[len(s.health)-1], true
}

// Violations returns the broken promises of the broker towards its sink.
func (s *Sink) Violations() []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Clone(s.violations)
}

// Calls counts everything that was told.
func (s *Sink) Calls() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	n := len(s.health)
	for _, x := range s.entries {
		n += len(x)
	}
	for _, x := range s.signals {
		n += len(x)
	}
	for _, x := range s.heads {
		n += len(x)
	}
	return n
}

// Until waits until cond is true; it is asked again after every change of the sink.
func (s *Sink) Until(t testing.TB, what string, cond func() bool) {
	t.Helper()
	deadline := time.NewTimer(Patience)
	defer deadline.Stop()
	for {
		s.mu.Lock()
		if s.changed == nil {
			s.changed = make(chan struct{})
		}
		changed := s.changed
		s.mu.Unlock()
		if cond() {
			return
		}
		select {
		case <-changed:
		case <-deadline.C:
			t.Fatalf("not within %s: %s", Patience, what)
		}
	}
}

// UntilHealthy waits for the path from publish to receive to be as wanted.
func (s *Sink) UntilHealthy(t testing.TB, want bool) {
	t.Helper()
	s.Until(t, fmt.Sprintf("health OK=%t", want), func() bool {
		h, told := s.Healthy()
		return told && h.OK == want
	})
}
