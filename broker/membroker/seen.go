package membroker

import "github.com/tallywire/tallywire/broker"

// seen remembers the cursors that event ids got, for the window of the namespace. Ids leave in the
// order in which they came, since the window of a channel is constant. Guarded by the channel's mu.
type seen struct {
	cursors map[string]broker.Cursor
	order   ring[seenID]
	evicted uint64 // ids forgotten before their time
}

type seenID struct {
	id      string
	expires int64 // microseconds
}

// get returns the cursor that id got within the window.
func (s *seen) get(id string, now int64) (broker.Cursor, bool) {
	s.prune(now)
	c, ok := s.cursors[id]
	return c, ok
}

// put remembers id until expires. Of more than limit ids the oldest is forgotten and counted.
func (s *seen) put(id string, c broker.Cursor, expires int64, limit int) {
	if s.cursors == nil {
		s.cursors = make(map[string]broker.Cursor)
	}
	if s.order.n >= limit {
		delete(s.cursors, s.order.popFront().id)
		s.evicted++
	}
	s.cursors[id] = c
	s.order.push(seenID{id, expires}, limit)
}

// prune forgets the ids whose window has passed.
func (s *seen) prune(now int64) {
	for s.order.n > 0 && s.order.at(0).expires <= now {
		delete(s.cursors, s.order.popFront().id)
	}
	if s.order.n == 0 {
		s.cursors = nil // a Go map never gives memory back; a new one does
	}
}

// forgetAfter forgets the ids that got a cursor beyond offset: their writes are undone.
func (s *seen) forgetAfter(offset uint64) {
	for s.order.n > 0 {
		id := s.order.at(s.order.n - 1).id
		if s.cursors[id].Offset <= offset {
			return
		}
		delete(s.cursors, id)
		s.order.popBack()
	}
}
