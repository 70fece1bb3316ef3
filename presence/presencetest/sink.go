package presencetest

import (
	"fmt"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/tallywire/tallywire/presence"
)

// Patience is how long a condition may take to come true.
const Patience = 15 * time.Second

// Heard is a change and when it was told.
type Heard struct {
	presence.Change
	At time.Time
}

// Sink records what a tracker tells. It is safe for concurrent use; the zero value is ready.
type Sink struct {
	mu         sync.Mutex    // protects following
	woken      chan struct{} // closed at the next change; nil while nobody waits
	changes    map[string][]Heard
	stale      map[string]int
	report     presence.Report
	violations []string
}

var _ presence.Sink = (*Sink)(nil)

// Change implements [presence.Sink].
func (s *Sink) Change(c presence.Change) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.changes == nil {
		s.changes = map[string][]Heard{}
	}
	if c.Version <= c.Prev {
		s.violations = append(s.violations, fmt.Sprintf("version %d is not after %d", c.Version, c.Prev))
	}
	if known := s.changes[c.Channel]; len(known) > 0 && c.Version <= known[len(known)-1].Version {
		s.violations = append(s.violations, fmt.Sprintf("%s: version %d told after %d", c.Channel, c.Version, known[len(known)-1].Version))
	}
	s.changes[c.Channel] = append(s.changes[c.Channel], Heard{c, time.Now()})
	s.wakeLocked()
}

// Stale implements [presence.Sink].
func (s *Sink) Stale(channel string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.stale == nil {
		s.stale = map[string]int{}
	}
	s.stale[channel]++
	s.wakeLocked()
}

// Report implements [presence.Sink].
func (s *Sink) Report() presence.Report {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.report
}

// SetReport sets what Report returns.
func (s *Sink) SetReport(r presence.Report) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.report = r
}

func (s *Sink) wakeLocked() {
	if s.woken != nil {
		close(s.woken)
		s.woken = nil
	}
}

// Changes returns the changes of a channel so far.
func (s *Sink) Changes(channel string) []Heard {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Clone(s.changes[channel])
}

// Count returns how many changes of a kind a user made in a channel; the user "" means everyone.
func (s *Sink) Count(channel string, a presence.Action, user string) (n int) {
	for _, c := range s.Changes(channel) {
		if c.Action == a && (user == "" || c.Member.User == user) {
			n++
		}
	}
	return n
}

// StaleCount returns how often a channel was told stale, alone or with all.
func (s *Sink) StaleCount(channel string) int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.stale[channel] + s.stale[""]
}

// Violations returns what the tracker did against the contract.
func (s *Sink) Violations() []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Clone(s.violations)
}

// Until waits until ok, which is asked after each call of the sink and from time to time.
func (s *Sink) Until(t testing.TB, what string, ok func() bool) {
	t.Helper()
	deadline := time.NewTimer(Patience)
	defer deadline.Stop()
	tick := time.NewTicker(10 * time.Millisecond)
	defer tick.Stop()
	for {
		s.mu.Lock()
		if s.woken == nil {
			s.woken = make(chan struct{})
		}
		woken := s.woken
		s.mu.Unlock()
		if ok() {
			return
		}
		select {
		case <-woken:
		case <-tick.C:
		case <-deadline.C:
			t.Fatalf("not within %s: %s", Patience, what)
		}
	}
}
