package relay

import "github.com/tallywire/tallywire/broker"

// log is the recent, contiguous end of a channel: a pure state machine without clock or lock.
// items[i].cursor.Offset == floor.Offset+1+i always, and the chain of stamps is whole.
type log struct {
	items []item        // a queue: oldest first
	floor broker.Cursor // the cursor before items[0]
	head  broker.Cursor // the last item's cursor, or floor when there is none
	bytes int
}

type outcome uint8

const (
	appended  outcome = iota
	duplicate         // already in the log
	gap               // entries between head and the item are missing
	doubtful          // the item does not continue the log: a fork, or something too old to tell
)

// open places the log's end at a cursor, forgetting all items.
func (l *log) open(at broker.Cursor) { *l = log{floor: at, head: at} }

// accept appends it if it continues the log, and says so or why not.
func (l *log) accept(it item) outcome {
	switch o := it.cursor.Offset; {
	case o == l.head.Offset+1:
		if it.prev != l.head.Stamp {
			return doubtful
		}
		l.items = append(l.items, it)
		l.head = it.cursor
		l.bytes += it.size()
		return appended
	case o > l.head.Offset+1:
		return gap
	case l.contains(it.cursor):
		return duplicate
	default:
		return doubtful
	}
}

// contains reports whether a reader may stand at c: after an item, or before the first.
func (l *log) contains(c broker.Cursor) bool {
	if c == l.floor || c == l.head {
		return true
	}
	it := l.at(c.Offset)
	return it != nil && it.cursor == c
}

// at returns the item with an offset, or nil.
func (l *log) at(offset uint64) *item {
	if offset <= l.floor.Offset || offset > l.head.Offset {
		return nil
	}
	return &l.items[offset-l.floor.Offset-1]
}

// after returns the items after an offset that is not below the floor.
func (l *log) after(offset uint64) []item {
	if offset >= l.head.Offset {
		return nil
	}
	return l.items[offset-l.floor.Offset:]
}

// truncate removes everything after c, which the log contains.
func (l *log) truncate(c broker.Cursor) {
	keep := int(c.Offset - l.floor.Offset) //nolint:gosec // at most len(items)
	for i := keep; i < len(l.items); i++ {
		l.bytes -= l.items[i].size()
		l.items[i] = item{}
	}
	l.items = l.items[:keep]
	l.head = c
}

// trim drops the oldest items until at most maxItems and maxBytes remain.
func (l *log) trim(maxItems, maxBytes int) {
	drop := 0
	for ; drop < len(l.items) && (len(l.items)-drop > maxItems || l.bytes > maxBytes); drop++ {
		l.bytes -= l.items[drop].size()
	}
	if drop == 0 {
		return
	}
	l.floor = l.items[drop-1].cursor
	// Moving the window costs nothing; append reallocates now and then and leaves the dropped behind.
	clear(l.items[:drop])
	l.items = l.items[drop:]
	if len(l.items) == 0 {
		l.items = nil
	}
}
