package engine

import (
	"container/heap"
	"context"
	"time"

	"golang.org/x/sync/errgroup"
)

const (
	expireRetry    = 300 * time.Millisecond
	expireParallel = 8
	// expireLag keeps a timer from asking a moment before the store's clock is there.
	expireLag = 2 * time.Millisecond
)

// dues are the channels in which a grace of ours ends, by when. One time a channel counts, the earliest;
// Expire says the next one.
type dues struct {
	at map[string]time.Time
	h  dueHeap
}

type due struct {
	at      time.Time
	channel string
}

type dueHeap []due

func (h dueHeap) Len() int           { return len(h) }
func (h dueHeap) Less(i, j int) bool { return h[i].at.Before(h[j].at) }
func (h dueHeap) Swap(i, j int)      { h[i], h[j] = h[j], h[i] }

// Push implements heap.Interface.
func (h *dueHeap) Push(x any) { *h = append(*h, x.(due)) }

// Pop implements heap.Interface.
func (h *dueHeap) Pop() any {
	old := *h
	last := old[len(old)-1]
	old[len(old)-1] = due{}
	*h = old[:len(old)-1]
	return last
}

// dueLocked sets a timer for a channel, unless an earlier one is set.
func (e *Engine) dueLocked(channel string, left time.Duration) {
	at := time.Now().Add(left + expireLag)
	if earlier, ok := e.due.at[channel]; ok && !at.Before(earlier) {
		return
	}
	e.due.at[channel] = at
	heap.Push(&e.due.h, due{at, channel})
	if e.lists[channel] == nil {
		e.lists[channel] = &use{listed: true} // unlisted once the grace is over
	}
	poke(e.timer)
}

// takeDue returns the channels that are due and how long the next one takes.
func (e *Engine) takeDue() (channels []string, next time.Duration) {
	e.mu.Lock()
	defer e.mu.Unlock()
	now := time.Now()
	for len(e.due.h) > 0 {
		first := e.due.h[0]
		if at, ok := e.due.at[first.channel]; !ok || !at.Equal(first.at) {
			heap.Pop(&e.due.h) // replaced by an earlier one, or done
			continue
		}
		if first.at.After(now) {
			return channels, first.at.Sub(now)
		}
		heap.Pop(&e.due.h)
		channels = append(channels, first.channel)
	}
	return channels, time.Hour
}

// expireLoop ends grace periods until ctx ends.
func (e *Engine) expireLoop(ctx context.Context) {
	timer := time.NewTimer(time.Hour)
	defer timer.Stop()
	for {
		channels, next := e.takeDue()
		if len(channels) > 0 {
			var g errgroup.Group
			g.SetLimit(expireParallel)
			for _, c := range channels {
				g.Go(func() error { e.expire(ctx, c); return nil })
			}
			_ = g.Wait() // expire reports by itself
			if ctx.Err() != nil {
				return
			}
			continue
		}
		timer.Reset(next)
		select {
		case <-timer.C:
		case <-e.timer:
		case <-ctx.Done():
			return
		}
	}
}

// expire ends what is due in one channel and sets the timer for the next. Where the store is away, it
// tries again.
func (e *Engine) expire(ctx context.Context, channel string) {
	next := time.Duration(0)
	for more := true; more && ctx.Err() == nil; {
		inner, cancel := e.within(ctx)
		sweep, err := e.store.Expire(inner, channel)
		cancel()
		if err != nil {
			e.stats.failures.Add(1)
			next = jitter(expireRetry)
			break
		}
		next, more = sweep.Next, sweep.More
	}
	e.mu.Lock()
	defer e.mu.Unlock()
	if at, ok := e.due.at[channel]; ok && time.Now().Before(at) {
		return // set anew meanwhile
	}
	delete(e.due.at, channel)
	if next >= 0 {
		e.dueLocked(channel, next)
	}
}
