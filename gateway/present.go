package gateway

import (
	"context"
	"errors"
	"slices"
	"strings"
	"time"

	"github.com/tallywire/tallywire/events"
	"github.com/tallywire/tallywire/gateway/auth"
	"github.com/tallywire/tallywire/gateway/wire"
	"github.com/tallywire/tallywire/presence"
)

// stay is a session's presence in one channel. It is owned by attendance.mu.
type stay struct {
	status  []byte   // the newest, JSON; nil keeps what the store has
	ids     [][]byte // frames that wait for an answer
	busy    bool     // a goroutine brings the store up to it
	again   bool     // it changed meanwhile
	leaving bool
}

// statusRate is how many presence frames a second a connection may send, in bursts of twice as many.
// What comes while the store is busy is conflated.
const statusRate = 20

// present handles `presence`: the session enters a channel, changes its status there, or leaves it.
func (s *session) present(f *wire.ClientFrame) {
	g := s.conn.gateway
	channel, bad := s.mayPresence(f.Channel)
	switch {
	case bad != nil:
		s.fail(f.ID, bad)
		return
	case len(f.Status) > presence.MaxStatus:
		s.fail(f.ID, &wire.Error{
			Code: wire.CodeStatusTooLarge, Message: "status: has more than 4096 bytes", Path: "/status", Channel: channel,
		})
		return
	case !s.takeStatus():
		s.fail(f.ID, &wire.Error{Code: wire.CodeRateLimited, Message: "too many presence frames a second", Channel: channel})
		return
	}
	id := slices.Clone(f.ID)
	s.mu.Lock()
	if s.ended {
		s.mu.Unlock()
		return
	}
	st, known := s.stays[channel]
	switch {
	case f.Leave && !known:
		s.mu.Unlock()
		s.fail(id, &wire.Error{Code: wire.CodeNotSubscribed, Message: "the session is not present in this channel", Channel: channel})
		return
	case !known && len(s.stays) >= g.options.Limits.Subscriptions:
		s.mu.Unlock()
		s.fail(id, &wire.Error{Code: wire.CodeTooManySubscriptions, Message: "the session is present in as many channels as it may", Channel: channel})
		return
	case !known:
		st = &stay{}
		if s.stays == nil {
			s.stays = map[string]*stay{}
		}
		s.stays[channel] = st
	}
	if f.Status != nil {
		st.status = slices.Clone(f.Status)
	}
	if len(id) > 0 && len(st.ids) < maxStatusIDs {
		st.ids = append(st.ids, id)
	}
	st.leaving = f.Leave
	s.bringLocked(channel, st)
	s.mu.Unlock()
	if f.Leave {
		g.rooms.unwatch(s, channel)
	} else if !known {
		s.watch(channel, nil)
	}
}

// maxStatusIDs bounds the answers that one channel's presence frames wait for; beyond it a frame is
// answered by the answer to a later one.
const maxStatusIDs = 64

// mayPresence checks that the session may take part in the presence of a channel.
func (s *session) mayPresence(channel string) (string, *wire.Error) {
	switch {
	case s.conn.gateway.rooms == nil:
		return "", wire.Errorf(wire.CodeUnsupported, "presence is not enabled on this gateway")
	case events.ValidateChannel(channel) != nil:
		return "", &wire.Error{
			Code: wire.CodeInvalidChannel, Message: events.ValidateChannel(channel).Error(), Path: "/channel", Channel: clip(channel),
		}
	case !s.principal.Load().May(auth.Presence, channel):
		return "", &wire.Error{
			Code: wire.CodeForbidden, Message: "the token does not allow presence in this channel", Channel: clip(channel),
		}
	}
	return strings.Clone(channel), nil
}

// takeStatus spends one presence frame of the limit.
func (s *session) takeStatus() bool {
	now := s.conn.lastRead.Load()
	s.statusTokens = min(2*statusRate, s.statusTokens+float64(now-s.statusFilled)/1e9*statusRate)
	s.statusFilled = now
	if s.statusTokens < 1 {
		return false
	}
	s.statusTokens--
	return true
}

// bringLocked has the store brought up to a stay, one call at a time. The caller holds s.mu.
func (s *session) bringLocked(channel string, st *stay) {
	if st.busy {
		st.again = true
		return
	}
	st.busy = true
	c := s.conn
	c.gateway.conns.Add(1)
	go func() {
		defer c.gateway.conns.Done()
		defer c.survive()
		s.bring(channel, st)
	}()
}

// bring tells the tracker what is so until it is.
func (s *session) bring(channel string, st *stay) {
	g := s.conn.gateway
	p := s.principal.Load()
	for {
		s.mu.Lock()
		if s.ended {
			s.mu.Unlock()
			return // end tells the tracker
		}
		status, ids, leaving := st.status, st.ids, st.leaving
		st.ids, st.again = nil, false
		s.mu.Unlock()
		ctx, cancel := context.WithTimeout(background(), presenceTimeout)
		var err error
		if leaving {
			err = g.rooms.tracker.Leave(ctx, s.exit(p, channel, true))
		} else {
			err = g.rooms.tracker.Enter(ctx, presence.Entry{
				Channel: channel, User: p.User, Session: s.id, Claim: s.claim, Name: p.Name, Status: status,
				Grace: g.options.Namespaces.For(channel).Grace,
			})
		}
		cancel()
		s.answerPresence(channel, ids, err)
		s.mu.Lock()
		if !st.again {
			st.busy = false
			if leaving || err != nil && !errors.Is(err, presence.ErrUnavailable) && !errors.Is(err, presence.ErrRefused) {
				if s.stays[channel] == st {
					delete(s.stays, channel)
				}
			}
			s.mu.Unlock()
			return
		}
		s.mu.Unlock()
	}
}

