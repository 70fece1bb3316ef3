package inbox

import (
	"context"
	"sync"
)

// doneList holds the jobs that are done and not yet acknowledged. The window bounds it. Its methods are safe
// for concurrent use.
type doneList struct {
	wake chan struct{} // buffered by one

	mu     sync.Mutex
	jobs   []job // guarded by mu
	closed bool  // guarded by mu
}

func newDoneList() *doneList { return &doneList{wake: make(chan struct{}, 1)} }

func (l *doneList) add(j job) {
	l.mu.Lock()
	l.jobs = append(l.jobs, j)
	l.mu.Unlock()
	l.ring()
}

// close says that no more will come.
func (l *doneList) close() {
	l.mu.Lock()
	l.closed = true
	l.mu.Unlock()
	l.ring()
}

func (l *doneList) ring() {
	select {
	case l.wake <- struct{}{}:
	default:
	}
}

// next waits for jobs and returns some of them; none where the list is closed and empty.
func (l *doneList) next() []job {
	for {
		l.mu.Lock()
		n := min(len(l.jobs), doneLimit)
		jobs := l.jobs[:n:n]
		l.jobs = l.jobs[n:]
		closed := l.closed
		l.mu.Unlock()
		if n > 0 || closed {
			return jobs
		}
		<-l.wake
	}
}

// acknowledge removes what is done from the inbox until the list is closed. While ctx lives it tries again what
// failed; after it, the first failure leaves the rest to the next term, which will find it published already.
func (t *term) acknowledge(ctx context.Context) {
	for given := true; given; {
		jobs := t.done.next()
		if len(jobs) == 0 {
			return
		}
		ids, bytes := make([]string, len(jobs)), 0
		for n := range jobs {
			ids[n] = jobs[n].id
			bytes += jobs[n].size
		}
		var backoff backoff
		for given = t.finish(ctx, ids) == nil; !given && backoff.sleep(ctx); {
			given = t.finish(ctx, ids) == nil
		}
		t.window.add(-len(jobs), -bytes)
	}
}

// finish is one try to remove entries. It outlives ctx.
func (t *term) finish(ctx context.Context, ids []string) error {
	callCtx, cancel := context.WithTimeout(context.WithoutCancel(ctx), t.options.Timeout)
	defer cancel()
	err := t.store.Done(callCtx, ids)
	if err != nil {
		t.failed(callCtx, err, "done")
	}
	return err //nolint:wrapcheck // nil or not is all that is asked
}
