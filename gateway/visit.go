package gateway

import (
	"bytes"
	"context"
	"sync"
	"sync/atomic"
	"time"

	"github.com/tallywire/tallywire/gateway/auth"
	"github.com/tallywire/tallywire/gateway/wire"
)

// visit is what a gateway keeps of a session between its HTTP requests: where it is present, and what it
// may still use of its limits. It is a connection that nothing is written to: a request takes the answers to
// its commands from the outbox.
type visit struct {
	visits *visits
	key    visitKey
	conn   *conn
	turn   chan struct{} // capacity 1; held by the request whose commands are being done
	polls  atomic.Int32  // of the session that are held here
}

var _ outlet = (*visit)(nil)

type visitKey struct{ user, session string }

const (
	// visitTime is how long a session is live after the request that said so.
	visitTime = 60 * time.Second
	// maxVisits bounds the sessions that are kept.
	maxVisits = 1 << 16
	// renewEvery is how often a status that has not changed is told to the store again: the session may
	// have been taken over meanwhile by a gateway at which it will not be seen again.
	renewEvery = int64(10 * time.Second)
	// commandsTimeout bounds the wait for the answers to a batch; the store answers well before.
	commandsTimeout = 20 * time.Second
)

// visits are those of a gateway.
type visits struct {
	gateway *Gateway
	mu      sync.Mutex // guards byKey
	byKey   map[visitKey]*visit
}

func newVisits(g *Gateway) *visits { return &visits{gateway: g, byKey: map[visitKey]*visit{}} }

// enter returns the visit of a session, whose turn the caller has then, with the token that it brings now.
// The caller ends the turn with leave. A session without a name is not kept.
func (vs *visits) enter(ctx context.Context, p *auth.Principal, session, remote, agent string) (*visit, error) {
	for {
		v, err := vs.find(p, session, remote, agent)
		if err != nil {
			return nil, err
		}
		select {
		case v.turn <- struct{}{}:
		case <-ctx.Done():
			return nil, wire.Errorf(wire.CodeInProgress, "other commands of the session are being done")
		}
		if !v.conn.closing.Load() {
			v.conn.session.principal.Store(p)
			v.conn.lastRead.Store(v.conn.flusher.clock())
			return v, nil
		}
		<-v.turn // it ended meanwhile
	}
}

// find returns the session's visit, or begins one.
func (vs *visits) find(p *auth.Principal, session, remote, agent string) (*visit, error) {
	g, key := vs.gateway, visitKey{p.User, session}
	vs.mu.Lock()
	defer vs.mu.Unlock()
	if v := vs.byKey[key]; v != nil && session != "" && !v.conn.closing.Load() {
		return v, nil
	}
	if len(vs.byKey) >= maxVisits {
		return nil, wire.Errorf(wire.CodeOverloaded, "the gateway keeps as many sessions as it may")
	}
	if !g.admit() {
		return nil, wire.Errorf(wire.CodeOverloaded, "the gateway takes no more connections")
	}
	v := &visit{visits: vs, key: key, turn: make(chan struct{}, 1)}
	c := g.newConn(transportCommands, v, remote, agent)
	v.conn, c.blocked = c, true // nothing is ever written to it
	c.flusher.call(func() { c.flusher.add(c) })
	c.session.begin(nil, session, p)
	if session != "" {
		vs.byKey[key] = v
	}
	return v, nil
}

// hold keeps a session, if it is here, while a poll of it is held.
func (vs *visits) hold(user, session string) (release func()) {
	vs.mu.Lock()
	v := vs.byKey[visitKey{user, session}]
	vs.mu.Unlock()
	if v == nil {
		return func() {}
	}
	return v.hold()
}

// hold keeps the session until release, and for its time after that.
func (v *visit) hold() (release func()) {
	v.polls.Add(1)
	return func() {
		v.conn.lastRead.Store(v.conn.flusher.clock())
		v.polls.Add(-1)
	}
}

// leave ends the caller's turn.
func (v *visit) leave() {
	<-v.turn
	if v.key.session == "" {
		v.conn.shut(wire.CloseNormal, "")
	}
}

// do handles a client message and returns the answers, a JSON array of frames. The caller has the turn.
// batch, where it is not empty, names the commands for good: an event without an id gets one from it, so
// that it is stored once although the batch may be done twice.
func (v *visit) do(msg []byte, batch string) ([]byte, error) {
	c := v.conn
	c.session.batch, c.session.nth = batch, 0
	c.session.message(msg)
	ctx, cancel := context.WithTimeout(background(), commandsTimeout)
	defer cancel()
	if !c.calm(ctx) {
		c.shut(wire.CloseInternal, string(wire.CodeUnavailable)) // what comes yet is nobody's answer
		return nil, wire.Errorf(wire.CodeUnavailable, "the store has not answered in time")
	}
	return v.answers(), nil
}

// answers takes what the outbox holds.
func (v *visit) answers() []byte {
	out := v.conn.takeOutbox()
	defer recycle(out)
	return append(append(append(make([]byte, 0, len(out)+2), '['), out...), ']')
}

// attend enters the channels of a poll's `present`, or renews that. It returns errors, frames joined by
// commas. The caller has the turn.
func (v *visit) attend(list []wire.StreamPresence) []byte {
	s := &v.conn.session
	for i := range list {
		if f := (&wire.ClientFrame{Type: wire.TypePresence, Channel: list[i].Channel, Status: list[i].Status}); !s.renewed(f) {
			s.present(f)
		}
	}
	ctx, cancel := context.WithTimeout(background(), presenceTimeout)
	defer cancel()
	v.conn.calm(ctx)
	return v.conn.takeOutbox()
}

// renewed reports whether the store need not be told again that the session is present.
func (s *session) renewed(f *wire.ClientFrame) bool {
	now := s.conn.flusher.clock()
	s.mu.Lock()
	defer s.mu.Unlock()
	st := s.stays[f.Channel]
	return st != nil && !st.leaving && now-st.at < renewEvery && (f.Status == nil || bytes.Equal(st.status, f.Status)) &&
		s.principal.Load().May(auth.Presence, f.Channel)
}

// write implements outlet. It is never called.
func (v *visit) write(*flusher, message) {}

// tick implements outlet: a session that makes no requests any more goes.
func (v *visit) tick(_ *flusher, silence int64) {
	if silence > int64(visitTime) && len(v.turn) == 0 && v.polls.Load() == 0 {
		v.conn.shut(wire.CloseNormal, "")
	}
}

// move implements outlet: there is nothing to move.
func (v *visit) move(time.Duration) (overlap bool) { return false }

// close implements outlet: it ends the session here, once no commands are being done.
func (v *visit) close(int, string) {
	v.turn <- struct{}{}
	defer func() { <-v.turn }()
	v.visits.mu.Lock()
	if v.visits.byKey[v.key] == v {
		delete(v.visits.byKey, v.key)
	}
	v.visits.mu.Unlock()
	v.conn.teardown()
}

// abort implements outlet.
func (v *visit) abort() {}
