// Package inspect is what a gateway tells about itself to the on-call: the shapes that package gateway
// fills and package admin serves. It has no logic.
package inspect

import (
	"context"
	"time"

	"github.com/tallywire/tallywire/broker"
)

// Local is what one gateway can say and do. *gateway.Gateway is one. Answers are of this gateway only;
// package admin asks all of them. All methods are safe for concurrent use and cheap enough to be called
// every second.
type Local interface {
	// Overview returns the gateway's state and totals.
	Overview() Overview
	// Channels returns the open channels whose names begin with prefix, sorted, after a name, at most limit.
	Channels(prefix, after string, limit int) []Channel
	// Sessions returns the sessions of a user that are connected here.
	Sessions(user string) []Session
	// Disconnect closes the connections of a session and returns how many there were. The client
	// reconnects unless its token is revoked too.
	Disconnect(user, session string) int
	// Explain says what became of one event for one user here, from the live subscriptions and from what
	// is remembered of those that have ended.
	Explain(ctx context.Context, user, channel string, cursor broker.Cursor) []Trace
}

// Drainer is a gateway that can be drained and goes on to run. *gateway.Gateway is one.
type Drainer interface {
	// StartDrain begins to move the connections away and returns at once. A drain that has begun already is
	// an error.
	StartDrain(Drain) error
	// UndoDrain makes the gateway ready again. Clients that were told to move move all the same. It does
	// nothing where nothing was begun; a gateway that is ending goes on to end, which is an error.
	UndoDrain() error
}

// LogLeveler is a gateway whose log can be made to say more, or less, for a while.
type LogLeveler interface {
	// SetLogLevel has the log begin at a level, which is one of debug, info, warn and error, for a time. It
	// returns when that is over, and the configured level holds again.
	SetLogLevel(level string, d time.Duration) (until time.Time)
}

// Drain is how the connections of a gateway are moved away.
//
//	Wait     not ready, and serving as before, until load balancers have noticed
//	Window   no new connections; those that are here are told to move, evenly spread over the window
//	after    those that are still here are closed with 1012, each a few seconds after its own time
type Drain struct {
	Wait, Window time.Duration
}

// Overview is a gateway's state. Counts of events and messages are totals since the start; rates are made
// from two of them.
type Overview struct {
	Gateway     string    `json:"gateway"`
	Version     string    `json:"version"`
	Start       time.Time `json:"start"`
	Now         time.Time `json:"now"`
	Ready       bool      `json:"ready"`
	Reason      string    `json:"reason,omitempty"` // why it is not ready
	Draining    bool      `json:"draining"`
	RoundTripUS int64     `json:"round_trip_us"` // the last probe's, in microseconds

	Connections   int `json:"connections"`
	Sessions      int `json:"sessions"`
	Channels      int `json:"channels"`
	Subscriptions int `json:"subscriptions"`

	Accepted      uint64 `json:"accepted"`
	Refused       uint64 `json:"refused"`
	Commands      uint64 `json:"commands"`
	BadFrames     uint64 `json:"bad_frames"`
	Published     uint64 `json:"published"`
	Delivered     uint64 `json:"delivered"`
	Skipped       uint64 `json:"skipped"`
	Messages      uint64 `json:"messages"`
	Bytes         uint64 `json:"bytes"`
	Resets        uint64 `json:"resets"`
	Resumed       uint64 `json:"resumed"`
	Repairs       uint64 `json:"repairs"`
	Invalid       uint64 `json:"invalid"`
	SlowConsumers uint64 `json:"slow_consumers"`
	Panics        uint64 `json:"panics"`
}

// Channel is a channel that is open at a gateway.
type Channel struct {
	Channel     string    `json:"channel"`
	Head        string    `json:"head"` // a cursor
	Subscribers int       `json:"subscribers"`
	LastEvent   time.Time `json:"last_event,omitzero"`
}

// Session is a session that is connected to a gateway.
type Session struct {
	User          string         `json:"user"`
	Session       string         `json:"session"`
	Transport     string         `json:"transport"`
	Since         time.Time      `json:"since"`
	LastSeen      time.Time      `json:"last_seen"`
	Remote        string         `json:"remote,omitempty"`
	UserAgent     string         `json:"user_agent,omitempty"`
	Expires       time.Time      `json:"expires,omitzero"`
	Subscriptions []Subscription `json:"subscriptions,omitempty"`
}

// Subscription is a reader of a channel.
type Subscription struct {
	Channel string    `json:"channel"`
	Since   time.Time `json:"since"`
	From    string    `json:"from"`   // the cursor where it began
	Cursor  string    `json:"cursor"` // the last entry written to the socket
	Behind  uint64    `json:"behind"` // entries between it and the head
}

// Outcome says what became of an event for a session.
type Outcome string

// Outcomes. The cluster's answer adds "trimmed" and "never_published" from the stream.
const (
	Delivered     Outcome = "delivered"     // written to the session's socket
	Skipped       Outcome = "skipped"       // accounted for without delivery: conflated, or invalid
	Pending       Outcome = "pending"       // the session is subscribed and has not come so far
	ResetOver     Outcome = "reset"         // a reset told the session that it is lost
	Forbidden     Outcome = "forbidden"     // the token did not allow the channel
	NotCovered    Outcome = "not_covered"   // the session was subscribed, but not at that place
	NotConnected  Outcome = "not_connected" // nothing is known of the user here
	NotSubscribed Outcome = "not_subscribed"
)

// Trace is one fact about one session.
type Trace struct {
	Gateway string    `json:"gateway"`
	Session string    `json:"session"`
	Outcome Outcome   `json:"outcome"`
	Time    time.Time `json:"time"` // of the fact, or of the last that is known
	Detail  string    `json:"detail,omitempty"`
}
