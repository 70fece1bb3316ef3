package wire

import (
	"encoding/json"
	"fmt"

	"github.com/tallywire/tallywire/broker"
	"github.com/tallywire/tallywire/presence"
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

	// Of presence.
	Version      uint64            `json:"version,omitempty"`
	Prev         uint64            `json:"prev,omitempty"`
	Action       presence.Action   `json:"action,omitempty"`
	Member       *presence.Member  `json:"member,omitempty"`
	Members      []presence.Member `json:"members,omitempty"`
	Count        int               `json:"count,omitempty"`
	Sessions     int               `json:"sessions,omitempty"`
	Next         string            `json:"next,omitempty"`
	StaleSinceMS int64             `json:"stale_since_ms,omitempty"`
}

// Message reads a server message.
func Message(b []byte) ([]Frame, error) {
	var frames []Frame
	if err := json.Unmarshal(b, &frames); err != nil {
		return nil, fmt.Errorf("decode server message: %w", err)
	}
	return frames, nil
}
