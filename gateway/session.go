package gateway

import (
	"context"
	"errors"
	"maps"
	"slices"
	"sync"
	"sync/atomic"

	"github.com/tallywire/tallywire/gateway/auth"
	"github.com/tallywire/tallywire/gateway/wire"
)

// session is a logical client on one connection: who it is, what it reads, what it may use. Commands
// come from the connection's reader, one after another; the flusher looks at principal.
type session struct {
	conn      *conn
	id        string // set by `connect`, before principal
	principal atomic.Pointer[auth.Principal]
	header    *auth.Principal // from the upgrade request's Authorization, until `connect`

	// Owned by the reader.
	frame   wire.ClientFrame
	tokens  float64 // of the command limit
	filled  int64   // when tokens were last added
	errors  int     // bad frames since errorsAt
	refused int     // tokens refused by `connect`
	since   int64   // when errors was last 0

	claim string // names the session's stay on this connection
	batch string // names the commands that are being done, for good; empty where nothing does
	nth   int    // number of the command in it

	statusTokens float64
	statusFilled int64

	mu      sync.Mutex // guards the following
	subs    []*subscription
	stays   map[string]*stay         // by channel: where the session is present
	watched map[string]reason        // channels whose members it watches, and why
	index   map[string]*subscription // when there are many
	ended   bool
}

// message handles one client message.
func (s *session) message(msg []byte) {
	if s.conn.closing.Load() {
		return
	}
	wire.Decode(msg, &s.frame,
		func(f *wire.ClientFrame) bool { s.command(f); return !s.conn.closing.Load() },
		func(f *wire.ClientFrame, err *wire.Error) { s.fail(f.ID, err) })
}

// command handles one frame.
func (s *session) command(f *wire.ClientFrame) {
	g := s.conn.gateway
	g.counters.Commands.Add(1)
	if !s.take() {
		s.fail(f.ID, wire.Errorf(wire.CodeRateLimited, "too many commands a second"))
		return
	}
	if s.principal.Load() == nil {
		s.beforeConnect(f)
		return
	}
	s.nth++
	if s.conn.transport == transportCommands && !isCommand(f.Type) {
		s.fail(f.ID, &wire.Error{
			Code: wire.CodeUnsupported, Message: "type: a session over HTTP says this with its poll, its stream or the request's token", Path: "/type",
		})
		return
	}
	switch f.Type {
	case wire.TypePublish:
		s.publish(f)
	case wire.TypeSignal:
		s.signal(f)
	case wire.TypePing:
		s.pong()
	case wire.TypePong:
		if w, ok := s.conn.out.(*webSocket); ok {
			w.ponged(s.conn.lastRead.Load())
		}
	case wire.TypeSubscribe:
		s.subscribe(f)
	case wire.TypeUnsubscribe:
		s.unsubscribe(f)
	case wire.TypeRefresh:
		s.refresh(f)
	case wire.TypeConnect:
		s.fail(f.ID, wire.Errorf(wire.CodeAlreadyConnected, "the connection is connected already"))
	case wire.TypePresence:
		s.present(f)
	case wire.TypeMembers:
		s.members(f)
	default:
		s.fail(f.ID, &wire.Error{Code: wire.CodeUnknownType, Message: "type: is not known", Path: "/type"})
	}
}

// pong answers a ping, now and then with one of the gateway's own.
func (s *session) pong() {
	w, ok := s.conn.out.(*webSocket)
	s.conn.reply(func(b []byte) []byte {
		b = append(b, wire.PongFrame...)
		if ok && w.measures(s.conn.lastRead.Load()) {
			b = append(append(b, ','), wire.PingFrame...)
		}
		return b
	})
}

// isCommand reports whether a frame means the same without a connection to read from.
func isCommand(frameType string) bool {
	switch frameType {
	case wire.TypeSubscribe, wire.TypeUnsubscribe, wire.TypeConnect, wire.TypeRefresh:
		return false
	default:
		return true // the unknown ones too, which are refused as such
	}
}

// beforeConnect handles the frames that a client may send before it is connected.
func (s *session) beforeConnect(f *wire.ClientFrame) {
	switch f.Type {
	case wire.TypeConnect:
		s.connect(f)
	case wire.TypePing:
		s.conn.reply(func(b []byte) []byte { return append(b, wire.PongFrame...) })
	case wire.TypePong:
	default:
		s.fail(f.ID, wire.Errorf(wire.CodeNotConnected, "the first frame must be `connect`"))
	}
}

