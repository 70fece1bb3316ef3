package gateway

import "time"

// transport is how a connection reaches its client, as the on-call reads it.
type transport string

const (
	transportWebSocket transport = "websocket"
	transportSSE       transport = "sse"
	transportPoll      transport = "poll"
	// transportCommands is no connection but what is kept of a session between its requests: see visit.
	transportCommands transport = "commands"
)

// outlet is the way from a connection's flusher to the client. The flusher calls write, tick and move;
// close and abort may be called from anywhere.
type outlet interface {
	// write takes a message without blocking. Where it cannot be out at once, the connection is blocked
	// until it is.
	write(f *flusher, m message)
	// tick is called from time to time: to keep the connection alive, and to notice when it is not.
	tick(f *flusher, silence int64)
	// move tells the client to open its next connection after a time, and reports whether it keeps this one
	// until it has done so.
	move(after time.Duration) (overlap bool)
	// close ends the connection with a code that says why, once the last message is out. It may block.
	close(code int, reason string)
	// abort ends it without a word.
	abort()
}

// message is what is written at once.
type message struct {
	text   []byte // a JSON array of frames
	framed []byte // text as a WebSocket frame
	shared bool   // among connections, and never changed; otherwise it is the flusher's again after write
}
