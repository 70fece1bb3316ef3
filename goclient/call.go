package goclient

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"strconv"

	"github.com/tallywire/tallywire/gateway/wire"
)

// call is a command that awaits an answer, or (signals) only its being written.
type call struct {
	id     uint64
	frame  []byte
	resend bool // may be sent again on another connection
	oneway bool // done when written

	done chan answer // buffered for the one answer

	// Guarded by c.mu.
	link *link // the connection that carries it; nil when none does
	sent int   // how often it was written
}

type answer struct {
	frame wire.Frame
	err   error
}

// startLocked registers a call and hands it to the current connection if there is one.
func (c *Client) startLocked(x *call) {
	x.done = make(chan answer, 1)
	c.calls[x.id] = x
	if c.cur != nil {
		c.carryLocked(x, c.cur)
	}
}

func (c *Client) carryLocked(x *call, l *link) {
	x.link = l
	l.inflight++
	l.fifo = append(l.fifo, x)
	l.kick()
}

// finishLocked gives a call its answer and forgets it.
func (c *Client) finishLocked(x *call, a answer) {
	if c.calls[x.id] != x {
		return
	}
	delete(c.calls, x.id)
	x.done <- a
	if x.link != nil {
		x.link.inflight--
		x.link.settleLocked()
		x.link = nil
	}
}

// orphanLocked is told that the connection which carried x has ended.
func (c *Client) orphanLocked(x *call) {
	if !x.resend {
		c.finishLocked(x, answer{err: ErrNotConnected})
		return
	}
	x.link.inflight--
	x.link = nil
}

// resendLocked hands the calls that no connection carries to the current one, in their order.
func (c *Client) resendLocked() {
	if c.cur == nil {
		return
	}
	var lost []*call
	for _, x := range c.calls {
		if x.link == nil {
			lost = append(lost, x)
		}
	}
	slices.SortFunc(lost, func(a, b *call) int { return cmp.Compare(a.id, b.id) })
	for _, x := range lost {
		c.carryLocked(x, c.cur)
	}
}

// await waits for a call's answer. The context's end withdraws it.
func (c *Client) await(ctx context.Context, x *call) (wire.Frame, error) {
	select {
	case a := <-x.done:
		return a.frame, a.err
	case <-ctx.Done():
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	select {
	case a := <-x.done: // the answer came first after all
		return a.frame, a.err
	default:
	}
	c.finishLocked(x, answer{})
	return wire.Frame{}, ctx.Err()
}

// resolve gives an answer to the call that it belongs to; it reports false when there is none.
func (c *Client) resolve(f *wire.Frame) bool {
	id, ok := frameID(f)
	if !ok {
		return false
	}
	a := answer{frame: *f}
	if f.Type == frameError {
		a.err = &wire.Error{Code: f.Code, Message: f.Message, Path: f.Path, Channel: f.Channel}
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	x := c.calls[id]
	if x == nil {
		return false
	}
	c.finishLocked(x, a)
	return true
}

// tooLarge gives the error of a message that the gateway has skipped unread, and which it therefore
// cannot name, to the longest call that was sent: if any was too long, that one is.
func (c *Client) tooLarge(l *link, f *wire.Frame) bool {
	if f.Code != wire.CodeFrameTooLarge || len(f.ID) > 0 {
		return false
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	var longest *call
	for _, x := range c.calls {
		if x.link == l && x.sent > 0 && (longest == nil || len(x.frame) > len(longest.frame)) {
			longest = x
		}
	}
	if longest == nil {
		return false
	}
	c.finishLocked(longest, answer{err: &wire.Error{Code: f.Code, Message: f.Message, Path: f.Path}})
	return true
}

// acquire takes one of the slots that bound the calls under way.
func (c *Client) acquire(ctx context.Context) error {
	select {
	case c.slots <- struct{}{}:
		return nil
	default:
	}
	select {
	case c.slots <- struct{}{}:
		return nil
	case <-ctx.Done():
		return fmt.Errorf("%d calls under way: %w", cap(c.slots), ctx.Err())
	}
}

func (c *Client) release() { <-c.slots }

// frameID returns the number under which the client sent the command that f answers.
func frameID(f *wire.Frame) (uint64, bool) {
	if len(f.ID) == 0 {
		return 0, false
	}
	id, err := strconv.ParseUint(string(f.ID), 10, 64)
	return id, err == nil && id > 0
}

// retryable reports whether the gateway says that the same call may succeed later.
func (c *Client) retryable(err error) bool {
	var refused *wire.Error
	if !errors.As(err, &refused) {
		return false
	}
	return refused.Code.Retry() || refused.Code == wire.CodeTokenExpired && c.o.TokenSource != nil
}
