package gateway

import (
	"context"
	"crypto/rand"
	"errors"
	"unicode/utf8"

	"github.com/tallywire/tallywire/gateway/auth"
	"github.com/tallywire/tallywire/gateway/wire"
	"github.com/tallywire/tallywire/presence"
)

// stay is a session's presence in one channel. It is guarded by session.mu.
type stay struct {
	claim   string   // under which it was told to the store last
	at      int64    // when that was asked for, by the flusher's clock
	status  []byte   // the newest, JSON; nil keeps what the store has
	ids     [][]byte // frames that wait for an answer
	busy    bool     // a goroutine brings the store up to it
	again   bool     // it changed meanwhile
	leaving bool
}

// newClaim names a stay. That of a connection lasts as long as it; between requests over HTTP another
// gateway may have taken the session over, so that each comes with a claim of its own.
func (s *session) newClaim() string {
	if s.conn.transport == transportCommands {
		return rand.Text()
	}
	return s.claim
}

// entry is what the tracker is told. A session between requests has nobody who would notice that its gateway
// is gone, and comes back when it has something to say: its grace lasts until it would have been over here.
func (s *session) entry(p *auth.Principal, channel, claim string, status []byte) presence.Entry {
	grace := s.conn.gateway.options.Namespaces.For(channel).Grace
	if s.conn.transport == transportCommands {
		grace = max(grace, visitTime)
	}
	return presence.Entry{
		Channel: channel, User: p.User, Session: s.id, Claim: claim, Name: p.Name, Status: status, Grace: grace,
	}
}

// exit is the end of an entry. The longer grace of a session between requests is for when the gateway ends
// before its time is over.
func (s *session) exit(p *auth.Principal, channel, claim string, now bool) presence.Exit {
	x := presence.Exit{Channel: channel, User: p.User, Session: s.id, Claim: claim, Now: now}
	if s.conn.transport == transportCommands && s.conn.why.Load() != wire.CloseRestart {
		x.Grace = s.conn.gateway.options.Namespaces.For(channel).Grace
		x.Now = now || x.Grace == 0
	}
	return x
}

// withdraw ends a stay of a session that comes and goes over HTTP: another gateway may hold it, so that it is
// taken over first. To enter for that a channel in which the user is not present would be seen by everybody.
func (s *session) withdraw(ctx context.Context, p *auth.Principal, channel, claim string) error {
	tracker := s.conn.gateway.rooms.tracker
	page, err := tracker.Members(ctx, channel, presence.PageRequest{After: justBefore(p.User), Limit: 1})
	if err == nil && page.StaleSince.IsZero() && (len(page.Members) == 0 || page.Members[0].User != p.User) {
		return errNotPresent
	}
	if err := tracker.Enter(ctx, s.entry(p, channel, claim, nil)); err != nil {
		return err //nolint:wrapcheck // internal
	}
	return tracker.Leave(ctx, s.exit(p, channel, claim, true)) //nolint:wrapcheck // internal
}

var errNotPresent = errors.New("not present")

func notPresent(channel string) *wire.Error {
	return &wire.Error{Code: wire.CodeNotSubscribed, Message: "the session is not present in this channel", Channel: channel}
}

// justBefore returns a name that comes before a user's, and after whatever other name does.
func justBefore(user string) string {
	last, size := utf8.DecodeLastRuneInString(user)
	head := user[:len(user)-size]
	switch last--; {
	case last < ' ':
		return head
	case !utf8.ValidRune(last): // a surrogate
		last = 0xd7ff
	case last == 0x7f:
		last--
	}
	return head + string(last) + string(utf8.MaxRune)
}
