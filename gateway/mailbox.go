package gateway

import (
	"sync"
	"sync/atomic"

	"github.com/tidwall/gjson"

	"github.com/tallywire/tallywire/gateway/wire"
)

// mailbox hands messages from a flusher to the goroutine of an HTTP request, one at a time: while a message
// is in it or being written, the connection is blocked, as one whose socket is full. It keeps account of
// where the reader stands once it has what was put.
type mailbox struct {
	conn   *conn
	places []place       // ordered by channel; owned by the flusher
	box    chan letter   // capacity 1
	gone   chan struct{} // closed when the connection ends without a word
	end    chan struct{} // closed when it ends after what is in the box
	goneOf sync.Once
	endOf  sync.Once
	code   atomic.Int64 // why it ends, a close code
}

// letter is what a request's goroutine writes at once.
type letter struct {
	text []byte // a JSON array of frames
	id   string // the composite of the reader's cursors
	hint int    // of an event stream: milliseconds before the next connection, 0 for none

	// Of a poll.
	tail    []byte      // the frame to end it with
	problem *wire.Error // every channel was refused: the first reason
	refused bool        // a channel was
}

func newMailbox(places []place) *mailbox {
	return &mailbox{places: places, box: make(chan letter, 1), gone: make(chan struct{}), end: make(chan struct{})}
}

// put is called in the flusher's goroutine, while the connection is not blocked.
func (m *mailbox) put(l letter, shared bool) {
	if !shared {
		l.text = append([]byte(nil), l.text...)
	}
	m.conn.block()
	n := &m.conn.gateway.counters
	n.Messages.Add(1)
	n.Bytes.Add(uint64(len(l.text) + len(l.tail)))
	m.box <- l // it is empty, since the connection was not blocked
}

// locate brings the places up to what the reader has with the message that is about to be put. It is
// called in the flusher's goroutine.
func (m *mailbox) locate(text []byte) {
	s := &m.conn.session
	s.mu.Lock()
	for i := range m.places {
		p := &m.places[i]
		if sub := s.findLocked(p.channel); sub != nil && sub.tap != nil {
			p.cursor, p.known = sub.pos.Cursor, true
		}
	}
	watching := len(s.watched) > 0
	s.mu.Unlock()
	if !watching {
		return
	}
	gjson.ParseBytes(text).ForEach(func(_, frame gjson.Result) bool {
		version := frame.Get("version").Uint()
		switch frame.Get("type").Str {
		case wire.TypeMembers, wire.TypeMember:
			if frame.Get("stale_since_ms").Exists() {
				version = noMembers
			}
		case "error":
			if frame.Get("path").Str != presencePath {
				return true
			}
			version = noMembers
		default:
			return true
		}
		if p := findPlace(m.places, frame.Get("channel").Str); p != nil {
			p.members = &version
		}
		return true
	})
}

// close has the request end after what is in the box.
func (m *mailbox) close(code int, _ string) {
	m.endOf.Do(func() {
		m.code.Store(int64(code))
		close(m.end)
	})
}

// abort has the request end now.
func (m *mailbox) abort() { m.goneOf.Do(func() { close(m.gone) }) }
