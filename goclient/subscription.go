package goclient

import (
	"context"
	"encoding/json"
	"fmt"
	"time"

	"github.com/tallywire/tallywire/broker"
	"github.com/tallywire/tallywire/events"
	"github.com/tallywire/tallywire/presence"
)

// Handler takes what happens on a subscription. Functions that are nil are not called. All handlers of
// a client run one after another on one goroutine; a handler that takes long delays the others, and
// finally the gateway, but loses nothing. Handlers may call every method of the client; the context is
// that of Run.
type Handler struct {
	// OnEvent takes an event. The subscription's cursor moves to it when OnEvent has returned.
	OnEvent func(context.Context, Event)
	// OnReset is told that events may be missing; those after its Cursor follow.
	OnReset func(context.Context, Reset)
	// OnSubscribed is told whenever a connection has taken up the channel.
	OnSubscribed func(context.Context, Subscribed)
	// OnSkip is told of events left out where no event follows that could say so.
	OnSkip func(context.Context, Skip)
	// OnSignal takes an ephemeral event, which may be lost.
	OnSignal func(context.Context, Signal)
	// OnMembers takes a snapshot of the channel's members, which replaces what was known of them: the first
	// page, see [Client.Members] for the others. It comes with every connection, and whenever a change may
	// have been missed. OnMember takes a change: it follows on the snapshot or change before it, and no change
	// comes twice. Programs that keep the members of a channel with more than one page give both to a
	// [presence.Roster]. Both need SubscribeOptions.Presence.
	OnMembers func(context.Context, Members)
	OnMember  func(context.Context, presence.Change)
	// OnError is told of a [*ChannelError] or [*ViolationError]. Neither ends the subscription.
	OnError func(context.Context, error)
}

// Event is one event of a channel.
type Event struct {
	Channel string
	Cursor  broker.Cursor
	// Skipped is how many events before this one a `latest` namespace has left out since the last one
	// delivered.
	Skipped uint64
	// Raw is the event's JSON as it was published. Its id defaults to the cursor, its source to the
	// channel, its time to Time. It may be kept.
	Raw json.RawMessage
	// Time is when the event was appended.
	Time time.Time
}

// Reset says that events may be missing, and why.
type Reset struct {
	Channel string
	// Reason is trimmed, forked, expired or forbidden. After forbidden nothing follows until a token allows it.
	Reason string
	// Cursor is where the events that follow begin, Head the channel's newest.
	Cursor, Head broker.Cursor
}

// Subscribed says that a connection has taken up a channel.
type Subscribed struct {
	Channel string
	// Cursor is where the events that follow begin, Head the channel's newest.
	Cursor, Head broker.Cursor
	// Resumed reports that the cursor asked for was honoured. Where one was asked for and Resumed is
	// false, a Reset follows.
	Resumed bool
}

// Skip closes the account of skipped events.
type Skip struct {
	Channel string
	Cursor  broker.Cursor
	Skipped uint64
}

// Signal is an ephemeral event, which has no cursor.
type Signal struct {
	Channel string
	Raw     json.RawMessage
}

// SubscribeOptions say where a subscription begins. Neither Cursor nor Since means from now on.
type SubscribeOptions struct {
	// Cursor resumes after an event; the zero cursor begins with the channel's first.
	Cursor *broker.Cursor
	// Since rewinds by time.
	Since time.Time
	// Presence asks for the channel's members, too. Where the token does not allow that, the subscription
	// is refused.
	Presence bool
	// Handler takes what happens.
	Handler Handler
}

// subState is what may be done for a subscription.
type subState int

const (
	wanted  subState = iota
	refused          // another connection or token may change the answer
	failed           // nothing will
)

// Subscription is a channel that the client follows. Its methods may be called concurrently.
type Subscription struct {
	c       *Client
	channel string
	handler Handler
	since   string
	members bool          // presence is asked for
	ready   chan struct{} // closed once first is set

	roll roll // owned by the dispatcher

	// Guarded by c.mu.
	track   track
	state   subState
	first   error          // what the first answer said, when ready is closed
	settled bool           // ready is closed
	owner   *link          // the connection whose events count; nil while fenced
	link    *link          // the connection that the last request was written to
	asked   *link          // the same, while the request is unanswered
	req     uint64         // id of that request
	sent    *broker.Cursor // its cursor
	dirty   bool           // in the outbox of the current connection
	due     time.Time      // not to be written before
	began   time.Time      // when it was last taken up
	retry   backoff
}

