package goclient

import (
	"context"
	"time"

	"github.com/tallywire/tallywire/broker"
	"github.com/tallywire/tallywire/gateway/wire"
)

// stallGrace is how long the dispatcher may make no progress, while calls await answers that may be
// behind a full queue, before the reader drops channel frames to get at them.
const stallGrace = time.Second

// hand gives a message to the dispatcher. While the queue is full it waits, and so the gateway comes to
// wait. But a handler may itself be waiting for an answer that this connection brings: then events are
// dropped, and asked for again from the position when the queue is empty. It returns false when ctx ends.
func (l *link) hand(ctx context.Context, b batch) bool {
	c := l.c
	select {
	case c.queue <- b:
		return true
	default:
	}
	seen := c.stats.handled.Load()
	ticker := time.NewTicker(stallGrace)
	defer ticker.Stop()
	for {
		if l.skipping && l.skippedAt == seen && c.overflow(b) {
			return true
		}
		l.skipping = false
		select {
		case c.queue <- b:
			return true
		case <-ctx.Done():
			return false
		case <-l.broken:
			return false
		case <-ticker.C:
		}
		if now := c.stats.handled.Load(); now != seen {
			seen = now
			continue
		}
		l.skipping, l.skippedAt = true, seen
	}
}

// overflow drops a message and fences its channels; it reports false when no call awaits an answer.
func (c *Client) overflow(b batch) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	if len(c.calls) == 0 {
		return false
	}
	c.stats.overflows.Add(1)
	for i := range b.frames {
		s := c.subs[b.frames[i].Channel]
		if s == nil || s.owner != b.link && s.asked != b.link {
			continue
		}
		s.fenceLocked()
		c.behind = append(c.behind, s)
	}
	return true
}

