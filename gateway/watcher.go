package gateway

// watcher is a session that watches the members of a room. It is guarded by room.mu.
type watcher struct {
	session *session
	known   *uint64 // the version that its client has already, until the first snapshot
	begun   bool    // the first snapshot is settled
	version uint64
	live    bool // has a snapshot and follows the changes
	behind  bool // its client had no room for a change: it gets that and the next ones when it has
	owed    bool // is to get a snapshot as soon as its client has room for it and the store answers
	excused bool // was told why it has none, or was given a stale one
}

// beginLocked notes that the watcher's client has what it can have for now.
func (w *watcher) beginLocked() {
	w.known = nil
	if !w.begun {
		w.begun = true
		w.session.conn.opened(nil)
	}
}
