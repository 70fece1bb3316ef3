package redisbroker

import (
	"fmt"
	"sync"
	"time"

	"github.com/tallywire/tallywire/broker"
)

// starting is how long a shard that has just begun is not held against the cluster.
const starting = 3 * time.Second

// sinks bring what the shards of a cluster tell to one sink.
type sinks struct {
	cluster *cluster
	sink    broker.Sink // set by begin, before any shard runs
	// tell is held around the calls about a channel: while its slot moves two shards may tell of it.
	tell [256]sync.Mutex

	mu        sync.Mutex // held while health is told, so that it is told in order
	states    map[*member]broker.Health
	uncovered int // slots that nobody serves
}

func (s *sinks) begin(sink broker.Sink) {
	s.sink, s.states = sink, map[*member]broker.Health{}
	s.cluster.health.begin(sink)
}

// blind tells that no node says who serves what. While the shards work that does not matter.
func (s *sinks) blind(err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(s.states) == 0 {
		s.cluster.health.fail("cluster: " + err.Error())
	}
}

// cover notes how many slots nobody serves.
func (s *sinks) cover(uncovered int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.uncovered = uncovered
	s.judgeLocked()
}

// hear notes the health of a shard.
func (s *sinks) hear(m *member, h broker.Health) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if _, ours := s.states[m]; ours {
		s.states[m] = h
		s.judgeLocked()
	}
}

// expect begins to ask for the health of a shard, forget ends that.
func (s *sinks) expect(m *member) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.states[m] = broker.Health{Reason: startingReason}
}

func (s *sinks) forget(m *member) {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.states, m)
	s.judgeLocked()
}

// judgeLocked tells how the cluster is: well where every shard is. The caller holds mu.
func (s *sinks) judgeLocked() {
	var slowest time.Duration
	well := 0
	for m, h := range s.states {
		switch {
		case h.OK:
			well++
			slowest = max(slowest, h.RoundTrip)
		case h.Reason == startingReason && time.Since(m.began) < starting:
		default:
			s.cluster.health.fail(m.addr + ": " + h.Reason)
			return
		}
	}
	switch {
	case s.uncovered > 0:
		s.cluster.health.fail(fmt.Sprintf("cluster: nobody serves %d of %d slots", s.uncovered, slots))
	case well > 0:
		s.cluster.health.ok(slowest)
	}
}

// shardSink is the sink of one shard of a cluster.
type shardSink struct {
	*sinks
	member *member
}

var _ broker.Sink = (*shardSink)(nil)

// Deliver implements [broker.Sink].
func (s *shardSink) Deliver(channel string, e broker.Entry) {
	defer s.lock(channel).Unlock()
	s.sink.Deliver(channel, e)
}

// Signal implements [broker.Sink].
func (s *shardSink) Signal(channel string, event []byte) {
	defer s.lock(channel).Unlock()
	s.sink.Signal(channel, event)
}

// Head implements [broker.Sink].
func (s *shardSink) Head(channel string, h broker.Head) {
	defer s.lock(channel).Unlock()
	s.sink.Head(channel, h)
}

// Health implements [broker.Sink].
func (s *shardSink) Health(h broker.Health) { s.hear(s.member, h) }

func (s *sinks) lock(channel string) *sync.Mutex {
	mu := &s.tell[slotOf(channel)%uint16(len(s.tell))]
	mu.Lock()
	return mu
}
