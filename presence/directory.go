package presence

import (
	"context"
	"time"
)

// Directory answers the on-call: where a user is connected, and which gateways there are. A [Tracker]'s
// implementation is one too. SetSession and RemoveSession follow the rules of Enter and Leave. All
// methods are safe for concurrent use.
type Directory interface {
	// SetSession tells that a session is connected to this gateway, or what has changed about it.
	SetSession(ctx context.Context, s SessionInfo) error
	// RemoveSession tells that it is connected no more. It does nothing when the session has meanwhile
	// come with another claim, here or elsewhere.
	RemoveSession(ctx context.Context, user, session, claim string) error
	// UserSessions returns the sessions of a user that are connected to gateways whose lease lives, the
	// oldest first. A user without any, or an unknown one, has none.
	UserSessions(ctx context.Context, user string) ([]SessionInfo, error)
	// Gateways returns the gateways whose lease lives, and those that died and are not reaped yet, by id.
	Gateways(ctx context.Context) ([]GatewayInfo, error)
}

// MaxSessionChannels bounds SessionInfo.Channels; more are cut off.
const MaxSessionChannels = 100

// SessionInfo is one session of a user, for people.
type SessionInfo struct {
	User    string `json:"user"`
	Session string `json:"session"`
	// Claim is as in Entry.
	Claim string `json:"claim"`
	// Gateway is the gateway's id; the tracker sets it.
	Gateway string `json:"gateway"`
	// Transport is "websocket", "sse" or "poll".
	Transport string `json:"transport"`
	// Since is when the session connected here, LastSeen when its client was last heard of, by the
	// gateway's clock. LastSeen is as old as the last SetSession.
	Since    time.Time `json:"since"`
	LastSeen time.Time `json:"last_seen"`
	// Remote is the client's address, UserAgent what it says it is (cut to 256 bytes).
	Remote    string `json:"remote,omitempty"`
	UserAgent string `json:"user_agent,omitempty"`
	// Channels are some of the subscribed channels, ChannelCount is how many there are.
	Channels     []string `json:"channels,omitempty"`
	ChannelCount int      `json:"channel_count"`
}

// Report is what a gateway says about itself.
type Report struct {
	// Connections and Sessions are counts of now, Channels that of the channels with subscribers.
	Connections int `json:"connections"`
	Sessions    int `json:"sessions"`
	Channels    int `json:"channels"`
	// Published and Delivered are events since the start.
	Published uint64 `json:"published"`
	Delivered uint64 `json:"delivered"`
	Draining  bool   `json:"draining"`
}

// GatewayInfo is one gateway as its lease tells it.
type GatewayInfo struct {
	ID string `json:"id"`
	// Incarnation is the number of the lease: when it was taken, in microseconds of the store's clock.
	Incarnation uint64 `json:"incarnation"`
	// Version, Address and Start are the program's; Address is where its admin API listens, or empty.
	Version string    `json:"version,omitempty"`
	Address string    `json:"address,omitempty"`
	Start   time.Time `json:"start"`
	// Live is false for a gateway whose lease has ended and whose members are not reaped yet; what
	// follows is then unknown.
	Live bool `json:"live"`
	// Age is how long ago the lease was refreshed, Left how long it still holds, by the store's clock.
	Age  time.Duration `json:"age"`
	Left time.Duration `json:"left"`
	Report
}
