package presence

import (
	"context"
	"encoding/json"
	"time"
)

// Tracker is one gateway's part in presence. All methods are safe for concurrent use.
//
// Enter and Leave tell what is so; the tracker remembers it, brings the store up to it in the order in
// which it was told, and repeats that after an outage or the loss of its lease. They return when the
// store has it, or earlier with an error. What changes several times before the store has it is written
// once, with its last value.
type Tracker interface {
	// Run serves until ctx ends and then returns nil: it owns every goroutine of the tracker, holds the
	// lease, reaps, ends grace periods, and calls sink. It is called once. Before it runs, Enter and Leave
	// wait. When ctx ends, the sessions that are still here go into grace and the lease is given up.
	Run(ctx context.Context, sink Sink) error

	// Enter makes a session present in a channel, or updates it there. It is idempotent.
	Enter(ctx context.Context, e Entry) error

	// Leave ends a session's presence in a channel: after its grace, or at once. It does nothing when the
	// session is not here with that claim.
	Leave(ctx context.Context, e Exit) error

	// Members returns a page of a channel's members. It costs what the page costs, whatever the size of
	// the channel. While the store is away it returns an earlier answer, where it has one, with StaleSince.
	Members(ctx context.Context, channel string, r PageRequest) (Page, error)
}

// Entry is a session in a channel.
type Entry struct {
	Channel string
	// User and Session name the session: session ids are chosen by clients and count per user.
	User, Session string
	// Claim names the session's stay at this gateway: another one each time that the session arrives
	// (a new connection), the same in updates. It must be unique among all claims of this tracker. The
	// claim that came last holds the session; Enter with one that it has replaced gives ErrMoved, and
	// Leave with one does nothing. So a connection that ends late does no harm to its successor.
	Claim string
	// Name is the user's display name.
	Name string
	// Status, when not nil, is the session's new status: any JSON value, null for none. Nil keeps the
	// status that the session has, also the one it had at another gateway.
	Status json.RawMessage
	// Grace is how long the session stays without a connection; 0 means not at all.
	Grace time.Duration
}

// Exit is the end of an Entry.
type Exit struct {
	Channel, User, Session, Claim string
	// Now skips the grace: the client said goodbye or unsubscribed.
	Now bool
	// Grace, where it is not 0, is how long the session stays from now on, in place of the entry's grace.
	Grace time.Duration
}

// Sink takes what a tracker hears and answers what it asks. Its methods must not block or call the tracker.
type Sink interface {
	// Change tells of a change in a channel to which this gateway's broker is subscribed; of others it may
	// tell too. For one channel calls are never concurrent, and in order of versions as far as nothing is
	// lost: see Change.Prev.
	Change(c Change)
	// Stale tells that changes of the channel may have been missed, whatever comes next: a new snapshot is
	// needed. The channel "" means every channel.
	Stale(channel string)
	// Report returns what the gateway says about itself with its lease. It is called at each refresh.
	Report() Report
}
