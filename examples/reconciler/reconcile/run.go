package reconcile

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"time"
)

// Phases of a job.
const (
	phaseLoad  = "load"
	phaseMatch = "match"
)

// lastWordTimeout bounds what a job may still publish after its context has ended.
const lastWordTimeout = 10 * time.Second

// errTooManyBadLines is wrapped by the error of a job that gave up for it.
var errTooManyBadLines = errors.New("too many lines cannot be read")

// Run runs one attempt at a job and returns its account. Whatever ends the attempt early (a ledger that
// cannot be read, ctx, a publisher that keeps failing) is published as job.failed, if that is still
// possible, and returned. Run starts no goroutine; it does not change or keep its arguments.
func Run(ctx context.Context, o Options, p Publisher) (Totals, error) {
	if err := o.Validate(); err != nil {
		return Totals{}, err
	}
	j := newJob(o.withDefaults(), p)
	err := j.run(ctx)
	if err == nil {
		return j.totals(), nil
	}
	// What is still queued stays unpublished: its publisher has just refused it, or the job is over.
	j.out.pending = nil
	cause := err
	if stopped := ctx.Err(); stopped != nil {
		cause = stopped // which a ledger says in words of its own
	}
	last, cancel := context.WithTimeout(context.WithoutCancel(ctx), lastWordTimeout)
	defer cancel()
	if lastErr := j.failed(last, cause); lastErr != nil {
		err = errors.Join(err, fmt.Errorf("job.failed: %w", lastErr))
	}
	return j.totals(), err
}

func (j *job) run(ctx context.Context) error {
	var err error
	for s, source := range j.sources() {
		if j.expected[s], err = countLines(source); err != nil {
			return err
		}
	}
	if err := j.announce(ctx); err != nil {
		return err
	}
	pace := newPacer(j.o.Rate * readingSpeed)
	for s, source := range j.sources() {
		if err := j.load(ctx, Side(s), source, &pace); err != nil {
			return err
		}
	}
	if err := j.match(ctx); err != nil {
		return err
	}
	return j.completed(ctx)
}

func (j *job) sources() [2]Source { return [2]Source{j.o.Left, j.o.Right} }

// countLines returns how many lines a file has after the first, which tells progress its total.
func countLines(source Source) (n int, err error) {
	f, err := source.Open()
	if err != nil {
		return 0, &FileError{File: source.Name, Reason: "cannot be opened: " + err.Error(), Err: err}
	}
	defer func() { _ = f.Close() }()
	r, last := bufio.NewReader(io.LimitReader(f, maxFileBytes+1)), byte('\n')
	for {
		chunk, err := r.ReadSlice('\n')
		n += bytes.Count(chunk, []byte{'\n'})
		if len(chunk) > 0 {
			last = chunk[len(chunk)-1]
		}
		switch {
		case errors.Is(err, io.EOF):
			if last != '\n' {
				n++
			}
			return max(n-1, 0), nil
		case err != nil && !errors.Is(err, bufio.ErrBufferFull):
			return 0, &FileError{File: source.Name, Reason: "cannot be read: " + err.Error(), Err: err}
		}
	}
}

// load reads one side. Lines that cannot be used are published as errors and left out.
func (j *job) load(ctx context.Context, s Side, source Source, pace *pacer) error {
	f, err := source.Open()
	if err != nil {
		return &FileError{File: source.Name, Reason: "cannot be opened: " + err.Error(), Err: err}
	}
	defer func() { _ = f.Close() }()
	r, err := NewReader(source.Name, f)
	if err != nil {
		return err
	}
	for {
		line, err := r.Next()
		var bad *LineError
		switch {
		case errors.Is(err, io.EOF):
			return nil
		case errors.As(err, &bad):
			if err := j.badLine(ctx, s, bad); err != nil {
				return err
			}
		case err != nil:
			return err
		default:
			j.lines[s] = append(j.lines[s], line)
		}
		j.read++
		if err := j.progress(ctx, "Reading "+source.Name); err != nil {
			return err
		}
		if err := pace.wait(ctx, 1, j.flush(ctx)); err != nil {
			return err
		}
	}
}

func (j *job) badLine(ctx context.Context, s Side, bad *LineError) error {
	j.bad[s]++
	if err := j.raiseBadLine(ctx, s, bad); err != nil {
		return err
	}
	if j.bad[Left]+j.bad[Right] > j.o.MaxBadLines {
		return fmt.Errorf("%w: more than %d, the last one is %w", errTooManyBadLines, j.o.MaxBadLines, bad)
	}
	return nil
}

// match settles every line, and publishes each step at the job's pace.
func (j *job) match(ctx context.Context) error {
	m, err := NewMatcher(j.lines[Left], j.lines[Right], j.o.Tolerances)
	if err != nil {
		return err
	}
	j.matcher, j.phase, j.matching, j.rate = m, phaseMatch, time.Now(), rate{}
	pace := newPacer(j.o.Rate)
	return m.Run(ctx, func(pass string, c Change) error {
		j.account(&c)
		if err := j.publishChange(ctx, &c); err != nil {
			return err
		}
		if err := j.progress(ctx, passMessages[pass]); err != nil {
			return err
		}
		if err := j.metrics(ctx, false); err != nil {
			return err
		}
		return pace.wait(ctx, max(1, c.Settled-j.paced(c.Settled)), j.flush(ctx))
	})
}

// passMessages say for people what a pass does.
var passMessages = map[string]string{
	"reference":  "Matching by reference and amount",
	"fee":        "Matching by reference, less fees",
	"duplicates": "Setting duplicates aside",
	"window":     "Looking for equal amounts near the date",
	"split":      "Adding up split payments",
	"swapped":    "Looking for swapped digits",
	"confirm":    "Confirming suggestions",
	"repeats":    "Setting the last duplicates aside",
	"rest":       "Listing what is left over",
}

func (j *job) flush(ctx context.Context) func() error {
	return func() error { return j.out.flush(ctx) }
}
