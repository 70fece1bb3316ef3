package gateway

import "slices"

// history are changes of a room, oldest first, for watchers that have a snapshot on the way or no room for
// more. It is bounded: whoever is behind its beginning gets a new snapshot.
type history struct {
	changes []recentChange
	bytes   int
}

// recentChange is a change as it is written to all watchers.
type recentChange struct {
	version, prev uint64
	frame         []byte
}

const (
	maxRecentChanges = 4096
	maxRecentBytes   = 1 << 20
)

// add appends a change. Where it is full, the older half goes first.
func (h *history) add(c recentChange) {
	if len(h.changes) >= maxRecentChanges || h.bytes+len(c.frame) > maxRecentBytes {
		half := (len(h.changes) + 1) / 2
		for i := range half {
			h.bytes -= len(h.changes[i].frame)
		}
		h.changes = slices.Delete(h.changes, 0, half)
	}
	h.changes = append(h.changes, c)
	h.bytes += len(c.frame)
}
