package reconcile

import (
	"errors"
	"fmt"
	"io"
	"strings"
	"time"

	"github.com/tallywire/tallywire/events"
)

// Source opens a ledger. Open may be called more than once.
type Source struct {
	Name string // as it stands in errors
	Open func() (io.ReadCloser, error)
}

// Options say what a job does. JobID, Left and Right are required.
type Options struct {
	JobID string
	// Name is shown to people; empty means the JobID.
	Name string
	// Attempt counts from 1; 0 means 1. Ids of events depend on it, ids of matches do not.
	Attempt int
	// MaxAttempts, where greater than Attempt, says that whoever calls Run will try again after a failure.
	MaxAttempts int
	// RetryIn is when.
	RetryIn time.Duration
	// Worker is the source of the events; empty means "reconciler". Event ids are unique within it as
	// long as nobody runs the same attempt of the same job twice.
	Worker      string
	Left, Right Source
	Tolerances  Tolerances
	// Rate is how many lines a second are settled; 0 means as fast as possible. Reading is ten times as fast.
	Rate float64
	// MaxBadLines is how many lines may be left out before the job gives up; 0 means 100, negative none.
	MaxBadLines int
}

const (
	readingSpeed       = 10 // times Rate
	defaultMaxBadLines = 100
)

func (o Options) withDefaults() Options {
	if o.Name == "" {
		o.Name = o.JobID
	}
	if o.Attempt == 0 {
		o.Attempt = 1
	}
	o.MaxAttempts = max(o.MaxAttempts, o.Attempt)
	if o.Worker == "" {
		o.Worker = "reconciler"
	}
	switch {
	case o.MaxBadLines == 0:
		o.MaxBadLines = defaultMaxBadLines
	case o.MaxBadLines < 0:
		o.MaxBadLines = 0
	}
	o.Tolerances = o.Tolerances.withDefaults()
	return o
}

// Validate reports the first option that is out of range.
func (o Options) Validate() error {
	o = o.withDefaults()
	switch {
	case o.JobID == "":
		return errors.New("job id: is required")
	case len(o.JobID) > 64 || strings.Contains(o.JobID, ":"):
		return errors.New("job id: must have at most 64 characters and no ':'")
	case o.Attempt < 1:
		return fmt.Errorf("attempt: must be at least 1, is %d", o.Attempt)
	case o.RetryIn < 0:
		return fmt.Errorf("retry: must not be negative, is %s", o.RetryIn)
	case len(o.Worker) > 128:
		return errors.New("worker: must have at most 128 characters")
	case len(o.Name) > 256:
		return errors.New("name: must have at most 256 characters")
	case o.Left.Open == nil || o.Right.Open == nil:
		return errors.New("left and right ledgers: are required")
	case o.Rate < 0 || o.Rate > 1e6:
		return fmt.Errorf("rate: must be between 0 and 1000000 lines a second, is %g", o.Rate)
	}
	if err := events.ValidateChannel("matches:" + o.JobID); err != nil {
		return fmt.Errorf("job id: %w", err)
	}
	return o.Tolerances.Validate()
}
