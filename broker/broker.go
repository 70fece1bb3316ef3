package broker

import (
	"context"
	"errors"
	"time"

	"github.com/tallywire/tallywire/namespace"
)

// Errors that every implementation returns, wrapped with the operation.
var (
	// ErrUnavailable means that the store could not be reached, or not in time. The operation may or
	// may not have happened; a publish with an ID may be repeated without harm.
	ErrUnavailable = errors.New("store unavailable")
	// ErrOverloaded means that a bounded queue was full and nothing was done.
	ErrOverloaded = errors.New("too many operations in flight")
	// ErrRefused means that the store answered with an error that a repetition will not change
	// (out of memory, no permission, wrong type of key).
	ErrRefused = errors.New("refused by the store")
)

// Publication is one event on its way into a channel.
type Publication struct {
	Channel string
	// Event is the event's JSON, validated by the caller. It must not be changed afterwards.
	Event []byte
	// ID, when not empty, makes the publish idempotent: a repetition within the namespace's window gets
	// the cursor of the first. It is "<source>/<id>" of the event.
	ID string
	// Ack is the acknowledgement wanted; empty means the namespace's.
	Ack namespace.Ack
	// Vetted says that the event passed validation in this process. The embedded engine hands it on with
	// the entry; Redis does not, since there anybody may publish.
	Vetted bool
	// Ephemeral events are signals: they reach current subscribers, are not in the log, and get no cursor.
	Ephemeral bool
}

// Receipt says what became of a publication.
type Receipt struct {
	Cursor    Cursor
	Ack       namespace.Ack
	Duplicate bool
}

// ReadRequest asks for a page of a channel's log.
type ReadRequest struct {
	// From is the offset of the first entry wanted. Ignored when Since is set.
	From uint64
	// Since, when not 0, starts the page at the first entry with a greater stamp (microseconds).
	Since uint64
	// Before, when not 0, reads the last Limit entries with smaller offsets (still in ascending order).
	Before uint64
	// Limit bounds the entries of the page (default 128, at most 1,000).
	Limit int
	// MaxBytes bounds the events of the page in bytes; at least one entry is returned (default 256 KB).
	MaxBytes int
}

// Limits of a ReadRequest.
const (
	DefaultReadLimit = 128
	MaxReadLimit     = 1000
	DefaultReadBytes = 256 << 10
)

// WithDefaults fills the unset fields and caps the others.
func (r ReadRequest) WithDefaults() ReadRequest {
	if r.Limit <= 0 {
		r.Limit = DefaultReadLimit
	}
	r.Limit = min(r.Limit, MaxReadLimit)
	if r.MaxBytes <= 0 {
		r.MaxBytes = DefaultReadBytes
	}
	return r
}

// Head is the newest position of a channel and the oldest that it retains.
type Head struct {
	// Cursor is the last entry that was ever appended, even if it has been trimmed since.
	Cursor Cursor
	// First is the oldest retained entry's cursor; the zero Cursor when none is retained.
	First Cursor
	// FirstPrev is the stamp of the entry before First (0 when First is the genesis).
	FirstPrev uint64
	// Exists is false when the channel has no stream at all.
	Exists bool
}

// Page is the answer to a ReadRequest: a contiguous run of entries and the channel's Head, both taken
// in one atomic step.
type Page struct {
	Head
	Entries []Entry
}

// Broker is a store of channel logs. All methods are safe for concurrent use.
type Broker interface {
	// Run serves until ctx ends and then returns nil: it owns every goroutine of the broker and calls
	// sink. It is called once, before any other method is relied on; other methods called while the
	// store is away return ErrUnavailable.
	Run(ctx context.Context, sink Sink) error

	// Publish appends p to its channel and calls done exactly once, from any goroutine (possibly
	// before Publish returns). Publications made one after another with the same Ack are appended
	// to a channel in that order. It does not wait for the store; where the queue is full, done gets
	// ErrOverloaded. done must not block.
	Publish(ctx context.Context, p Publication, done func(Receipt, error))

	// Read returns a page of the channel's log.
	Read(ctx context.Context, channel string, r ReadRequest) (Page, error)

	// Subscribe makes sure that the channel's stream exists, and that every entry appended after the
	// returned Head is told to the sink (or that the sink gets a later Head). A channel may be
	// subscribed several times; the second returns a fresh Head.
	Subscribe(ctx context.Context, channel string) (Head, error)

	// Unsubscribe ends it, however often the channel was subscribed. It does not block. A delivery already
	// under way may still arrive.
	Unsubscribe(channel string)
}

// Sink takes what a broker hears. Its methods are called from the broker's goroutines, for one channel
// never concurrently, and must not block or call the broker.
type Sink interface {
	// Deliver tells of an entry appended to a subscribed channel. Order and completeness are not
	// promised. The entry's bytes belong to the sink.
	Deliver(channel string, e Entry)
	// Signal tells of an ephemeral event on a subscribed channel.
	Signal(channel string, event []byte)
	// Head tells a subscribed channel's newest position, from time to time and after every doubt
	// (reconnect, overflow, failover), so that a sink which is behind reads what it missed.
	Head(channel string, h Head)
	// Health tells that the path publish → receive works, or since when it does not.
	Health(h Health)
}

// Health is the state of the path from publish to receive.
type Health struct {
	OK bool
	// Reason says what is wrong, for people.
	Reason string
	// Since is when this state began.
	Since time.Time
	// RoundTrip is the last probe's time from publish to receive.
	RoundTrip time.Duration
}

// PublishWait publishes and waits for the receipt.
func PublishWait(ctx context.Context, b Broker, p Publication) (Receipt, error) {
	type result struct {
		receipt Receipt
		err     error
	}
	ch := make(chan result, 1)
	b.Publish(ctx, p, func(r Receipt, err error) { ch <- result{r, err} })
	select {
	case r := <-ch:
		return r.receipt, r.err
	case <-ctx.Done():
		return Receipt{}, errors.Join(ErrUnavailable, ctx.Err())
	}
}
