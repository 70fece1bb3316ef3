package wire

import (
	"strconv"

	"github.com/tallywire/tallywire/broker"
)

// Next is the last frame of the answer to a poll: where the client stands.
type Next struct {
	// Channels are in the form that the next request takes.
	Channels []NextChannel
	// Cursors is their composite.
	Cursors string
	// More is set when there is more already.
	More bool
	// Degraded is set while events are late.
	Degraded bool
}

// NextChannel is one channel of a Next.
type NextChannel struct {
	Channel  string
	Cursor   *broker.Cursor // nil where the channel could not be opened for now
	Since    string         // where the client asked for a time, and the channel could not be opened for now
	Presence bool
	Members  *uint64 // the version of the members that the client has, nil for none
}

// AppendNext appends a `next` frame.
func AppendNext(b []byte, n *Next) []byte {
	b = append(b, `{"type":"next","channels":[`...)
	for i := range n.Channels {
		c := &n.Channels[i]
		if i > 0 {
			b = append(b, ',')
		}
		b = append(b, `{"channel":"`...)
		b = append(b, c.Channel...)
		b = append(b, '"')
		if c.Cursor != nil {
			b = appendCursor(b, `,"cursor":"`, *c.Cursor)
		}
		if c.Since != "" {
			b = append(b, `,"since":`...)
			b = AppendString(b, c.Since)
		}
		if c.Presence {
			b = append(b, `,"presence":true`...)
			if c.Members != nil {
				b = append(b, `,"members":`...)
				b = strconv.AppendUint(b, *c.Members, 10)
			}
		}
		b = append(b, '}')
	}
	b = append(b, `],"cursors":`...)
	b = AppendString(b, n.Cursors)
	if n.More {
		b = append(b, `,"more":true`...)
	}
	if n.Degraded {
		b = append(b, `,"degraded":true`...)
	}
	return append(b, '}')
}
