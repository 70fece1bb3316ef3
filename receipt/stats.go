package receipt

import (
	"errors"
	"sync/atomic"
)

// Stats are what a book has done since it was made, by this process.
type Stats struct {
	// Begun counts the batches that were begun, Repeated those that got a kept answer.
	Begun, Repeated uint64
	// InProgress, OutOfOrder, Overloaded and Unavailable count refusals, by their errors.
	InProgress, OutOfOrder, Overloaded, Unavailable uint64
	// Superseded counts the closes that did nothing, since another token had begun the batch.
	Superseded uint64
	// NotKept counts the answers that were too large to be kept.
	NotKept uint64
}

// Counters count for Stats; for implementations. They are safe for concurrent use.
type Counters struct {
	begun, repeated, inProgress, outOfOrder, overloaded, unavailable, superseded, notKept atomic.Uint64
}

// Opened counts the outcome of an Open, Failed that of a Close without one.
func (c *Counters) Opened(o Opened, err error) {
	switch {
	case err != nil:
		c.Failed(err)
	case o.Answer != nil:
		c.repeated.Add(1)
	default:
		c.begun.Add(1)
	}
}

// Failed counts an error.
func (c *Counters) Failed(err error) {
	_, order := errors.AsType[*OrderError](err)
	switch {
	case order:
		c.outOfOrder.Add(1)
	case errors.Is(err, ErrInProgress):
		c.inProgress.Add(1)
	case errors.Is(err, ErrOverloaded):
		c.overloaded.Add(1)
	case errors.Is(err, ErrUnavailable):
		c.unavailable.Add(1)
	}
}

// NotKept counts an answer that is not kept, Superseded a Close that did nothing.
func (c *Counters) NotKept() { c.notKept.Add(1) }

// Superseded counts a Close that did nothing.
func (c *Counters) Superseded() { c.superseded.Add(1) }

// Stats returns the counts.
func (c *Counters) Stats() Stats {
	return Stats{
		Begun: c.begun.Load(), Repeated: c.repeated.Load(),
		InProgress: c.inProgress.Load(), OutOfOrder: c.outOfOrder.Load(), Overloaded: c.overloaded.Load(),
		Unavailable: c.unavailable.Load(), Superseded: c.superseded.Load(), NotKept: c.notKept.Load(),
	}
}