// take spends one command of the limit.
func (s *session) take() bool {
	rate := float64(s.conn.gateway.options.Limits.Commands)
	now := s.conn.lastRead.Load()
	s.tokens = min(rate, s.tokens+float64(now-s.filled)/1e9*rate)
	s.filled = now
	if s.tokens < 1 {
		return false
	}
	s.tokens--
	return true
}

// refuse answers a frame, or one channel of it, with an error.
func (s *session) refuse(id []byte, e *wire.Error) {
	s.conn.reply(func(b []byte) []byte { return wire.AppendError(b, id, e) })
}

// fail answers a frame with an error. A connection that sends nothing else for long is closed.
func (s *session) fail(id []byte, e *wire.Error) {
	s.conn.gateway.counters.BadFrames.Add(1) // before the answer, which whoever reads the counter may have seen
	s.refuse(id, e)
	s.blame(e)
}

// count counts a bad frame that has been answered.
func (s *session) count(e *wire.Error) {
	s.conn.gateway.counters.BadFrames.Add(1)
	s.blame(e)
}

// blame closes a connection that sends little else than bad frames.
func (s *session) blame(e *wire.Error) {
	g := s.conn.gateway
	if e.Code.Retry() && e.Code != wire.CodeRateLimited {
		return
	}
	const window = 10e9
	if now := s.conn.lastRead.Load(); now-s.since > window {
		s.since, s.errors = now, 0
	}
	if s.errors++; s.errors > g.options.Limits.Errors {
		s.expel(wire.CodeTooManyErrors, "too many bad frames", wire.CloseTooManyErrors)
	}
}

// expel tells the client why and closes the connection.
func (s *session) expel(code wire.Code, message string, closeCode int) {
	if s.conn.closing.Load() {
		return
	}
	s.conn.reply(func(b []byte) []byte { return wire.AppendError(b, nil, wire.Errorf(code, message)) })
	s.conn.shut(closeCode, string(code))
}

// end gives up all subscriptions.
func (s *session) end() {
	s.mu.Lock()
	s.ended = true
	subs, stays, watched := s.subs, s.stays, s.watched
	maps.DeleteFunc(stays, func(_ string, st *stay) bool { return st.busy }) // bring ends them
	s.subs, s.index, s.stays, s.watched = nil, nil, nil, nil
	s.mu.Unlock()
	for _, sub := range subs {
		s.drop(sub)
	}
	s.endPresence(stays, watched)
	if s.principal.Load() != nil && s.conn.transport != transportCommands {
		s.conn.gateway.live.Add(-1)
	}
	s.conn.gateway.sessions.gone(s.conn)
}

// drop ends a subscription that is no longer in the session's list.
func (s *session) drop(sub *subscription) {
	s.mu.Lock()
	r := sub.relay
	s.mu.Unlock()
	if r == nil {
		return // the subscribe that is under way gives its relay back
	}
	s.conn.flusher.call(func() { s.conn.flusher.detach(sub) })
	s.conn.gateway.hub.Release(r)
}

// manySubs is from how many subscriptions on a session has an index.
const manySubs = 16

// findLocked returns the subscription to a channel, or nil.
func (s *session) findLocked(channel string) *subscription {
	if s.index != nil {
		return s.index[channel]
	}
	for _, sub := range s.subs {
		if sub.channel == channel {
			return sub
		}
	}
	return nil
}

func (s *session) addLocked(sub *subscription) {
	s.subs = append(s.subs, sub)
	switch {
	case s.index != nil:
		s.index[sub.channel] = sub
	case len(s.subs) > manySubs:
		s.index = make(map[string]*subscription, 2*manySubs)
		for _, other := range s.subs {
			s.index[other.channel] = other
		}
	}
}

// removeLocked takes a subscription off the list, for good. It may have been replaced already.
func (s *session) removeLocked(sub *subscription) {
	sub.cancelled = true
	if i := slices.Index(s.subs, sub); i >= 0 {
		s.subs = slices.Delete(s.subs, i, i+1)
	}
	if s.index[sub.channel] == sub {
		delete(s.index, sub.channel)
	}
}

// authError turns an error of the authenticator into the wire's.
func authError(err error) *wire.Error {
	var e *auth.Error
	switch {
	case !errors.As(err, &e):
		return wire.Errorf(wire.CodeInternal, "the token could not be checked")
	case e.Code == auth.CodeRevocationsUnavailable:
		return wire.Errorf(wire.CodeUnavailable, e.Message)
	default:
		return wire.Errorf(wire.Code(e.Code), e.Message)
	}
}

// background is the context of calls that outlive a command; the broker bounds them itself.
func background() context.Context { return context.Background() }
