package contract

import (
	"strconv"

	"github.com/tallywire/tallywire/gateway/wire"
)

// streamBodies are the requests of the transports over HTTP.
func streamBodies(l Limits) []body {
	channel := wire.ChannelName("")
	return []body{
		{name: "StreamChannel", value: wire.StreamChannel{}, notes: map[string]Note{
			"":         {Doc: "A channel of a request. With neither cursor nor since: from now on."},
			"channel":  {Kind: channel},
			"cursor":   {Kind: wire.CursorText(""), Doc: "Go on after this entry."},
			"since":    {Kind: wire.TimeText(""), Doc: "Go on after what was published up to this time."},
			"presence": {Doc: "Send the members too, and what changes about them."},
			"members":  {Doc: "The version of the members that the client has, from `next`."},
		}},
		{name: "StreamPresence", value: wire.StreamPresence{}, notes: map[string]Note{
			"":        {Doc: "A channel in which the session is present."},
			"channel": {Kind: channel},
			"status":  {Kind: wire.AnyJSON{}, Doc: "What the session says of itself; absent keeps what it said."},
		}},
		{name: "StreamRequest", value: wire.StreamRequest{}, notes: map[string]Note{
			"":         {Doc: "Channels to read, and from where. `present` and `wait_ms` are a poll's."},
			"session":  {Kind: wire.SessionID("")},
			"channels": {Doc: "1 to " + strconv.Itoa(l.Channels) + " channels, each answered for itself; none twice."},
			"present":  {Doc: "Where the session is present: each poll is its sign of life."},
			"cursors":  {Doc: "The composite of an earlier answer for the same channels; a channel's own cursor or since wins over it."},
			"wait_ms":  {Kind: WaitMS(0), Doc: "How long to wait for something to tell."},
		}},
		{name: "CommandsRequest", value: wire.CommandsRequest{}, notes: map[string]Note{
			"":        {Doc: "Frames of a session that polls or streams."},
			"session": {Kind: wire.SessionID("")},
			"seq":     {Doc: "Counts the requests of the session, 1, 2, 3 …, one at a time; without it there is neither order nor memory."},
			"frames":  {Kind: Frames{}, Doc: "A frame, or an array of them."},
		}},
	}
}

// WaitMS is how long a poll may wait.
type WaitMS int64

// JSONSchema implements wire.Described.
func (WaitMS) JSONSchema() wire.Schema {
	return wire.Schema{"type": "integer", "minimum": 0, "maximum": wire.MaxWaitMS, "default": wire.DefaultWaitMS}
}

// Frames are those of a commands request.
type Frames []byte

// JSONSchema implements wire.Described.
func (Frames) JSONSchema() wire.Schema {
	one := wire.Schema{"oneOf": refs(commandFrames, commandName)}
	return wire.Schema{"oneOf": []any{one, wire.Schema{"type": "array", "items": one, "maxItems": wire.MaxFrames}}}
}
