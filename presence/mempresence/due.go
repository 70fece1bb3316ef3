package mempresence

import (
	"container/heap"
	"time"
)

// ending is the end of a session's grace, as long as the session is in grace and ends then.
type ending struct {
	at time.Time
	x  *session
}

// dueHeap orders endings by time. Those that no longer hold are left out when their time comes.
type dueHeap []ending

func (h dueHeap) Len() int           { return len(h) }
func (h dueHeap) Less(i, j int) bool { return h[i].at.Before(h[j].at) }
func (h dueHeap) Swap(i, j int)      { h[i], h[j] = h[j], h[i] }

// Push implements heap.Interface.
func (h *dueHeap) Push(x any) { *h = append(*h, x.(ending)) }

// Pop implements heap.Interface.
func (h *dueHeap) Pop() any {
	old := *h
	last := old[len(old)-1]
	old[len(old)-1] = ending{}
	*h = old[:len(old)-1]
	return last
}

// end puts a session into grace.
func (c *channel) end(x *session, at time.Time) {
	x.live, x.ends = false, at
	heap.Push(&c.due, ending{at, x})
}

// peek returns the next ending that holds.
func (c *channel) peek() (ending, bool) {
	for len(c.due) > 0 {
		e := c.due[0]
		if !e.x.live && e.x.ends.Equal(e.at) && c.find(e.x.sessionKey) == e.x {
			return e, true
		}
		heap.Pop(&c.due)
	}
	return ending{}, false
}

// takeEnded returns the sessions whose grace is over.
func (c *channel) takeEnded(now time.Time) (ended []*session) {
	for {
		e, ok := c.peek()
		if !ok || e.at.After(now) {
			return ended
		}
		heap.Pop(&c.due)
		ended = append(ended, e.x)
	}
}

// next returns how long it takes until a grace ends, negative where there is none.
func (c *channel) next(now time.Time) time.Duration {
	e, ok := c.peek()
	if !ok {
		return -1
	}
	return max(0, e.at.Sub(now))
}
