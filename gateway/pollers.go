package gateway

import (
	"sync"
	"time"

	"github.com/tallywire/tallywire/gateway/wire"
)

// pollers are the sessions that wait in a poll here. A session has one poll at a time: a newer one ends the
// older, whose client is told. The zero value is ready.
type pollers struct {
	mu    sync.Mutex // guards byKey
	byKey map[visitKey]*conn
}

// replaceAfter is how long a poll waits before it ends the one before it. What came last is not always what
// its client sent last: a request that it gave up may come after the next one, by another connection. Its
// client is seen to have gone by then.
const replaceAfter = 250 * time.Millisecond

// enter notes a session's newest poll, and returns the one before it, nil where there is none.
func (ps *pollers) enter(key visitKey, c *conn) (older *conn) {
	ps.mu.Lock()
	defer ps.mu.Unlock()
	if ps.byKey == nil {
		ps.byKey = map[visitKey]*conn{}
	}
	older = ps.byKey[key]
	ps.byKey[key] = c
	return older
}

// leave notes that a poll has ended: its connection is closing. Where it was the newest, the one before it is
// that again.
func (ps *pollers) leave(key visitKey, c, older *conn) {
	ps.mu.Lock()
	defer ps.mu.Unlock()
	switch {
	case ps.byKey[key] != c:
	case older != nil && !older.closing.Load():
		ps.byKey[key] = older
	default:
		delete(ps.byKey, key)
	}
}

// replace ends a poll since a newer one has come.
func (c *conn) replace() {
	c.session.expel(wire.CodeReplaced, "a newer poll of this session goes on", wire.CloseNormal)
}
