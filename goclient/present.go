package goclient

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"time"

	"github.com/tallywire/tallywire/events"
	"github.com/tallywire/tallywire/gateway/wire"
	"github.com/tallywire/tallywire/presence"
)

// ErrStatusTooLarge is returned by Presence, which has then done nothing.
var ErrStatusTooLarge = presence.ErrStatusTooLarge

// stay is the session's presence in one channel. It is guarded by c.mu. At most one frame about it is
// under way on a connection: what comes meanwhile is conflated.
type stay struct {
	channel string
	status  json.RawMessage // the last; nil when none was ever set
	leaving bool

	told    uint64 // changes so far
	waiters []stayWaiter

	queued *link     // the connection in whose outbox it is
	due    time.Time // not to be written before
	retry  backoff
	asked  *link  // the connection whose answer is awaited
	req    uint64 // id of the frame
	sent   uint64 // what told was then
}

// stayWaiter is a call that waits for the gateway to have a change.
type stayWaiter struct {
	told uint64
	done chan error // buffered by one
}

// Presence makes the session present in a channel, or changes its status there: any JSON value of at most
// 4 KB, null for none. A nil status keeps the one that the session has. It returns when the gateway's
// store has it. Several calls at once are conflated: the last status counts.
//
// From then on the client enters the channel again, with the last status, on every new connection, until
// LeavePresence, until the channel is unsubscribed, or until the gateway refuses it for good. It does so too
// when ctx ends before the answer. It takes no subscription.
func (c *Client) Presence(ctx context.Context, channel string, status json.RawMessage) error {
	if err := checkStatus(channel, status); err != nil {
		return fmt.Errorf("presence: %w", err)
	}
	if err := c.tellStay(ctx, channel, status, false); err != nil {
		return fmt.Errorf("presence in %s: %w", channel, err)
	}
	return nil
}

func checkStatus(channel string, status json.RawMessage) error {
	switch {
	case events.ValidateChannel(channel) != nil:
		return events.ValidateChannel(channel)
	case len(status) > presence.MaxStatus:
		return ErrStatusTooLarge
	case status != nil && !json.Valid(status):
		return errors.New("status: no JSON")
	}
	return nil
}

// LeavePresence ends the session's presence in a channel at once, without the grace of a connection that
// is lost. Without a connection, the grace of the last one runs. It returns when the gateway's store has
// it, and does nothing where the session is not present.
func (c *Client) LeavePresence(ctx context.Context, channel string) error {
	if err := events.ValidateChannel(channel); err != nil {
		return fmt.Errorf("leave presence: %w", err)
	}
	if err := c.tellStay(ctx, channel, nil, true); err != nil {
		return fmt.Errorf("leave presence in %s: %w", channel, err)
	}
	return nil
}

