package inbox

import (
	"context"
	"errors"
	"time"
)

// Errors of a Store, wrapped with the operation. Any other error means that the store could not be reached, not
// in time, or has refused.
var (
	// ErrLost means that the token does not hold the lease; nothing was taken.
	ErrLost = errors.New("the lease is lost")
)

// Entry is what a worker has added.
type Entry struct {
	// ID names the entry within the inbox. It is "<milliseconds>-<number>", and greater than those before it.
	ID string
	// Channel is the channel's name as it stands in the entry, perhaps cut; empty where there is none.
	Channel string
	// Event is the event's JSON, cut behind more than events.MaxEventBytes; empty where there is none.
	Event []byte
	// Size is how many bytes the event has.
	Size int
}

// Batch is the answer to a Take.
type Batch struct {
	Entries []Entry
	// Claimed says that the entries had been taken before, by this or another gateway, and not finished.
	Claimed bool
}

// Lease is the state of the inbox, taken together with a try to hold the lease.
type Lease struct {
	// Held says whether the token holds the lease; Holder is the token that does.
	Held   bool
	Holder string
	// Left is how long the holder's lease lasts.
	Left time.Duration
	// Waiting is how many entries are in the inbox, those included that are being published. Oldest is the age
	// of the first of them, by the store's clock.
	Waiting int64
	Oldest  time.Duration
}

// Store is an inbox that several gateways share. Its methods are safe for concurrent use and bounded in time.
type Store interface {
	// Hold takes the lease for a token, or renews it, unless another token holds it. ttl is counted by the
	// store's clock.
	Hold(ctx context.Context, token string, ttl time.Duration) (Lease, error)

	// Release gives the lease back, if the token holds it.
	Release(ctx context.Context, token string) error

	// Take returns the next entries, in order and at most limit, provided that the token holds the lease; both
	// in one step. Entries with ids greater than after that were taken before and are not done come first, by
	// themselves; so whoever passes the last id that it has seen gets again what a lost answer held.
	Take(ctx context.Context, token, after string, limit int) (Batch, error)

	// Wait returns true once there is an entry with an id greater than after, and false after d. What it says is
	// a hint. It is not called concurrently.
	Wait(ctx context.Context, after string, d time.Duration) (bool, error)

	// Done removes entries. It may be repeated, and called by anybody.
	Done(ctx context.Context, ids []string) error
}
