package wire

import "encoding/json"

// Limits of requests over HTTP.
const (
	// MaxWaitMS is how long a poll may wait, and DefaultWaitMS how long it waits, in milliseconds.
	MaxWaitMS     = 60_000
	DefaultWaitMS = 25_000
)

// StreamRequest is the body of `POST /v1/poll` and `POST /v1/sse`: which channels, and from where.
type StreamRequest struct {
	// Session names the logical client. It may be left out where presence is not asked for.
	Session string `json:"session,omitempty"`
	// Channels are answered each for itself. None may be named twice.
	Channels []StreamChannel `json:"channels"`
	// Present are the channels in which the session is present: each poll is its heartbeat there.
	Present []StreamPresence `json:"present,omitempty"`
	// Cursors is a composite of an earlier answer for the same channels. A channel's own cursor or since
	// wins over it.
	Cursors string `json:"cursors,omitempty"`
	// WaitMS is how long a poll waits for something to tell, in milliseconds from 0 to MaxWaitMS; absent
	// means DefaultWaitMS.
	WaitMS *int64 `json:"wait_ms,omitempty"`
}

// StreamChannel is one channel of a StreamRequest.
type StreamChannel struct {
	Channel string `json:"channel"`
	// Cursor resumes after an entry; Since rewinds to an RFC 3339 time; neither means from now on.
	Cursor string `json:"cursor,omitempty"`
	Since  string `json:"since,omitempty"`
	// Presence asks for the channel's members and their changes. Members is the version that the client
	// has, from the answer to the last poll: while it holds nothing is sent.
	Presence bool    `json:"presence,omitempty"`
	Members  *uint64 `json:"members,omitempty"`
}

// StreamPresence says that a poll's session is present in a channel. Status is any JSON value; absent
// keeps the one that the session has.
type StreamPresence struct {
	Channel string          `json:"channel"`
	Status  json.RawMessage `json:"status,omitempty"`
}

// CommandsRequest is the body of `POST /v1/commands`: client frames for a session that reads by polling or
// from an event stream.
type CommandsRequest struct {
	// Session names the logical client. It is required for Seq and for presence.
	Session string `json:"session,omitempty"`
	// Seq counts the requests of a session: 1, 2, 3 … one at a time. A repeated one is answered as before,
	// without being done again. 0 or absent means neither order nor memory.
	Seq uint64 `json:"seq,omitempty"`
	// Frames is a client message: one frame or an array of them.
	Frames json.RawMessage `json:"frames"`
}
