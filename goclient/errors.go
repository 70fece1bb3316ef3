package goclient

import (
	"errors"
	"fmt"
	"net/http"
	"time"

	"github.com/coder/websocket"

	"github.com/tallywire/tallywire/broker"
	"github.com/tallywire/tallywire/gateway/wire"
)

var (
	// ErrStopped is returned by calls on a client whose Run has returned.
	ErrStopped = errors.New("client stopped")
	// ErrNotConnected is returned by Signal when there is no connection to carry it.
	ErrNotConnected = errors.New("not connected")
	// ErrSubscribed is returned by Subscribe for a channel that has a subscription already.
	ErrSubscribed = errors.New("already subscribed")
	// ErrUnknownOutcome is returned, joined with the context's error, by a publish that was sent but not
	// answered: the event may or may not be in the channel. The same event with the same id may be
	// published again without harm.
	ErrUnknownOutcome = errors.New("outcome unknown")
)

// StatusError is an HTTP answer that is no WebSocket handshake.
type StatusError struct {
	// Status is the HTTP status code.
	Status int
	// RetryAfter is how long the server asks to stay away; 0 when it does not say.
	RetryAfter time.Duration
	// Code and Detail are the gateway's words; empty when the answer came from something else.
	Code   wire.Code
	Detail string

	err error
}

func (e *StatusError) Error() string {
	text := fmt.Sprintf("status %d %s", e.Status, http.StatusText(e.Status))
	if e.Code != "" {
		text += ": " + string(e.Code) + ": " + e.Detail
	}
	return text
}

func (e *StatusError) Unwrap() error { return e.err }

// ChannelError is a gateway's refusal or trouble on one channel. It is given to OnError and [Subscription.Ready].
type ChannelError struct {
	Channel string
	// Err is what the gateway said.
	Err *wire.Error
	// Retry reports whether the client goes on trying: soon, with backoff. Where it is false, it tries
	// again with the next connection or token if these can change the answer.
	Retry bool
}

func (e *ChannelError) Error() string { return fmt.Sprintf("channel %s: %s", e.Channel, e.Err.Error()) }

func (e *ChannelError) Unwrap() error { return e.Err }

// ViolationError is a break of the guarantee that the gateway did not announce. The client has counted
// it and resumes from Position; nothing after Position was given to the handler.
type ViolationError struct {
	Channel string
	// Frame is the type of the frame that does not fit.
	Frame string
	// Position is the last event whose handler has run.
	Position broker.Cursor
	// Sent is the last cursor that this connection had sent.
	Sent broker.Cursor
	// Got and Skipped are what the frame said instead.
	Got     broker.Cursor
	Skipped uint64
}

func (e *ViolationError) Error() string {
	return fmt.Sprintf("channel %s: %s %s (skipped %d) does not follow %s (position %s)",
		e.Channel, e.Frame, e.Got, e.Skipped, e.Sent, e.Position)
}

// needsToken reports whether an error says that only another token helps.
func needsToken(err error) bool {
	var refused *wire.Error
	if errors.As(err, &refused) {
		switch refused.Code {
		case wire.CodeUnauthorized, wire.CodeTokenExpired, wire.CodeTokenRevoked:
			return true
		default:
		}
	}
	var status *StatusError
	if errors.As(err, &status) && status.Status == http.StatusUnauthorized {
		return true
	}
	return websocket.CloseStatus(err) == wire.CloseUnauthorized
}
