package redisbroker

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/tallywire/tallywire/broker"
)

// Bounds of one pipeline.
const (
	maxBatch      = 512
	maxBatchBytes = 1 << 20
)

// item is one publication on a lane.
type item struct {
	args     []any // FCALL …
	size     int
	deadline time.Time
	// repeatable items may be sent again when the reply was lost: they carry an id.
	repeatable bool
	done       func(broker.Receipt, error)
}

// lane is a bounded queue of publications and the two goroutines that serve it: one runs pipelines, one
// after another and each in the order of the queue, the other completes the items of the last pipeline
// while the next is under way. So publications of a lane are appended in order, however many wait.
//
// Why not go-redis' AutoPipeline, read at v9.23.0: it runs batches on context.Background() and takes no
// deadline of a command; after a chunk died it stamps the same error on chunks that were never written,
// so that "not sent" cannot be told from "unknown"; WAIT is diverted to another connection, where it
// covers nothing; and its waiters are one channel and one goroutine wake-up per command, where a
// callback per batch is enough.
type lane struct {
	max  int           // static
	wake chan struct{} // buffered by one

	mu       sync.Mutex
	queue    []item // guarded by mu
	inFlight int    // guarded by mu: accepted and not completed
	closed   bool   // guarded by mu
}

func newLane(maxInFlight int) *lane {
	return &lane{max: maxInFlight, wake: make(chan struct{}, 1)}
}

var errEnded = fmt.Errorf("%w: the broker has ended", broker.ErrUnavailable)

// add queues an item, or says why not. A probe is taken above the bound: there is one a second, and a
// full lane still works.
func (l *lane) add(it item, probe bool) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	switch {
	case l.closed:
		return errEnded
	case l.inFlight >= l.max && !probe:
		return broker.ErrOverloaded
	}
	l.inFlight++
	l.queue = append(l.queue, it)
	if len(l.queue) == 1 {
		select {
		case l.wake <- struct{}{}:
		default:
		}
	}
	return nil
}

func (l *lane) len() int {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.inFlight
}

// take returns all that is queued; the queue is empty then.
func (l *lane) take() []item {
	l.mu.Lock()
	defer l.mu.Unlock()
	all := l.queue
	l.queue = nil
	return all
}

// batchLen returns how many of the pending items fit into one pipeline; at least one does.
func batchLen(pending []item) int {
	n, size := 0, 0
	for n < len(pending) && n < maxBatch && (n == 0 || size+pending[n].size <= maxBatchBytes) {
		size += pending[n].size
		n++
	}
	return n
}

func (l *lane) completed(n int) {
	l.mu.Lock()
	l.inFlight -= n
	l.mu.Unlock()
}

// results are the outcomes of a batch, in its order.
type results struct {
	items    []item
	receipts []broker.Receipt
	errs     []error
}

// serve runs pipelines with exec until ctx ends, then refuses what is queued. It returns when every
// accepted item has been completed.
func (l *lane) serve(ctx context.Context, exec func(ctx context.Context, batch []item) results, complete func(results)) {
	finished := make(chan results, 1)
	idle := make(chan struct{})
	go func() {
		defer close(idle)
		for r := range finished {
			complete(r)
			l.completed(len(r.items))
		}
	}()
	defer func() { <-idle }()
	defer close(finished)

	for ctx.Err() == nil {
		pending := l.take()
		if len(pending) == 0 {
			select {
			case <-l.wake:
			case <-ctx.Done():
			}
		}
		for len(pending) > 0 && ctx.Err() == nil {
			n := batchLen(pending)
			finished <- exec(ctx, pending[:n:n])
			pending = pending[n:]
		}
		if len(pending) > 0 {
			finished <- failed(pending, errEnded)
		}
	}
	l.mu.Lock()
	l.closed = true
	l.mu.Unlock()
	if rest := l.take(); len(rest) > 0 {
		finished <- failed(rest, errEnded)
	}
}

// failed returns the results of items that all met err.
func failed(items []item, err error) results {
	r := results{items: items, receipts: make([]broker.Receipt, len(items)), errs: make([]error, len(items))}
	for i := range r.errs {
		r.errs[i] = err
	}
	return r
}

// errLate is the outcome of an item whose deadline passed in the queue; it was not sent.
var errLate = fmt.Errorf("%w: waited too long to be sent: %w", broker.ErrUnavailable, context.DeadlineExceeded)

// errUnexpected is the outcome of a reply that is none of the contract's.
var errUnexpected = errors.New("unexpected reply")
