package gateway

import (
	"sync"

	"github.com/tallywire/tallywire/gateway/wire"
)

// pollers are the sessions that wait in a poll here. A session has one poll at a time: a newer one ends the
// older, whose client is told. The zero value is ready.
type pollers struct {
	mu    sync.Mutex // guards byKey
	byKey map[visitKey]*conn
}

// replace notes a session's poll, and ends the one before it.
func (ps *pollers) replace(r *streamRequest, c *conn) {
	key := visitKey{r.principal.User, r.Session}
	ps.mu.Lock()
	old := ps.byKey[key]
	if ps.byKey == nil {
		ps.byKey = map[visitKey]*conn{}
	}
	ps.byKey[key] = c
	ps.mu.Unlock()
	if old != nil {
		old.session.expel(wire.CodeReplaced, "a newer poll of this session goes on", wire.CloseNormal)
	}
}

// forget notes that a poll has ended.
func (ps *pollers) forget(r *streamRequest, c *conn) {
	key := visitKey{r.principal.User, r.Session}
	ps.mu.Lock()
	defer ps.mu.Unlock()
	if ps.byKey[key] == c {
		delete(ps.byKey, key)
	}
}
