package presence

import "errors"

// Errors that every implementation returns, wrapped with the operation.
var (
	// ErrUnavailable means that the store could not be reached, or not in time. What was told with
	// Enter, Leave, SetSession or RemoveSession is remembered and done when the store is back: the
	// caller need not repeat it.
	ErrUnavailable = errors.New("store unavailable")
	// ErrOverloaded means that the tracker holds as many entries as it may; nothing was done.
	ErrOverloaded = errors.New("too many entries")
	// ErrRefused means that the store answered with an error (out of memory, no permission). What was
	// told is remembered and tried again from time to time.
	ErrRefused = errors.New("refused by the store")
	// ErrInvalid means that an argument is out of its range; nothing was done.
	ErrInvalid = errors.New("invalid argument")
	// ErrStatusTooLarge means that a status has more than MaxStatus bytes; nothing was done.
	ErrStatusTooLarge = errors.New("status too large")
	// ErrTooManySessions means that the member has MaxSessions sessions in the channel already; nothing
	// was done.
	ErrTooManySessions = errors.New("too many sessions of one member")
	// ErrMoved means that the session has meanwhile entered with another claim, here or at another
	// gateway; nothing was done. The connection that still claims it is on its way out.
	ErrMoved = errors.New("session has moved")
)
