// Package wire is the grammar that clients and gateways speak on every transport: frames and their
// codec, error codes, close codes. It knows nothing of connections.
//
// A server message is a JSON array of frames; a client message is one frame or an array of them.
// [Decode] reads client messages, the Append functions write server frames, [Message] reads server
// messages on the client's side. docs/protocol.md describes every field.
package wire

// Subprotocol is the WebSocket subprotocol. A client that names none is served the same grammar.
const Subprotocol = "tallywire.v1"

// Limits of a client message that do not depend on configuration.
const (
	MaxIDLen      = 64   // bytes of a frame's id, as JSON
	MaxSessionLen = 128  // bytes of a session's name
	MaxTokenLen   = 8192 // bytes of a token
	MaxFrames     = 256  // frames in one client message
)