// tellStay changes a stay and waits until that is answered.
func (c *Client) tellStay(ctx context.Context, channel string, status json.RawMessage, leave bool) error {
	c.mu.Lock()
	s := c.stays[channel]
	switch {
	case c.stopped:
		c.mu.Unlock()
		return ErrStopped
	case s == nil && leave:
		c.mu.Unlock()
		return nil
	case s == nil:
		s = &stay{channel: channel, retry: c.backoff()}
		c.stays[channel] = s
	}
	if !leave && (status != nil || s.leaving) {
		s.status = append(json.RawMessage(nil), status...)
	}
	w := s.changeLocked(leave)
	if leave && c.cur == nil {
		c.forgetLocked(s, nil)
	}
	c.askLocked(s, time.Time{})
	c.mu.Unlock()
	select {
	case err := <-w.done:
		return err
	case <-ctx.Done():
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	s.waiters = slices.DeleteFunc(s.waiters, func(x stayWaiter) bool { return x.done == w.done })
	return ctx.Err()
}

// changeLocked notes that something is to be told.
func (s *stay) changeLocked(leave bool) stayWaiter {
	s.leaving = leave
	s.told++
	w := stayWaiter{s.told, make(chan error, 1)}
	s.waiters = append(s.waiters, w)
	return w
}

// askLocked has a stay told on the current connection, not before due, once nothing about it is under way.
func (c *Client) askLocked(s *stay, due time.Time) {
	if c.cur == nil || c.stays[s.channel] != s || s.asked == c.cur {
		return
	}
	s.due = due
	if s.queued != c.cur {
		s.queued = c.cur
		c.cur.stays = append(c.cur.stays, s)
	}
	c.cur.kick()
}

// answerLocked gives those who wait for changes up to told their answer.
func (s *stay) answerLocked(told uint64, err error) {
	rest := s.waiters[:0]
	for _, w := range s.waiters {
		if w.told <= told {
			w.done <- err
		} else {
			rest = append(rest, w)
		}
	}
	clear(s.waiters[len(rest):])
	s.waiters = rest
}

// unaskedLocked notes that no answer is awaited any more.
func (s *stay) unaskedLocked() {
	if l := s.asked; l != nil {
		s.asked = nil
		l.entering--
		l.settleLocked()
	}
}

// forgetLocked ends a stay: the session is not present there any more.
func (c *Client) forgetLocked(s *stay, err error) {
	if c.stays[s.channel] == s {
		delete(c.stays, s.channel)
	}
	s.unaskedLocked()
	s.answerLocked(s.told, err)
}

// enterAllLocked tells all stays on the connection that has just become the current one.
func (c *Client) enterAllLocked() {
	for _, s := range c.stays {
		if s.leaving {
			continue // the connection before is told
		}
		s.unaskedLocked()
		c.askLocked(s, time.Time{})
	}
}

// abandonLocked is told that a connection has ended.
func (c *Client) abandonLocked(l *link) {
	for _, s := range c.stays {
		if s.asked != l && s.queued != l {
			continue
		}
		s.queued = nil
		s.unaskedLocked()
		if s.leaving {
			c.forgetLocked(s, nil) // the connection's end has ended it, too
		} else {
			c.askLocked(s, time.Time{})
		}
	}
}

// staysLocked writes the stays that are due and returns when the next one is.
func (c *Client) staysLocked(l *link, o *outbox, now time.Time) time.Duration {
	wait := time.Duration(1<<63 - 1)
	later := l.stays[:0]
	for _, s := range l.stays {
		switch d := s.due.Sub(now); {
		case c.stays[s.channel] != s || s.queued != l:
		case d > 0:
			wait = min(wait, d)
			later = append(later, s)
		case !o.room(len(s.status) + len(s.channel) + 80):
			wait = 0
			later = append(later, s)
		default:
			s.unaskedLocked()
			s.queued, s.asked, s.req, s.sent = nil, l, c.nextIDLocked(), s.told
			l.entering++
			o.open()
			o.buf = appendPresence(o.buf, s)
		}
	}
	clear(l.stays[len(later):])
	l.stays = later
	l.settleLocked()
	return wait
}

func appendPresence(b []byte, s *stay) []byte {
	b = appendOpen(b, wire.TypePresence, s.req)
	b = append(b, `,"channel":"`...)
	b = append(b, s.channel...)
	b = append(b, '"')
	switch {
	case s.leaving:
		b = append(b, `,"leave":true`...)
	case s.status != nil:
		b = append(b, `,"status":`...)
		b = append(b, s.status...)
	}
	return append(b, '}')
}

// present takes the answer to a presence frame: `present`, or an error. It reports false when f is none.
func (c *Client) present(l *link, f *wire.Frame) bool {
	id, ok := frameID(f)
	c.mu.Lock()
	defer c.mu.Unlock()
	s := c.stays[f.Channel]
	if !ok || s == nil || s.asked != l || s.req != id {
		return f.Type == framePresent // or else it is nothing of ours
	}
	s.unaskedLocked()
	done := f.Type == framePresent || s.leaving && f.Code == wire.CodeNotSubscribed
	switch {
	case done && s.leaving && s.sent == s.told:
		c.forgetLocked(s, nil)
	case done:
		s.retry.reset()
		s.answerLocked(s.sent, nil)
		if s.sent != s.told {
			c.askLocked(s, time.Time{})
		}
	case f.Retry || f.Code == wire.CodeTokenExpired && c.o.TokenSource != nil:
		// Also where the gateway remembers it: so that the answer is known.
		s.retry.attempts = max(s.retry.attempts, 1) // not at once
		c.askLocked(s, time.Now().Add(s.retry.next()))
	default:
		c.forgetLocked(s, &wire.Error{Code: f.Code, Message: f.Message, Path: f.Path, Channel: f.Channel})
	}
	return true
}

// Members returns a page of a channel's members, ordered by user: those after a user, "" for the first page,
// and at most limit (1 to 1,000; 0 means 100). The page's Next begins the following one. A page with
// StaleSince is what the store answered then; it is away.
func (c *Client) Members(ctx context.Context, channel, after string, limit int) (presence.Page, error) {
	if err := events.ValidateChannel(channel); err != nil {
		return presence.Page{}, fmt.Errorf("members: %w", err)
	}
	if err := c.acquire(ctx); err != nil {
		return presence.Page{}, fmt.Errorf("members of %s: %w", channel, err)
	}
	defer c.release()
	c.mu.Lock()
	if c.stopped {
		c.mu.Unlock()
		return presence.Page{}, fmt.Errorf("members of %s: %w", channel, ErrStopped)
	}
	id := c.nextIDLocked()
	x := &call{id: id, frame: appendMembers(nil, id, channel, after, limit), resend: true}
	c.startLocked(x)
	c.mu.Unlock()
	f, err := c.await(ctx, x)
	if err != nil {
		return presence.Page{}, fmt.Errorf("members of %s: %w", channel, err)
	}
	return pageOf(&f), nil
}

// appendMembers appends a request for members; without an id, 0, its answer is a snapshot like any other.
func appendMembers(b []byte, id uint64, channel, after string, limit int) []byte {
	if id > 0 {
		b = appendOpen(b, wire.TypeMembers, id)
	} else {
		b = append(b, `{"type":"members"`...)
	}
	b = append(b, `,"channel":"`...)
	b = append(b, channel...)
	b = append(b, '"')
	if after != "" {
		b = append(b, `,"after":`...)
		b = wire.AppendString(b, after)
	}
	if limit > 0 {
		b = append(b, `,"limit":`...)
		b = strconv.AppendInt(b, int64(limit), 10)
	}
	return append(b, '}')
}

func pageOf(f *wire.Frame) presence.Page {
	p := presence.Page{
		Version: f.Version, Count: f.Count, Sessions: f.Sessions, Members: f.Members, Next: f.Next,
	}
	if f.StaleSinceMS > 0 {
		p.StaleSince = time.UnixMilli(f.StaleSinceMS)
	}
	return p
}
