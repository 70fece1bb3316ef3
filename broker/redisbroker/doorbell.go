package redisbroker

import (
	"bytes"

	"github.com/tallywire/tallywire/broker"
)

// parseDoorbell reads "<offset>-<stamp> <stamp before> <event>" or "~ <event>". The event is a part of
// payload. A doorbell that is none of these was rung by a bare PUBLISH; it is counted and ignored, since
// the stream is the truth.
func parseDoorbell(payload []byte) (e broker.Entry, signal, ok bool) {
	if rest, found := bytes.CutPrefix(payload, []byte("~ ")); found {
		return broker.Entry{Event: rest}, true, plausible(rest)
	}
	id, rest, found := bytes.Cut(payload, []byte(" "))
	if !found {
		return e, false, false
	}
	before, event, found := bytes.Cut(rest, []byte(" "))
	if !found || !plausible(event) {
		return e, false, false
	}
	offset, stamp, found := bytes.Cut(id, []byte("-"))
	if !found {
		return e, false, false
	}
	var okOffset, okStamp, okBefore bool
	e.Cursor.Offset, okOffset = parseUint(offset)
	e.Cursor.Stamp, okStamp = parseUint(stamp)
	e.Prev, okBefore = parseUint(before)
	e.Event = event
	ok = okOffset && okStamp && okBefore && e.Cursor.Offset > 1 && e.Prev < e.Cursor.Stamp
	return e, false, ok
}

func plausible(event []byte) bool {
	return len(event) >= 2 && event[0] == '{' && event[len(event)-1] == '}'
}

// forPresence reports whether a doorbell tells of members: "% <version> <version before> <json>".
func forPresence(payload []byte) bool { return bytes.HasPrefix(payload, []byte("% ")) }

// hearPresence hands on what was heard for presence.
func (b *shard) hearPresence(s *subscription, payload []byte) {
	if b.options.Presence == nil || s.probe {
		return
	}
	s.tell.Lock()
	defer s.tell.Unlock()
	b.options.Presence(s.channel, payload)
}
