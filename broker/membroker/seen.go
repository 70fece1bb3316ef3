package membroker

import "github.com/tallywire/tallywire/broker"

// seen remembers the cursors that event ids got, for the window of the namespace. Ids leave in the
// order in which they came, since the window of a channel is constant. Guarded by the channel's mu.
type seen struct {
	ids     map[string]seenAt
	order   ring[seenID]
	evicted uint64 // ids forgotten before their time
}

type seenAt struct {
	cursor  broker.Cursor
	expires int64 // microseconds
}

type seenID struct {
	id      string
	expires int64
}

// get returns the cursor that id got within the window.
func (s *seen) get(id string, now int64) (broker.Cursor, bool) {
	s.prune(now)
	at, ok := s.ids[id]
	return at.cursor, ok
}

// put remembers id until expires. Of more than limit ids the oldest is forgotten and counted.
func (s *seen) put(id string, c broker.Cursor, expires int64, limit int) {
	if s.ids == nil {
		s.ids = make(map[string]seenAt)
	}
	if s.order.n >= limit {
		s.forget(s.order.popFront())
		s.evicted++
	}
	s.ids[id] = seenAt{c, expires}
	s.order.push(seenID{id, expires}, limit)
}

// prune forgets the ids whose window has passed.
func (s *seen) prune(now int64) {
	for s.order.n > 0 && s.order.at(0).expires <= now {
		s.forget(s.order.popFront())
	}
	if s.order.n == 0 {
		s.ids = nil // a Go map never gives memory back; a new one does
	}
}

// forgetAfter forgets the ids that got a cursor beyond offset: their writes are undone.
func (s *seen) forgetAfter(offset uint64) {
	for s.order.n > 0 && s.ids[s.order.at(s.order.n-1).id].cursor.Offset > offset {
		s.forget(s.order.popBack())
	}
}

// forget removes an id, unless it has been put again since.
func (s *seen) forget(x seenID) {
	if s.ids[x.id].expires == x.expires {
		delete(s.ids, x.id)
	}
}
