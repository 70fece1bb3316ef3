package receipt

import (
	"context"
	"errors"
	"fmt"
)

// Limits of what a Book takes.
const (
	// MaxAnswer bounds the answer that is kept, in bytes. See [Book.Close] for a larger one.
	MaxAnswer = 64 << 10
	// MaxSeq is the greatest sequence number, which every JSON parser reads exactly.
	MaxSeq = 1<<53 - 1
	// MaxName bounds a user's and a session's name, in bytes.
	MaxName = 512
)

// Errors that every implementation returns, wrapped with the operation. See also [OrderError].
var (
	// ErrInProgress means that the batch, or the one before it, is being done by somebody whose lease is not
	// over. The same Open may succeed later.
	ErrInProgress = errors.New("batch is in progress")
	// ErrUnavailable means that the store could not be reached, or not in time, or has refused. An Open may or
	// may not have begun the batch; where it has, ErrInProgress follows until its lease is over.
	ErrUnavailable = errors.New("store unavailable")
	// ErrOverloaded means that the store keeps as many sessions as it may; nothing was done.
	ErrOverloaded = errors.New("too many sessions")
	// ErrInvalid means that an argument is out of its range; nothing was done.
	ErrInvalid = errors.New("invalid argument")
)

// OrderError says that a batch is not the session's next one; nothing was done. An Expected greater than
// the batch's own number means that the batch was done, and its answer is not kept any more or was too large
// to be kept. A smaller one means that the batches from Expected on have not been done.
type OrderError struct {
	Expected uint64
}

// Error implements error.
func (e *OrderError) Error() string { return fmt.Sprintf("batch %d is expected", e.Expected) }

// Key names a session: a session's name is its user's choice, and unique within that user only.
type Key struct {
	User, Session string
}

// Check reports what is wrong with a call's arguments.
func (k Key) Check(seq uint64) error {
	switch {
	case k.User == "" || len(k.User) > MaxName:
		return fmt.Errorf("%w: user: wanted 1 to %d bytes", ErrInvalid, MaxName)
	case k.Session == "" || len(k.Session) > MaxName:
		return fmt.Errorf("%w: session: wanted 1 to %d bytes", ErrInvalid, MaxName)
	case seq < 1 || seq > MaxSeq:
		return fmt.Errorf("%w: sequence number: wanted 1 to %d", ErrInvalid, uint64(MaxSeq))
	}
	return nil
}

// Opened says what an Open found.
type Opened struct {
	// Answer, where it is not nil, is what the batch was closed with; it must not be done again.
	Answer []byte
	// Token, where Answer is nil, is the caller's right to do the batch, and is given to Close.
	Token string
}

// Book keeps, for each session, the last batch and its answer. All methods are safe for concurrent use, by
// any number of gateways over one store.
type Book interface {
	// Open begins the batch with the sequence number seq, or says why not. With last the greatest number
	// that the session has begun:
	//
	//	nothing is known of the session   begun, whatever seq is: its state may have expired
	//	seq == last+1, last is closed     begun
	//	seq == last, closed               the answer
	//	seq == last, not closed           ErrInProgress until the lease is over, then begun anew
	//	seq == last+1, last not closed    ErrInProgress until the lease is over, then an OrderError expecting
	//	                                  last: whoever began it is gone, and nobody knows how far it came
	//	anything else                     an OrderError
	//
	// The lease is counted by the store's clock.
	Open(ctx context.Context, key Key, seq uint64) (Opened, error)

	// Close ends the batch that was begun with token, and keeps its answer. The batch counts as done from
	// then on, also where its lease was over but nobody had begun it again, and where the session's state was
	// lost in between. It does nothing where another token has begun the batch meanwhile, and where it is
	// repeated. An answer of more than MaxAnswer bytes, or beyond the store's memory, is not kept: the batch
	// is done, and a repetition gets an OrderError that expects the next one. A nil answer is an empty one.
	//
	// It should get a context that outlives the request: a batch that is not closed blocks its session for
	// the rest of the lease.
	Close(ctx context.Context, key Key, seq uint64, token string, answer []byte) error
}
