package wire

import (
	"encoding/json"
	"fmt"

	"github.com/tallywire/tallywire/broker"
)

// Frame is a server frame as a client reads it. Which fields are set depends on Type.
type Frame struct {
	Type      string          `json:"type"`
	ID        json.RawMessage `json:"id,omitempty"`
	Channel   string          `json:"channel,omitempty"`
	Cursor    *broker.Cursor  `json:"cursor,omitempty"`
	Head      *broker.Cursor  `json:"head,omitempty"`
	Resumed   bool            `json:"resumed,omitempty"`
	Reason    string          `json:"reason,omitempty"`
	Event     json.RawMessage `json:"event,omitempty"`
	Skipped   uint64          `json:"skipped,omitempty"`
	Ack       string          `json:"ack,omitempty"`
	Duplicate bool            `json:"duplicate,omitempty"`
	Session   string          `json:"session,omitempty"`
	User      string          `json:"user,omitempty"`
	Gateway   string          `json:"gateway,omitempty"`
	PingMS    int64           `json:"ping_ms,omitempty"`
	Expires   int64           `json:"expires,omitempty"`
	AfterMS   int64           `json:"after_ms,omitempty"`
	Degraded  bool            `json:"degraded,omitempty"`
	SinceMS   int64           `json:"since_ms,omitempty"`
	Code      Code            `json:"code,omitempty"`
	Message   string          `json:"message,omitempty"`
	Retry     bool            `json:"retry,omitempty"`
	Path      string          `json:"path,omitempty"`
}

// Message reads a server message.
func Message(b []byte) ([]Frame, error) {
	var frames []Frame
	if err := json.Unmarshal(b, &frames); err != nil {
		return nil, fmt.Errorf("decode server message: %w", err)
	}
	return frames, nil
}
