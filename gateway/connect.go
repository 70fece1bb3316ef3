package gateway

import (
	"crypto/rand"
	"strings"

	"github.com/tallywire/tallywire/gateway/auth"
	"github.com/tallywire/tallywire/gateway/inspect"
	"github.com/tallywire/tallywire/gateway/wire"
)

// maxRefused is how many tokens a connection may try.
const maxRefused = 3

// connect handles `connect`.
func (s *session) connect(f *wire.ClientFrame) {
	g := s.conn.gateway
	p := s.header
	if p == nil || f.Token != "" {
		var err error
		if p, err = g.options.Auth.Authenticate(background(), strings.Clone(f.Token)); err != nil {
			e := authError(err)
			s.fail(f.ID, e)
			if e.Code.Retry() {
				return // the same token may be good later
			}
			if s.refused++; s.refused >= maxRefused {
				s.expel(wire.CodeUnauthorized, "too many tokens refused", wire.CloseUnauthorized)
			}
			return
		}
	}
	id := strings.Clone(f.Session)
	if id == "" {
		id = rand.Text()
	}
	s.begin(f.ID, id, p.Of(f.Session))
}

// begin makes the session usable and answers `connect`.
func (s *session) begin(frameID []byte, id string, p *auth.Principal) {
	g := s.conn.gateway
	s.id, s.header, s.claim = id, nil, rand.Text()
	s.statusTokens, s.statusFilled = 2*statusRate, s.conn.lastRead.Load()
	s.principal.Store(p)
	if s.conn.transport == transportCommands {
		return
	}
	g.live.Add(1)
	g.sessions.changed(s.conn)
	if s.conn.transport == transportPoll {
		return // its answer says what there is to say
	}
	s.logConnected(p)
	answer := wire.Connected{
		Session: id, User: p.User, Gateway: g.options.ID, PingMS: g.options.Ping.Milliseconds(),
	}
	if !p.Expires.IsZero() {
		answer.Expires = p.Expires.Unix()
	}
	s.conn.reply(func(b []byte) []byte { return wire.AppendConnected(b, frameID, answer) })
	c := s.conn
	c.flusher.call(func() {
		c.deadline = 0 // from now on it is told of the store's health when that changes
		c.flusher.tellHealth(c, g.hub.HealthNow())
	})
}

// refresh handles `refresh`: a new token of the same user. What it does not allow any more is reset.
func (s *session) refresh(f *wire.ClientFrame) {
	current := s.principal.Load()
	p, err := s.conn.gateway.options.Auth.Refresh(background(), current, strings.Clone(f.Token))
	if err != nil {
		s.fail(f.ID, authError(err))
		return
	}
	s.principal.Store(p)
	s.conn.reply(func(b []byte) []byte { return wire.AppendRefreshed(b, f.ID, p.Expires.Unix()) })
	s.mu.Lock()
	var lost []*subscription
	for _, sub := range s.subs {
		if !p.May(auth.Subscribe, sub.channel) {
			lost = append(lost, sub)
		}
	}
	for _, sub := range lost {
		s.removeLocked(sub)
	}
	s.mu.Unlock()
	for _, sub := range lost {
		s.forbid(sub)
	}
	s.forbidPresence(p)
}

// forbid ends a subscription that the session's token does not allow any more.
func (s *session) forbid(sub *subscription) {
	c := s.conn
	s.mu.Lock()
	r := sub.relay
	s.mu.Unlock()
	if r != nil {
		head := r.Head()
		c.flusher.call(func() {
			pos := sub.pos.Cursor
			c.flusher.detach(sub)
			c.flusher.record(sub, inspect.Forbidden, pos, head, forbiddenSubscribe)
			c.gateway.countReset(wire.ReasonForbidden)
			c.reply(func(b []byte) []byte {
				b = wire.AppendReset(b, sub.channel, wire.ReasonForbidden, pos, head)
				b = append(b, ',')
				return wire.AppendUnsubscribed(b, nil, sub.channel)
			})
		})
	}
	s.drop(sub)
	s.leavePresence(sub.channel)
}