const presenceTimeout = 5 * time.Second

func (s *session) exit(p *auth.Principal, channel string, now bool) presence.Exit {
	return presence.Exit{Channel: channel, User: p.User, Session: s.id, Claim: s.claim, Now: now}
}

func (s *session) answerPresence(channel string, ids [][]byte, err error) {
	if err == nil {
		for _, id := range ids {
			s.conn.reply(func(b []byte) []byte { return wire.AppendPresent(b, id, channel) })
		}
		return
	}
	e := presenceError(err)
	e.Channel = channel
	if len(ids) == 0 {
		ids = [][]byte{nil}
	}
	for _, id := range ids {
		s.refuse(id, e)
	}
}

// presenceError turns an error of the tracker, or of the broker below it, into the wire's.
func presenceError(err error) *wire.Error {
	switch {
	case errors.Is(err, presence.ErrStatusTooLarge):
		return &wire.Error{Code: wire.CodeStatusTooLarge, Message: "status: has more than 4096 bytes", Path: "/status"}
	case errors.Is(err, presence.ErrInvalid):
		return wire.Errorf(wire.CodeInvalidFrame, "presence: a field is not valid")
	case errors.Is(err, presence.ErrTooManySessions), errors.Is(err, presence.ErrOverloaded):
		return wire.Errorf(wire.CodeOverloaded, "too many sessions are present")
	case errors.Is(err, presence.ErrMoved):
		return wire.Errorf(wire.CodeRefused, "the session has moved to another connection")
	case errors.Is(err, presence.ErrRefused):
		return wire.Errorf(wire.CodeRefused, "the store refuses the operation")
	case errors.Is(err, presence.ErrUnavailable):
		return wire.Errorf(wire.CodeUnavailable, "the store is not available; it is told when it is back")
	default:
		return storeError(err)
	}
}

// watch sends the session the members of a channel; id is that of the frame that asked.
func (s *session) watch(channel string, id []byte) {
	s.mu.Lock()
	if s.ended {
		s.mu.Unlock()
		return
	}
	if !slices.Contains(s.watched, channel) {
		s.watched = append(s.watched, channel)
	}
	s.mu.Unlock()
	s.conn.gateway.rooms.watch(s, channel, id)
}

// leavePresence ends what the session has to do with a channel's members: at once when it says so
// (unsubscribe), with grace when its connection has ended.
func (s *session) leavePresence(channel string) {
	if s.conn.gateway.rooms == nil {
		return
	}
	s.mu.Lock()
	if i := slices.Index(s.watched, channel); i >= 0 {
		s.watched = slices.Delete(s.watched, i, i+1)
	}
	if st := s.stays[channel]; st != nil {
		st.leaving = true
		s.bringLocked(channel, st)
	}
	s.mu.Unlock()
	s.conn.gateway.rooms.unwatch(s, channel)
}

// endPresence gives up everything when the connection has ended.
func (s *session) endPresence(stays map[string]*stay, watched []string) {
	g := s.conn.gateway
	if g.rooms == nil {
		return
	}
	for _, channel := range watched {
		g.rooms.unwatch(s, channel)
	}
	p := s.principal.Load()
	if p == nil || len(stays) == 0 {
		return
	}
	ctx, cancel := context.WithTimeout(background(), presenceTimeout)
	defer cancel()
	for channel, st := range stays {
		// A store that is away is told later; the tracker remembers.
		if err := g.rooms.tracker.Leave(ctx, s.exit(p, channel, st.leaving)); err != nil {
			g.options.Log.Debug().Str("event", "presence_leave_late").Err(err).Msg("the store will be told later")
		}
	}
}

// members handles `members`: a page of a channel's members.
func (s *session) members(f *wire.ClientFrame) {
	channel, bad := s.mayPresence(f.Channel)
	if bad != nil {
		s.fail(f.ID, bad)
		return
	}
	id, request := slices.Clone(f.ID), presence.PageRequest{After: strings.Clone(f.After), Limit: f.Limit}
	c := s.conn
	c.begin(1)
	c.gateway.conns.Add(1)
	go func() {
		defer c.gateway.conns.Done()
		defer c.survive()
		ctx, cancel := context.WithTimeout(background(), presenceTimeout)
		defer cancel()
		page, err := c.gateway.rooms.tracker.Members(ctx, channel, request)
		c.end(func(b []byte) []byte {
			if err != nil {
				e := presenceError(err)
				e.Channel = channel
				return wire.AppendError(b, id, e)
			}
			return wire.AppendMembers(b, id, channel, page)
		})
	}()
}