// Subscribe follows a channel until Unsubscribe or the end of Run. It may be called before Run and at
// any time; it does not wait for the gateway, see [Subscription.Ready].
func (c *Client) Subscribe(channel string, o SubscribeOptions) (*Subscription, error) {
	if err := events.ValidateChannel(channel); err != nil {
		return nil, fmt.Errorf("subscribe: %w", err)
	}
	s := &Subscription{
		c: c, channel: channel, handler: o.Handler, members: o.Presence, ready: make(chan struct{}), retry: c.backoff(),
	}
	switch {
	case o.Cursor != nil:
		s.track.commit(*o.Cursor)
	case !o.Since.IsZero():
		s.since = o.Since.UTC().Format(time.RFC3339Nano)
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.stopped {
		return nil, fmt.Errorf("subscribe: %w", ErrStopped)
	}
	if c.subs[channel] != nil {
		return nil, fmt.Errorf("subscribe to %s: %w", channel, ErrSubscribed)
	}
	c.subs[channel] = s
	c.requestLocked(s, time.Time{})
	return s, nil
}

// Channel returns the channel's name.
func (s *Subscription) Channel() string { return s.channel }

// Cursor returns the position: the last event whose handler has returned, or where the subscription
// began. It reports false while a subscription "from now on" or by time has not been answered.
func (s *Subscription) Cursor() (broker.Cursor, bool) {
	s.c.mu.Lock()
	defer s.c.mu.Unlock()
	return s.track.pos, s.track.known
}

// Ready waits until a gateway has taken up the channel for the first time, or has refused it with an
// error that trying again does not change.
func (s *Subscription) Ready(ctx context.Context) error {
	select {
	case <-s.ready:
		s.c.mu.Lock()
		defer s.c.mu.Unlock()
		return s.first
	case <-ctx.Done():
		return fmt.Errorf("subscribe to %s: %w", s.channel, ctx.Err())
	}
}

// Unsubscribe ends the subscription, and the session's presence in the channel. Its handler is
// not called again, except for a call under way.
func (s *Subscription) Unsubscribe() {
	c := s.c
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.subs[s.channel] != s {
		return
	}
	delete(c.subs, s.channel)
	s.settleLocked(ErrStopped)
	s.answeredLocked()
	c.leaveWithLocked(s.channel)
	if s.link != nil && s.link == c.cur {
		c.cur.leave[s.channel] = struct{}{}
		c.cur.kick()
	}
}

// settleLocked lets Ready return.
func (s *Subscription) settleLocked(err error) {
	if !s.settled {
		s.settled, s.first = true, err
		close(s.ready)
	}
}

// answeredLocked notes that no answer is awaited any more.
func (s *Subscription) answeredLocked() {
	if l := s.asked; l != nil {
		s.asked = nil
		l.unanswered--
		l.settleLocked()
	}
}

// fenceLocked lets nothing that is on its way on the current connection count any more.
func (s *Subscription) fenceLocked() {
	s.owner = nil
	s.answeredLocked()
	s.req = 0
}

// requestLocked has the channel (re)subscribed from its position, on the current connection, not before due.
// Without a connection there is nothing to do: the next one takes up all wanted channels.
func (c *Client) requestLocked(s *Subscription, due time.Time) {
	if c.cur == nil || s.state != wanted {
		return
	}
	s.due = due
	if !s.dirty {
		s.dirty = true
		c.cur.dirty = append(c.cur.dirty, s)
	}
	c.cur.kick()
}

// againLocked fences the subscription and asks for it with backoff.
func (c *Client) againLocked(s *Subscription) {
	s.fenceLocked()
	if !s.began.IsZero() && time.Since(s.began) >= stableAfter {
		s.retry.reset()
	}
	s.began = time.Time{}
	var due time.Time
	if d := s.retry.next(); d > 0 {
		due = time.Now().Add(d)
	}
	c.requestLocked(s, due)
}