// caughtUp asks again for the channels that overflow has fenced.
func (c *Client) caughtUp() {
	if len(c.queue) > 0 {
		return
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, s := range c.behind {
		if c.subs[s.channel] == s && s.owner == nil && s.asked == nil {
			c.requestLocked(s, time.Time{})
		}
	}
	c.behind = nil
}

// dispatchAll runs the handlers, until ctx ends.
func (c *Client) dispatchAll(ctx context.Context) {
	for {
		select {
		case <-ctx.Done():
			return
		case b := <-c.queue:
			for i := range b.frames {
				if ctx.Err() != nil {
					return
				}
				c.dispatch(ctx, b.link, &b.frames[i])
				c.stats.handled.Add(1)
			}
			c.caughtUp()
		}
	}
}

func (c *Client) dispatch(ctx context.Context, l *link, f *wire.Frame) {
	switch f.Type {
	case frameSubscribed:
		c.onSubscribed(ctx, l, f)
	case frameEvent, frameSkip:
		c.onAdvance(ctx, l, f)
	case frameReset:
		c.onReset(ctx, l, f)
	case frameSignal:
		if s := c.owned(l, f); s != nil && s.handler.OnSignal != nil {
			s.handler.OnSignal(ctx, Signal{Channel: f.Channel, Raw: f.Event})
		}
	case frameMembers:
		c.onMembers(ctx, l, f)
	case frameMember:
		c.onMember(ctx, l, f)
	case frameError:
		if !c.onPresenceError(ctx, l, f) {
			c.onError(ctx, l, f)
		}
	}
}

// owned returns the subscription that a frame concerns, if frames of this connection count for it.
func (c *Client) owned(l *link, f *wire.Frame) *Subscription {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.ownedLocked(l, f)
}

func (c *Client) ownedLocked(l *link, f *wire.Frame) *Subscription {
	if s := c.subs[f.Channel]; s != nil && s.owner == l {
		return s
	}
	return nil
}

func (c *Client) onSubscribed(ctx context.Context, l *link, f *wire.Frame) {
	id, ok := frameID(f)
	c.mu.Lock()
	s := c.subs[f.Channel]
	if !ok || s == nil || s.asked != l || s.req != id {
		c.mu.Unlock()
		return
	}
	s.answeredLocked()
	cursor := orZero(f.Cursor)
	if f.Cursor == nil || !s.track.subscribed(s.sent, cursor, f.Resumed) {
		c.violatedLocked(ctx, s, f) // unlocks
		return
	}
	s.owner, s.began = l, time.Now()
	s.roll = roll{}
	s.settleLocked(nil)
	c.mu.Unlock()
	if s.handler.OnSubscribed != nil {
		s.handler.OnSubscribed(ctx, Subscribed{Channel: f.Channel, Cursor: cursor, Head: orZero(f.Head), Resumed: f.Resumed})
	}
}

// onAdvance takes an event or a skip.
func (c *Client) onAdvance(ctx context.Context, l *link, f *wire.Frame) {
	c.mu.Lock()
	s := c.ownedLocked(l, f)
	if s == nil {
		c.mu.Unlock()
		return
	}
	cursor := orZero(f.Cursor)
	judge := s.track.event
	if f.Type == frameSkip {
		judge = s.track.skip
	}
	v, skipped := judge(cursor, f.Skipped)
	switch v {
	case violation:
		c.violatedLocked(ctx, s, f) // unlocks
		return
	case duplicate:
		c.mu.Unlock()
		c.stats.duplicates.Add(1)
		return
	case deliver:
	}
	c.mu.Unlock()
	c.stats.skipped.Add(skipped)
	if f.Type == frameSkip {
		if s.handler.OnSkip != nil {
			s.handler.OnSkip(ctx, Skip{Channel: f.Channel, Cursor: cursor, Skipped: skipped})
		}
	} else {
		c.stats.events.Add(1)
		if s.handler.OnEvent != nil {
			s.handler.OnEvent(ctx, Event{
				Channel: f.Channel, Cursor: cursor, Skipped: skipped, Raw: f.Event, Time: cursor.Time(),
			})
		}
	}
	c.commit(s, cursor)
}

func (c *Client) commit(s *Subscription, cursor broker.Cursor) {
	c.mu.Lock()
	s.track.commit(cursor)
	c.mu.Unlock()
}

func (c *Client) onReset(ctx context.Context, l *link, f *wire.Frame) {
	c.mu.Lock()
	s := c.ownedLocked(l, f)
	if s == nil {
		c.mu.Unlock()
		return
	}
	r := Reset{Channel: f.Channel, Reason: f.Reason, Cursor: orZero(f.Cursor), Head: orZero(f.Head)}
	if f.Reason == wire.ReasonForbidden {
		s.state = refused
		s.fenceLocked()
	} else {
		if f.Cursor == nil {
			c.violatedLocked(ctx, s, f) // unlocks
			return
		}
		if !s.track.rewind(f.Reason, r.Cursor) {
			c.mu.Unlock()
			return
		}
	}
	c.mu.Unlock()
	c.stats.resets.Add(1)
	if s.handler.OnReset != nil {
		s.handler.OnReset(ctx, r)
	}
	if f.Reason != wire.ReasonForbidden {
		c.commit(s, r.Cursor)
	}
}

// violatedLocked counts and tells a break of the guarantee and resumes from the position. It unlocks c.mu.
func (c *Client) violatedLocked(ctx context.Context, s *Subscription, f *wire.Frame) {
	e := &ViolationError{
		Channel: s.channel, Frame: f.Type, Position: s.track.pos, Sent: s.track.at,
		Got: orZero(f.Cursor), Skipped: f.Skipped,
	}
	c.againLocked(s)
	c.mu.Unlock()
	c.stats.violations.Add(1)
	c.o.Logger.WarnContext(ctx, "guarantee violated", "error", e)
	if s.handler.OnError != nil {
		s.handler.OnError(ctx, e)
	}
}

// onError takes an error that answers no call.
func (c *Client) onError(ctx context.Context, l *link, f *wire.Frame) {
	id, answers := frameID(f)
	retry := f.Retry || f.Code == wire.CodeTokenExpired && c.o.TokenSource != nil
	refusal := &wire.Error{Code: f.Code, Message: f.Message, Path: f.Path, Channel: f.Channel}
	var told []*Subscription
	c.mu.Lock()
	for _, s := range c.concernedLocked(l, f.Channel, id, answers) {
		told = append(told, s)
		if retry {
			c.againLocked(s)
			continue
		}
		s.fenceLocked()
		s.state = failed
		if mayBeAllowed(f.Code) {
			s.state = refused
		}
		s.settleLocked(&ChannelError{Channel: s.channel, Err: refusal})
	}
	c.mu.Unlock()
	if len(told) == 0 {
		c.o.Logger.WarnContext(ctx, "gateway error", "error", refusal)
	}
	for _, s := range told {
		if s.handler.OnError != nil {
			s.handler.OnError(ctx, &ChannelError{Channel: s.channel, Err: refusal, Retry: retry})
		}
	}
}

// concernedLocked returns the subscriptions that an error is about: the one of the channel, or all of
// a request that was refused as a whole.
func (c *Client) concernedLocked(l *link, channel string, id uint64, answers bool) []*Subscription {
	if channel != "" {
		s := c.subs[channel]
		if s == nil || answers && (s.asked != l || s.req != id) || !answers && s.owner != l {
			return nil
		}
		return []*Subscription{s}
	}
	var all []*Subscription
	if answers {
		for _, s := range c.subs {
			if s.asked == l && s.req == id {
				all = append(all, s)
			}
		}
	}
	return all
}

// mayBeAllowed reports whether another token or connection may change a refusal.
func mayBeAllowed(code wire.Code) bool {
	switch code {
	case wire.CodeInvalidChannel, wire.CodeInvalidCursor, wire.CodeInvalidSince, wire.CodeInvalidFrame, wire.CodeUnsupported:
		return false
	default:
		return true
	}
}

func orZero(c *broker.Cursor) broker.Cursor {
	if c == nil {
		return broker.Cursor{}
	}
	return *c
}
