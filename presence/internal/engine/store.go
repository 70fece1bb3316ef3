package engine

import (
	"context"
	"encoding/json"
	"strconv"
	"strings"
	"time"

	"github.com/tallywire/tallywire/presence"
)

// Owner is one incarnation of a gateway.
type Owner struct {
	Gateway     string
	Incarnation uint64
}

// String returns "<gateway>/<incarnation>".
func (o Owner) String() string { return o.Gateway + "/" + strconv.FormatUint(o.Incarnation, 10) }

// ParseOwner reads what String wrote.
func ParseOwner(s string) (Owner, bool) {
	gateway, number, ok := strings.Cut(s, "/")
	n, err := strconv.ParseUint(number, 10, 64)
	return Owner{gateway, n}, ok && err == nil
}

// Indexed is an incarnation that has not been reaped.
type Indexed struct {
	Owner
	TTL time.Duration
	// Released is when it gave its lease up, by the store's clock; zero if it did not.
	Released time.Time
}

// Lease is the lease of a gateway, whichever incarnation holds it.
type Lease struct {
	// Owner has the incarnation 0 when there is no lease.
	Owner
	// Refreshed and Now are times of the store's clock; Left is how long the lease holds.
	Refreshed, Now time.Time
	Left           time.Duration
	Info           []byte
}

// Kind says what an Op does.
type Kind int

// Kinds of Ops.
const (
	Enter Kind = iota
	Leave
	SetSession
	RemoveSession
)

// Op is one write. Repeating it changes nothing.
type Op struct {
	Kind                          Kind
	Channel, User, Session, Claim string

	// Of Enter. Status is written where Set says so, and else only if the session is new.
	Name   string
	Status json.RawMessage
	Set    bool
	// Grace is of Enter and Leave; a Leave without is at once.
	Grace time.Duration

	// Of SetSession. First lets the claim take the session from another one.
	Info  []byte
	First bool
	TTL   time.Duration
}

// Code is the outcome of an Op.
type Code int

// Codes.
const (
	Done  Code = iota
	Void       // the incarnation has been reaped
	Moved      // another claim holds the session
	Full       // too many sessions
)

// Result is the outcome of an Op.
type Result struct {
	Code Code
	// Status is the session's status after an Enter that did not set it.
	Status json.RawMessage
	// Left is the session's grace after a Leave.
	Left time.Duration
	// Err is presence.ErrUnavailable or presence.ErrRefused; the Op may or may not have happened.
	Err error
}

// Sweep is the outcome of Reap or Expire.
type Sweep struct {
	Void bool // the heir itself has been reaped
	// More says that the call was cut short and has to be repeated.
	More bool
	// Next is when the next grace in the channel ends; negative where there is none.
	Next time.Duration
}

// StoredSession is a session of a user and who wrote it.
type StoredSession struct {
	Owner          Owner
	Session, Claim string
	Info           []byte
}

// Store keeps presence. Its methods are safe for concurrent use; errors wrap presence.ErrUnavailable or
// presence.ErrRefused.
type Store interface {
	Leases
	Members
}

// Leases is the part of a Store that knows gateways.
type Leases interface {
	// Acquire takes the gateway's lease, from another incarnation too, with a number greater than that of
	// every incarnation before, and indexes it.
	Acquire(ctx context.Context, gateway string, ttl time.Duration, info []byte) (Owner, error)
	// Refresh extends a lease. It returns false where o does not hold it any more.
	Refresh(ctx context.Context, o Owner, ttl time.Duration, info []byte) (bool, error)
	// Release gives a lease up. The incarnation stays indexed, as released, for others to reap.
	Release(ctx context.Context, o Owner, ttl time.Duration) error
	// Forget removes an incarnation of which nothing is left, with its list and lease.
	Forget(ctx context.Context, o Owner) error
	// Index returns all incarnations that were acquired and not forgotten.
	Index(ctx context.Context) ([]Indexed, error)
	// Lookup returns the leases of gateways, in the same order.
	Lookup(ctx context.Context, gateways []string) ([]Lease, error)
}

// Members is the part of a Store that knows channels and users.
type Members interface {
	// List adds channels to an incarnation's list and removes others. It returns false, and does
	// nothing, where the list is closed.
	List(ctx context.Context, o Owner, add, remove []string) (bool, error)
	// Close closes an incarnation's list and returns it.
	Close(ctx context.Context, o Owner) ([]string, error)
	// Apply does ops in order and returns their results in the same order.
	Apply(ctx context.Context, o Owner, ops []Op) []Result
	// Reap fences the dead incarnation out of a channel and ends the sessions it had there: at once
	// where their grace, counted from seen, is over; the others pass to the heir, in grace.
	Reap(ctx context.Context, channel string, dead, heir Owner, seen time.Time) (Sweep, error)
	// Expire ends the sessions of a channel whose grace is over, whoever put them there.
	Expire(ctx context.Context, channel string) (Sweep, error)
	// Page returns a page of members; the request has its defaults.
	Page(ctx context.Context, channel string, r presence.PageRequest) (presence.Page, error)
	// Sessions returns what is stored of a user's sessions.
	Sessions(ctx context.Context, user string) ([]StoredSession, error)
}
