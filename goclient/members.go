package goclient

import (
	"context"
	"strings"
	"time"

	"github.com/tallywire/tallywire/gateway/wire"
	"github.com/tallywire/tallywire/presence"
)

// Members is a snapshot of a channel's members: a page, the first one, and what is known of the whole.
type Members struct {
	Channel string
	presence.Page
}

// roll is how far a subscription has come with the changes of its channel's members. It is owned by the
// dispatcher.
type roll struct {
	version uint64
	known   bool // there is a snapshot that changes follow on
	asked   bool // a snapshot was asked for
}

// onMembers takes a snapshot that came by itself, or because a change was missing.
func (c *Client) onMembers(ctx context.Context, l *link, f *wire.Frame) {
	s := c.owned(l, f)
	if s == nil || !s.members {
		return
	}
	page := pageOf(f)
	s.roll = roll{version: page.Version, known: page.StaleSince.IsZero()}
	if s.handler.OnMembers != nil {
		s.handler.OnMembers(ctx, Members{Channel: f.Channel, Page: page})
	}
}

// onMember takes a change. One that does not follow on what is known shows that something was missed.
func (c *Client) onMember(ctx context.Context, l *link, f *wire.Frame) {
	s := c.owned(l, f)
	switch {
	case s == nil || !s.members || f.Member == nil:
	case !s.roll.known || f.Version <= s.roll.version:
		// A snapshot is on its way, or has it already.
	case f.Prev != s.roll.version:
		s.roll.known = false
		c.askMembers(l, s)
	default:
		s.roll.version = f.Version
		if s.handler.OnMember != nil {
			s.handler.OnMember(ctx, presence.Change{
				Channel: f.Channel, Version: f.Version, Prev: f.Prev, Action: f.Action, Member: *f.Member,
			})
		}
	}
}

// askMembers asks for a snapshot, whose answer comes to onMembers, in its place among the changes.
func (c *Client) askMembers(l *link, s *Subscription) {
	if s.roll.asked {
		return
	}
	s.roll.asked = true
	c.stats.memberGaps.Add(1)
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.stopped || c.cur == nil || s.owner != l {
		return // a new connection brings a snapshot
	}
	x := &call{id: c.nextIDLocked(), frame: appendMembers(nil, 0, s.channel, "", 0), oneway: true}
	x.done = make(chan answer, 1)
	c.calls[x.id] = x
	c.carryLocked(x, l)
}

// onPresenceError takes an error about the presence of a channel that answers nothing: of the snapshots, or
// because a new token does not allow it. It reports false where f is none.
func (c *Client) onPresenceError(ctx context.Context, l *link, f *wire.Frame) bool {
	if f.Channel == "" || len(f.ID) > 0 || !strings.HasPrefix(f.Path, "/presence") {
		return false
	}
	e := &wire.Error{Code: f.Code, Message: f.Message, Path: f.Path, Channel: f.Channel}
	c.mu.Lock()
	if s := c.stays[f.Channel]; s != nil && f.Code == wire.CodeForbidden && l == c.cur {
		c.forgetLocked(s, e)
	}
	sub := c.ownedLocked(l, f)
	c.mu.Unlock()
	if sub == nil {
		c.o.Logger.WarnContext(ctx, "presence", "error", e)
		return true
	}
	if sub.roll.asked {
		sub.roll.asked = false // the next change asks again
		sub.roll.known = sub.roll.version > 0
	}
	if sub.handler.OnError != nil {
		sub.handler.OnError(ctx, &ChannelError{Channel: f.Channel, Err: e, Retry: f.Retry})
	}
	return true
}

// leaveWithLocked ends a session's presence in a channel that it unsubscribes, as the gateway does.
func (c *Client) leaveWithLocked(channel string) {
	s := c.stays[channel]
	if s == nil {
		return
	}
	s.changeLocked(true)
	if c.cur == nil {
		c.forgetLocked(s, nil)
	}
	c.askLocked(s, time.Time{})
}
