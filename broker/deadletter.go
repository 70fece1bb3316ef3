package broker

import (
	"context"
	"time"
)

// DeadLetter is an event that could not be delivered, with the reason.
type DeadLetter struct {
	Channel string
	Cursor  Cursor // the event's place in its channel, which subscribers were told as skipped
	Code    string // a stable error code
	Reason  string // for people
	Event   []byte // as it was published, perhaps not JSON
	Time    time.Time
}

// DeadLetters keeps dead letters. Implementations are safe for concurrent use and bounded: the oldest
// letters go first.
type DeadLetters interface {
	// Bury stores a letter. Several gateways may bury the same event; one letter is kept.
	Bury(ctx context.Context, letter DeadLetter) error
	// List returns up to limit letters after the one with id after ("" for the oldest), and the id to
	// go on from.
	List(ctx context.Context, after string, limit int) (letters []DeadLetter, next string, err error)
}
