package wire

import (
	"strconv"
	"unicode/utf8"

	"github.com/tallywire/tallywire/broker"
)

// Frames without fields, and the message that carries a ping.
var (
	PingFrame   = []byte(`{"type":"ping"}`)
	PongFrame   = []byte(`{"type":"pong"}`)
	PingMessage = []byte(`[{"type":"ping"}]`)
)

// Connected answers `connect`.
type Connected struct {
	Session string
	User    string
	Gateway string
	PingMS  int64
	Expires int64 // Unix seconds; 0 means never
}

// AppendConnected appends a `connected` frame.
func AppendConnected(b, id []byte, c Connected) []byte {
	b = append(b, `{"type":"connected"`...)
	b = appendID(b, id)
	b = append(b, `,"session":`...)
	b = AppendString(b, c.Session)
	b = append(b, `,"user":`...)
	b = AppendString(b, c.User)
	b = append(b, `,"gateway":`...)
	b = AppendString(b, c.Gateway)
	b = append(b, `,"ping_ms":`...)
	b = strconv.AppendInt(b, c.PingMS, 10)
	if c.Expires > 0 {
		b = append(b, `,"expires":`...)
		b = strconv.AppendInt(b, c.Expires, 10)
	}
	return append(b, '}')
}

// AppendRefreshed answers `refresh`.
func AppendRefreshed(b, id []byte, expires int64) []byte {
	b = append(b, `{"type":"refreshed"`...)
	b = appendID(b, id)
	b = append(b, `,"expires":`...)
	b = strconv.AppendInt(b, expires, 10)
	return append(b, '}')
}

// AppendSubscribed answers `subscribe` for one channel. cursor is where the events that follow begin.
func AppendSubscribed(b, id []byte, channel string, cursor, head broker.Cursor, resumed bool) []byte {
	b = append(b, `{"type":"subscribed"`...)
	b = appendID(b, id)
	b = appendChannel(b, channel)
	b = appendCursor(b, `,"cursor":"`, cursor)
	b = appendCursor(b, `,"head":"`, head)
	b = append(b, `,"resumed":`...)
	b = strconv.AppendBool(b, resumed)
	return append(b, '}')
}

// AppendUnsubscribed answers `unsubscribe` for one channel.
func AppendUnsubscribed(b, id []byte, channel string) []byte {
	b = append(b, `{"type":"unsubscribed"`...)
	b = appendID(b, id)
	b = appendChannel(b, channel)
	return append(b, '}')
}

// AppendPublished answers `publish`, and a `signal` that has an id: with neither cursor nor ack.
func AppendPublished(b, id []byte, r broker.Receipt) []byte {
	b = append(b, `{"type":"published"`...)
	b = appendID(b, id)
	if !r.Cursor.IsZero() {
		b = appendCursor(b, `,"cursor":"`, r.Cursor)
	}
	if r.Ack != "" {
		b = append(b, `,"ack":"`...)
		b = append(b, r.Ack...)
		b = append(b, '"')
	}
	b = append(b, `,"duplicate":`...)
	b = strconv.AppendBool(b, r.Duplicate)
	return append(b, '}')
}

// AppendReset tells a subscriber that events may be lost; those after cursor follow.
func AppendReset(b []byte, channel, reason string, cursor, head broker.Cursor) []byte {
	b = append(b, `{"type":"reset"`...)
	b = appendChannel(b, channel)
	b = append(b, `,"reason":"`...)
	b = append(b, reason...)
	b = append(b, '"')
	b = appendCursor(b, `,"cursor":"`, cursor)
	b = appendCursor(b, `,"head":"`, head)
	return append(b, '}')
}

// AppendEventOpen appends an event frame without its closing brace, so that it can be encoded once and
// ended by AppendEventClose for each kind of reader.
func AppendEventOpen(b []byte, channel string, cursor broker.Cursor, event []byte) []byte {
	b = append(b, `{"type":"event"`...)
	b = appendChannel(b, channel)
	b = appendCursor(b, `,"cursor":"`, cursor)
	b = append(b, `,"event":`...)
	return append(b, event...)
}

