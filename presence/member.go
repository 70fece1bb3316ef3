package presence

import (
	"encoding/json"
	"time"
)

// Limits, in bytes unless they say otherwise.
const (
	MaxStatus    = 4 << 10
	MaxUser      = 256
	MaxName      = 256
	MaxSessionID = 128
	MaxClaim     = 64
	MaxSessions  = 256       // sessions of one member in one channel
	MaxGrace     = time.Hour // grace of an entry
)

// Defaults of what implementations and their callers configure.
const (
	DefaultGrace = 10 * time.Second
	DefaultTTL   = 10 * time.Second
)

// State is how a member is here.
type State string

const (
	// Live means that at least one session is connected.
	Live State = "live"
	// Grace means that no session is connected, and that the last one may still come back.
	Grace State = "grace"
)

// Member is a user in a channel.
type Member struct {
	User string `json:"user"`
	// Name is the display name that the session which entered last brought.
	Name  string `json:"name,omitempty"`
	State State  `json:"state"`
	// Since is when the member joined, by the store's clock.
	Since time.Time `json:"since"`
	// Sessions counts the member's sessions, those in grace included. It is 0 in a leave.
	Sessions int `json:"sessions"`
	// Status is the JSON that the session which set one last has set; where that session has left, the
	// remaining session's that was set last. It is empty where none has one.
	Status json.RawMessage `json:"status,omitempty"`
}

// Action is what a change does.
type Action string

// Actions.
const (
	Join   Action = "join"
	Update Action = "update"
	Leave  Action = "leave"
)

// Change is one change of a channel's members. It carries the member as it is after it.
type Change struct {
	Channel string
	// Version numbers the changes of a channel: microseconds of the store's clock, raised where needed so
	// that they strictly increase. Prev is the version before, 0 where the store knows of none (the
	// channel had no members for long, or the store lost its data).
	Version, Prev uint64
	Action        Action
	Member        Member
}

// PageRequest asks for a page of members, ordered by user (bytewise).
type PageRequest struct {
	// After is the user after which the page begins, "" for the first page.
	After string
	// Limit bounds the members of a page (default 100, at most 1,000). A page may hold fewer although
	// more follow, because its bytes are bounded too: Next decides.
	Limit int
}

// Limits of a PageRequest.
const (
	DefaultPageLimit = 100
	MaxPageLimit     = 1000
	// MaxPageBytes bounds the members of a page in bytes of JSON; at least one member is returned.
	MaxPageBytes = 256 << 10
)

// WithDefaults fills and caps the limit.
func (r PageRequest) WithDefaults() PageRequest {
	if r.Limit <= 0 {
		r.Limit = DefaultPageLimit
	}
	r.Limit = min(r.Limit, MaxPageLimit)
	return r
}

// Page is a part of a channel's members and what is known about the whole, taken in one atomic step.
type Page struct {
	// Version is that of the last change, 0 where the store knows of none.
	Version uint64
	// Count is the number of members of the channel, Sessions that of their sessions.
	Count, Sessions int
	Members         []Member
	// Next is the After of the next page, "" where this is the last one.
	Next string
	// StaleSince is zero for an answer of the store. Otherwise the store is away, and the page is what it
	// answered at this time (by the gateway's clock).
	StaleSince time.Time
}
