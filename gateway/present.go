package gateway

import (
	"context"
	"errors"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/tallywire/tallywire/broker/relay"
	"github.com/tallywire/tallywire/events"
	"github.com/tallywire/tallywire/gateway/auth"
	"github.com/tallywire/tallywire/gateway/wire"
	"github.com/tallywire/tallywire/presence"
)

// statusRate is how many presence frames a second a connection may send, in bursts of twice as many. To
// enter a channel is free, so that a client that reconnects is back everywhere before its grace is over;
// to leave it is not. What comes while the store is busy is conflated.
const statusRate = 20

// present handles `presence`: the session enters a channel, changes its status there, or leaves it.
func (s *session) present(f *wire.ClientFrame) {
	channel, bad := s.mayPresence(f.Channel)
	switch {
	case bad != nil:
		s.fail(f.ID, bad)
		return
	case s.id == "":
		s.fail(f.ID, &wire.Error{
			Code: wire.CodeInvalidFrame, Message: "presence: a session without a name is nowhere present", Channel: channel,
		})
		return
	case len(f.Status) > presence.MaxStatus:
		s.fail(f.ID, &wire.Error{
			Code: wire.CodeStatusTooLarge, Message: "status: has more than 4096 bytes", Path: "/status", Channel: channel,
		})
		return
	}
	s.enter(channel, slices.Clone(f.ID), f)
}

// enter notes what a `presence` frame that may be said says.
func (s *session) enter(channel string, id []byte, f *wire.ClientFrame) {
	g := s.conn.gateway
	s.mu.Lock()
	st, known := s.stays[channel]
	var bad *wire.Error
	switch {
	case s.ended:
		s.mu.Unlock()
		return
	case f.Leave && !known && s.conn.transport != transportCommands:
		bad = notPresent(channel)
	case known && !s.takeStatus():
		bad = &wire.Error{Code: wire.CodeRateLimited, Message: "too many presence frames a second", Channel: channel}
	case !known && !f.Leave && len(s.stays) >= g.options.Limits.Subscriptions:
		bad = &wire.Error{Code: wire.CodeTooManySubscriptions, Message: "the session is present in as many channels as it may", Channel: channel}
	}
	if bad != nil {
		s.mu.Unlock()
		s.fail(id, bad)
		return
	}
	if !known {
		st = &stay{}
		if s.stays == nil {
			s.stays = map[string]*stay{}
		}
		s.stays[channel] = st
	}
	fresh := !known || st.leaving && !f.Leave
	if fresh {
		st.status = nil
	}
	if f.Status != nil {
		st.status = slices.Clone(f.Status)
	}
	if len(id) > 0 && len(st.ids) < maxStatusIDs {
		st.ids = append(st.ids, id)
	}
	st.leaving, st.at = f.Leave, s.conn.flusher.clock()
	if st.claim == "" || s.conn.transport == transportCommands {
		st.claim = s.newClaim()
	}
	s.bringLocked(channel, st)
	var release *relay.Relay
	switch {
	case f.Leave:
		release = s.unwatchLocked(channel, asMember)
	case fresh && s.conn.transport != transportCommands:
		s.watchLocked(channel, asMember, nil)
	}
	s.mu.Unlock()
	g.rooms.release(release)
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
			Code: wire.CodeForbidden, Message: forbiddenPresence, Channel: clip(channel),
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
	c.begin(1)
	c.gateway.conns.Add(1)
	go func() {
		defer c.gateway.conns.Done()
		defer c.endQuietly()
		defer c.survive()
		s.bring(channel, st)
	}()
}

// bring tells the tracker what is so until it is. When the session ends meanwhile, it tells that last: a
// leave that overtook the enter would leave a member that nobody is.
func (s *session) bring(channel string, st *stay) {
	g := s.conn.gateway
	p := s.principal.Load()
	for {
		s.mu.Lock()
		status, ids, leaving, claim := st.status, st.ids, st.leaving, st.claim
		st.ids, st.again = nil, false
		ended := s.ended
		s.mu.Unlock()
		if ended {
			s.depart(p, channel, claim, leaving)
			return
		}
		ctx, cancel := context.WithTimeout(background(), presenceTimeout)
		var err error
		switch {
		case leaving && s.conn.transport == transportCommands:
			err = s.withdraw(ctx, p, channel, claim)
		case leaving:
			err = g.rooms.tracker.Leave(ctx, s.exit(p, channel, claim, true))
		default:
			err = g.rooms.tracker.Enter(ctx, s.entry(p, channel, claim, status))
		}
		cancel()
		s.answerPresence(channel, ids, err)
		if s.brought(channel, st, leaving, err) {
			return
		}
	}
}

