package test

import (
	"fmt"
	"sync"

	"github.com/tallywire/tallywire/broker"
)

// outcome is what a publisher was told.
type outcome int

const (
	unknown outcome = iota // an error that leaves open whether it happened
	stored
	refused
)

// journal is what all publishers and clients of a test saw. It is safe for concurrent use.
type journal struct {
	mu        sync.Mutex
	published map[string]publication // by value
	clients   []*history
}

type publication struct {
	channel string
	outcome outcome
	cursor  broker.Cursor
}

// history is what one client saw of one channel, in order.
type history struct {
	name, channel string
	start         broker.Cursor // where its subscription began
	steps         []step
}

// step is an event, or a reset.
type step struct {
	cursor  broker.Cursor
	skipped uint64
	value   string
	reset   string // the reason; the events after cursor follow
}

func newJournal() *journal { return &journal{published: map[string]publication{}} }

func (j *journal) publish(channel, value string, o outcome, c broker.Cursor) {
	j.mu.Lock()
	defer j.mu.Unlock()
	j.published[value] = publication{channel, o, c}
}

func (j *journal) client(name, channel string) *history {
	j.mu.Lock()
	defer j.mu.Unlock()
	h := &history{name: name, channel: channel}
	j.clients = append(j.clients, h)
	return h
}

func (j *journal) add(h *history, s step) {
	j.mu.Lock()
	defer j.mu.Unlock()
	h.steps = append(h.steps, s)
}

// count returns how many events a client has seen.
func (j *journal) count(h *history) int {
	j.mu.Lock()
	defer j.mu.Unlock()
	n := 0
	for _, s := range h.steps {
		if s.reset == "" {
			n++
		}
	}
	return n
}

// resets returns the reasons that a client was told.
func (j *journal) resets(h *history) []string {
	j.mu.Lock()
	defer j.mu.Unlock()
	var out []string
	for _, s := range h.steps {
		if s.reset != "" {
			out = append(out, s.reset)
		}
	}
	return out
}

// check judges the journal once everything has come to rest. forked says that a log lost its tail: the
// entries of a lineage then need not be those of the next.
//
//  1. What a client received was published, and never refused.
//  2. A cursor and a value belong together, for all clients.
//  3. Each client's offsets count without holes and repeats, but across a reset.
//  4. What was stored reached every client that read the channel then, or lies in a reset.
//  5. A value reaches a client at most once, but across a reset.
func (j *journal) check(forked bool) []string {
	j.mu.Lock()
	defer j.mu.Unlock()
	var bad []string
	report := func(format string, args ...any) {
		if len(bad) < 20 {
			bad = append(bad, fmt.Sprintf(format, args...))
		}
	}
	byCursor := map[string]string{}
	for value, p := range j.published {
		if p.outcome == stored {
			byCursor[p.channel+" "+p.cursor.String()] = value
		}
	}
	for _, h := range j.clients {
		j.checkClient(h, byCursor, forked, report)
	}
	return bad
}

func (j *journal) checkClient(h *history, byCursor map[string]string, forked bool, report func(string, ...any)) {
	last, reset := h.start, false
	seen := map[string]bool{}    // since the last reset
	covered := map[string]bool{} // ever
	for _, s := range h.steps {
		if s.reset != "" {
			last, reset = s.cursor, true
			seen = map[string]bool{}
			continue
		}
		if s.cursor.Offset != last.Offset+1+s.skipped {
			report("%s: offset %d after %d, with %d skipped", h.name, s.cursor.Offset, last.Offset, s.skipped)
		}
		last = s.cursor
		p, ok := j.published[s.value]
		switch {
		case !ok:
			report("%s: received %q, which nobody published", h.name, s.value)
		case p.outcome == refused:
			report("%s: received %q, whose publish was refused", h.name, s.value)
		case p.outcome == stored && p.cursor != s.cursor && !forked:
			report("%s: %q came at %s and was stored at %s", h.name, s.value, s.cursor, p.cursor)
		}
		key := h.channel + " " + s.cursor.String()
		if value, ok := byCursor[key]; ok && value != s.value {
			report("%s: %s holds %q and %q", h.name, s.cursor, value, s.value)
		}
		byCursor[key] = s.value
		if seen[s.value] {
			report("%s: received %q twice", h.name, s.value)
		}
		seen[s.value], covered[s.value] = true, true
	}
	for value, p := range j.published {
		if p.channel == h.channel && p.outcome == stored && p.cursor.Offset > h.start.Offset && !covered[value] && !reset {
			report("%s: never received %q, stored at %s", h.name, value, p.cursor)
		}
	}
}
