package goclient

import (
	"strconv"

	"github.com/tallywire/tallywire/broker"
	"github.com/tallywire/tallywire/gateway/wire"
	"github.com/tallywire/tallywire/namespace"
)

// The client's frames. Channel names are validated before they come here and need no escaping.

func appendOpen(b []byte, kind string, id uint64) []byte {
	b = append(b, `{"type":"`...)
	b = append(b, kind...)
	b = append(b, `","id":`...)
	return strconv.AppendUint(b, id, 10)
}

func appendConnect(b []byte, id uint64, token, session string) []byte {
	b = appendOpen(b, wire.TypeConnect, id)
	if token != "" {
		b = append(b, `,"token":`...)
		b = wire.AppendString(b, token)
	}
	if session != "" {
		b = append(b, `,"session":`...)
		b = wire.AppendString(b, session)
	}
	return append(b, '}')
}

func appendRefresh(b []byte, id uint64, token string) []byte {
	b = appendOpen(b, wire.TypeRefresh, id)
	b = append(b, `,"token":`...)
	b = wire.AppendString(b, token)
	return append(b, '}')
}

func appendPublish(b []byte, id uint64, channel string, event []byte, ack namespace.Ack) []byte {
	b = appendOpen(b, wire.TypePublish, id)
	b = append(b, `,"channel":"`...)
	b = append(b, channel...)
	b = append(b, '"')
	if ack != "" {
		b = append(b, `,"ack":`...)
		b = wire.AppendString(b, string(ack))
	}
	b = append(b, `,"event":`...)
	b = append(b, event...)
	return append(b, '}')
}

func appendSignal(b []byte, id uint64, channel string, event []byte) []byte {
	b = appendOpen(b, wire.TypeSignal, id)
	b = append(b, `,"channel":"`...)
	b = append(b, channel...)
	b = append(b, `","event":`...)
	b = append(b, event...)
	return append(b, '}')
}

// appendRequest appends one channel of a subscribe frame. At most one of cursor and since is sent.
func appendRequest(b []byte, channel string, cursor *broker.Cursor, since string, members bool) []byte {
	b = append(b, `{"channel":"`...)
	b = append(b, channel...)
	b = append(b, '"')
	switch {
	case cursor != nil:
		b = append(b, `,"cursor":"`...)
		b = cursor.Append(b)
		b = append(b, '"')
	case since != "":
		b = append(b, `,"since":`...)
		b = wire.AppendString(b, since)
	}
	if members {
		b = append(b, `,"presence":true`...)
	}
	return append(b, '}')
}