// brought notes that the tracker was told, and reports whether that was all.
func (s *session) brought(channel string, st *stay, left bool, err error) bool {
	remembered := err == nil || errors.Is(err, presence.ErrUnavailable) || errors.Is(err, presence.ErrRefused)
	s.mu.Lock()
	var release *relay.Relay
	defer func() { s.conn.gateway.rooms.release(release) }()
	defer s.mu.Unlock()
	if st.again || s.ended {
		return false
	}
	st.busy = false
	if (left || !remembered) && s.stays[channel] == st {
		delete(s.stays, channel)
		release = s.unwatchLocked(channel, asMember)
	}
	return true
}

const presenceTimeout = 5 * time.Second

func (s *session) answerPresence(channel string, ids [][]byte, err error) {
	if err == nil {
		for _, id := range ids {
			s.conn.reply(func(b []byte) []byte { return wire.AppendPresent(b, id, channel) })
		}
		return
	}
	e := presenceFailure(channel, err)
	if errors.Is(err, errNotPresent) {
		e = notPresent(channel)
	}
	if len(ids) == 0 {
		ids = [][]byte{nil}
	}
	for _, id := range ids {
		s.refuse(id, e)
	}
}

// presenceFailure is presenceError for an answer about a channel. Its path says that not the subscription
// is concerned.
func presenceFailure(channel string, err error) *wire.Error {
	e := presenceError(err)
	e.Channel = channel
	if e.Path == "" {
		e.Path = presencePath
	}
	return e
}

// presencePath is the path of an error that is about a channel's members.
const presencePath = "/presence"

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

// reason is why a session watches the members of a channel; there may be several.
type reason uint8

const (
	asMember     reason = 1 << iota // it is present there
	asSubscriber                    // its subscription says so
)

// watchLocked has the session sent the members of a channel, unless it has them at a version. The caller holds s.mu.
func (s *session) watchLocked(channel string, why reason, known *uint64) {
	if s.watched == nil {
		s.watched = map[string]reason{}
	}
	s.watched[channel] |= why
	s.conn.gateway.rooms.watch(s, channel, known)
}

// unwatchLocked ends it where there is no other reason. The caller holds s.mu, and releases what is
// returned after that.
func (s *session) unwatchLocked(channel string, why reason) *relay.Relay {
	had := s.watched[channel]
	switch left := had &^ why; {
	case left == had: // also without presence
	case left != 0:
		s.watched[channel] = left
	default:
		delete(s.watched, channel)
		return s.conn.gateway.rooms.unwatch(s, channel)
	}
	return nil
}

// leavePresence ends, at once, what the session has to do with a channel's members.
func (s *session) leavePresence(channel string) {
	s.mu.Lock()
	if st := s.stays[channel]; st != nil && !st.leaving {
		st.leaving = true
		s.bringLocked(channel, st)
	}
	release := s.unwatchLocked(channel, asMember|asSubscriber)
	s.mu.Unlock()
	if release != nil {
		s.conn.gateway.rooms.release(release)
	}
}

// forbidPresence ends what a new token does not allow any more, and says so.
func (s *session) forbidPresence(p *auth.Principal) {
	s.mu.Lock()
	var lost []string
	for channel := range s.watched {
		if !p.May(auth.Presence, channel) {
			lost = append(lost, channel)
		}
	}
	for channel, st := range s.stays {
		if !st.leaving && s.watched[channel] == 0 && !p.May(auth.Presence, channel) {
			lost = append(lost, channel)
		}
	}
	s.mu.Unlock()
	for _, channel := range lost {
		s.leavePresence(channel)
		s.refuse(nil, &wire.Error{
			Code: wire.CodeForbidden, Message: forbiddenPresence, Path: presencePath, Channel: channel,
		})
	}
}

const forbiddenPresence = "the token does not allow presence in this channel"

// endPresence gives up everything when the connection has ended; stays are those that nobody else is
// busy with. Members go into grace.
func (s *session) endPresence(stays map[string]*stay, watched map[string]reason) {
	g := s.conn.gateway
	for channel := range watched {
		g.rooms.release(g.rooms.unwatch(s, channel))
	}
	p := s.principal.Load()
	var all sync.WaitGroup
	for channel, st := range stays { // at most Limits.Subscriptions, each for presenceTimeout
		all.Go(func() { s.depart(p, channel, st.claim, st.leaving) })
	}
	all.Wait()
}

// depart tells that the session's connection is gone. A store that is away is told later: the tracker
// remembers it.
func (s *session) depart(p *auth.Principal, channel, claim string, now bool) {
	g := s.conn.gateway
	ctx, cancel := context.WithTimeout(background(), presenceTimeout)
	defer cancel()
	if err := g.rooms.tracker.Leave(ctx, s.exit(p, channel, claim, now)); err != nil {
		g.options.Log.Debug().Str("event", "presence_leave_late").Err(err).Msg("the store will be told later")
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
				return wire.AppendError(b, id, presenceFailure(channel, err))
			}
			return wire.AppendMembers(b, id, channel, page)
		})
	}()
}