// AppendEventClose ends an event frame; skipped is how many events before it were left out.
func AppendEventClose(b []byte, skipped uint64) []byte {
	if skipped > 0 {
		b = append(b, `,"skipped":`...)
		b = strconv.AppendUint(b, skipped, 10)
	}
	return append(b, '}')
}

// AppendSkip closes the account of skipped events where no event follows.
func AppendSkip(b []byte, channel string, cursor broker.Cursor, skipped uint64) []byte {
	b = append(b, `{"type":"skip"`...)
	b = appendChannel(b, channel)
	b = appendCursor(b, `,"cursor":"`, cursor)
	b = append(b, `,"skipped":`...)
	b = strconv.AppendUint(b, skipped, 10)
	return append(b, '}')
}

// AppendSignal appends an ephemeral event.
func AppendSignal(b []byte, channel string, event []byte) []byte {
	b = append(b, `{"type":"signal"`...)
	b = appendChannel(b, channel)
	b = append(b, `,"event":`...)
	b = append(b, event...)
	return append(b, '}')
}

// AppendMoving tells a client to open its next connection after a while.
func AppendMoving(b []byte, afterMS int64) []byte {
	b = append(b, `{"type":"moving","after_ms":`...)
	b = strconv.AppendInt(b, afterMS, 10)
	return append(b, '}')
}

// AppendDegraded tells that the gateway's path to the store is broken (events are late, none is lost),
// or is whole again.
func AppendDegraded(b []byte, degraded bool, reason string, sinceUnixMS int64) []byte {
	b = append(b, `{"type":"degraded","degraded":`...)
	b = strconv.AppendBool(b, degraded)
	if degraded {
		b = append(b, `,"reason":`...)
		b = AppendString(b, reason)
	}
	b = append(b, `,"since_ms":`...)
	b = strconv.AppendInt(b, sinceUnixMS, 10)
	return append(b, '}')
}

// AppendError appends an `error` frame.
func AppendError(b, id []byte, e *Error) []byte {
	b = append(b, `{"type":"error"`...)
	b = appendID(b, id)
	if e.Channel != "" {
		b = append(b, `,"channel":`...)
		b = AppendString(b, e.Channel)
	}
	b = append(b, `,"code":"`...)
	b = append(b, e.Code...)
	b = append(b, `","message":`...)
	b = AppendString(b, e.Message)
	b = append(b, `,"retry":`...)
	b = strconv.AppendBool(b, e.Code.Retry())
	if e.Path != "" {
		b = append(b, `,"path":`...)
		b = AppendString(b, e.Path)
	}
	return append(b, '}')
}

func appendID(b, id []byte) []byte {
	if len(id) == 0 {
		return b
	}
	b = append(b, `,"id":`...)
	return append(b, id...)
}

// appendChannel appends a valid channel name, which needs no escaping.
func appendChannel(b []byte, channel string) []byte {
	b = append(b, `,"channel":"`...)
	b = append(b, channel...)
	return append(b, '"')
}

func appendCursor(b []byte, key string, c broker.Cursor) []byte {
	b = append(b, key...)
	b = c.Append(b)
	return append(b, '"')
}

// AppendString appends s as a JSON string; invalid UTF-8 becomes U+FFFD.
func AppendString(b []byte, s string) []byte {
	const hex = "0123456789abcdef"
	b = append(b, '"')
	for i := 0; i < len(s); {
		c := s[i]
		switch {
		case c == '"' || c == '\\':
			b = append(b, '\\', c)
			i++
		case c < 0x20 || c == 0x7f:
			b = append(b, '\\', 'u', '0', '0', hex[c>>4], hex[c&15])
			i++
		case c < utf8.RuneSelf:
			b = append(b, c)
			i++
		default:
			r, size := utf8.DecodeRuneInString(s[i:])
			b = utf8.AppendRune(b, r)
			i += size
		}
	}
	return append(b, '"')
}
