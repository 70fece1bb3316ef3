package gateway

import (
	"context"
	"errors"
	"strconv"
	"strings"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/tallywire/tallywire/broker"
	"github.com/tallywire/tallywire/broker/relay"
	"github.com/tallywire/tallywire/events"
	"github.com/tallywire/tallywire/gateway/auth"
	"github.com/tallywire/tallywire/gateway/inspect"
	"github.com/tallywire/tallywire/gateway/wire"
)

// want is one channel of a `subscribe`, checked.
type want struct {
	id     []byte
	sub    *subscription
	cursor *broker.Cursor
	since  time.Time
	// presence asks for the channel's members too.
	presence bool
	members  *uint64 // the version of them that the client has
}

// subscribeTimeout bounds the opening of a channel.
const subscribeTimeout = 10 * time.Second

// subscribe handles `subscribe`. Channels that this gateway can answer for from memory are answered at
// once, the others as the store answers.
func (s *session) subscribe(f *wire.ClientFrame) {
	var slow []want
	var worst *wire.Error
	for i := range f.Channels {
		w, bad := s.reserve(f.ID, &f.Channels[i])
		if bad != nil {
			if f.Channel == "" { // not the short form
				bad.Path = within(i, bad.Path)
			}
			s.refuse(f.ID, bad)
			s.conn.opened(bad)
			worst = bad
			continue
		}
		if !s.subscribeFast(w) {
			w.id = append([]byte(nil), w.id...) // the message's buffer is about to be reused
			slow = append(slow, w)
		}
	}
	if worst != nil {
		s.count(worst) // one frame, however many channels
	}
	if len(slow) == 0 {
		return
	}
	c := s.conn
	c.begin(len(slow))
	c.gateway.conns.Add(1)
	go func() {
		defer c.gateway.conns.Done()
		var g errgroup.Group
		g.SetLimit(16)
		for _, w := range slow {
			g.Go(func() error {
				defer c.endQuietly()
				defer c.survive()
				s.subscribeSlow(w)
				return nil
			})
		}
		_ = g.Wait()
	}()
}

// within puts the pointer to the channel i of a frame before a pointer into it.
func within(i int, path string) string {
	if path == "" {
		return ""
	}
	return "/channels/" + strconv.Itoa(i) + path
}

// reserve checks a request and takes a place for it in the session. A subscription that the session
// has already is replaced.
func (s *session) reserve(id []byte, r *wire.ChannelRequest) (want, *wire.Error) {
	w := want{id: id}
	bad := func(code wire.Code, message, path string) (want, *wire.Error) {
		return w, &wire.Error{Code: code, Message: message, Path: path, Channel: clip(r.Channel)}
	}
	if err := events.ValidateChannel(r.Channel); err != nil {
		return bad(wire.CodeInvalidChannel, err.Error(), "/channel")
	}
	if !s.principal.Load().May(auth.Subscribe, r.Channel) {
		s.conn.gateway.traces.add(record{
			user: s.principal.Load().User, session: s.id, channel: clip(r.Channel), outcome: inspect.Forbidden,
			end: time.Now(), detail: forbiddenSubscribe,
		})
		return bad(wire.CodeForbidden, forbiddenSubscribe, "")
	}
	if r.Presence {
		if _, e := s.mayPresence(r.Channel); e != nil {
			return bad(e.Code, e.Message, "/presence")
		}
		w.presence, w.members = true, r.Members
	}
	if r.Cursor != "" {
		c, err := broker.ParseCursor(r.Cursor)
		if err != nil {
			return bad(wire.CodeInvalidCursor, "cursor: must be <offset>-<stamp>", "/cursor")
		}
		w.cursor = &c
	} else if r.Since != "" {
		t, err := time.Parse(time.RFC3339Nano, r.Since)
		if err != nil {
			return bad(wire.CodeInvalidSince, "since: must be an RFC 3339 time", "/since")
		}
		w.since = t
	}
	s.mu.Lock()
	old := s.findLocked(r.Channel)
	if old == nil && len(s.subs) >= s.conn.gateway.options.Limits.Subscriptions {
		s.mu.Unlock()
		return bad(wire.CodeTooManySubscriptions, "the connection has as many subscriptions as it may", "")
	}
	if old != nil {
		s.removeLocked(old)
	}
	w.sub = &subscription{conn: s.conn, channel: strings.Clone(r.Channel)}
	s.addLocked(w.sub)
	release := s.unwatchLocked(r.Channel, asSubscriber) // the new one says anew whether it watches
	s.mu.Unlock()
	if release != nil {
		s.conn.gateway.rooms.release(release)
	}
	if old != nil {
		s.drop(old)
	}
	return w, nil
}

// subscribeFast answers from memory, if it can.
func (s *session) subscribeFast(w want) bool {
	if !w.since.IsZero() {
		return false
	}
	r, ok := s.conn.gateway.hub.AcquireOpen(w.sub.channel)
	if !ok {
		return false
	}
	if w.cursor == nil {
		s.activate(w, r, r.Tail(), nil)
		return true
	}
	pos, ok := r.ResumeRecent(*w.cursor)
	if !ok {
		s.conn.gateway.hub.Release(r)
		return false
	}
	s.activate(w, r, pos, nil)
	return true
}

// subscribeSlow opens the channel and finds the position in its stream.
func (s *session) subscribeSlow(w want) {
	ctx, cancel := context.WithTimeout(background(), subscribeTimeout)
	defer cancel()
	hub := s.conn.gateway.hub
	r, err := hub.Acquire(ctx, w.sub.channel)
	if err != nil {
		s.subscribeFailed(w, err)
		return
	}
	pos, reset, err := position(ctx, r, w)
	for errors.Is(err, relay.ErrRetry) && ctx.Err() == nil {
		select {
		case <-time.After(50 * time.Millisecond):
		case <-ctx.Done():
		}
		pos, reset, err = position(ctx, r, w)
	}
	if err != nil {
		hub.Release(r)
		s.subscribeFailed(w, err)
		return
	}
	s.activate(w, r, pos, reset)
}

func position(ctx context.Context, r *relay.Relay, w want) (relay.Position, *relay.Reset, error) {
	switch {
	case w.cursor != nil:
		return r.Resume(ctx, *w.cursor) //nolint:wrapcheck // internal
	case !w.since.IsZero():
		return r.Rewind(ctx, w.since) //nolint:wrapcheck // internal
	default:
		return r.Tail(), nil, nil
	}
}

// activate answers the subscribe and begins to deliver.
func (s *session) activate(w want, r *relay.Relay, pos relay.Position, reset *relay.Reset) {
	c, sub := s.conn, w.sub
	s.mu.Lock()
	if sub.cancelled || s.ended {
		s.mu.Unlock()
		c.gateway.hub.Release(r)
		s.overtaken(w)
		return
	}
	sub.relay = r
	sub.channel = r.Channel() // one string for all subscriptions of the channel
	sub.pos = pos
	s.mu.Unlock()
	cursor, resumed := pos.Cursor, w.cursor != nil && reset == nil
	if reset != nil && w.cursor != nil {
		cursor = *w.cursor
	}
	n := &c.gateway.counters
	switch {
	case resumed:
		n.Resumed.Add(1)
	case w.cursor != nil:
		n.ResumeResets.Add(1)
	default:
		n.Fresh.Add(1)
		sub.live = w.since.IsZero()
	}
	head := r.Head()
	if head.Offset < pos.Cursor.Offset {
		head = pos.Cursor
	}
	id := append([]byte(nil), w.id...)
	c.flusher.call(func() {
		if c.removed || sub.ended {
			return
		}
		if resumed && c.transport == transportPoll {
			c.flusher.attach(sub) // that events follow says enough
			s.watchAsSubscriber(w)
			return
		}
		c.reply(func(b []byte) []byte {
			b = wire.AppendSubscribed(b, id, sub.channel, cursor, head, resumed)
			if reset != nil {
				c.gateway.countReset(reset.Reason.String())
				b = append(b, ',')
				b = wire.AppendReset(b, sub.channel, reset.Reason.String(), reset.Cursor, reset.Head)
			}
			return b
		})
		c.flusher.attach(sub)
		if reset != nil && w.cursor != nil {
			c.flusher.recordReset(sub, *w.cursor, reset)
		}
		s.watchAsSubscriber(w) // so that members come after the answer
	})
	c.opened(nil)
	c.gateway.sessions.changed(c)
}

// watchAsSubscriber has the session sent the members of a channel that it is subscribed to still, if it
// asked for them. It is called in the flusher's goroutine.
func (s *session) watchAsSubscriber(w want) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if w.presence && !w.sub.cancelled && !s.ended {
		s.conn.pending += s.conn.awaits()
		s.watchLocked(w.sub.channel, asSubscriber, w.members)
	}
}

func (s *session) subscribeFailed(w want, err error) {
	s.mu.Lock()
	gone := w.sub.cancelled || s.ended
	if !gone {
		s.removeLocked(w.sub)
	}
	s.mu.Unlock()
	if gone {
		s.overtaken(w)
		return
	}
	e := storeError(err)
	e.Channel = w.sub.channel
	s.refuse(w.id, e)
	s.conn.opened(e)
}

// overtaken ends a subscribe that was taken back while it was under way. What took it back has been
// answered; only a `refresh` has not told of this channel.
func (s *session) overtaken(w want) {
	if !s.principal.Load().May(auth.Subscribe, w.sub.channel) {
		s.refuse(w.id, &wire.Error{Code: wire.CodeForbidden, Message: forbiddenSubscribe, Channel: w.sub.channel})
	}
}

const forbiddenSubscribe = "the token does not allow to subscribe to this channel"

// unsubscribe handles `unsubscribe`.
func (s *session) unsubscribe(f *wire.ClientFrame) {
	id := append([]byte(nil), f.ID...)
	var worst *wire.Error
	for i := range f.Channels {
		name := f.Channels[i].Channel
		s.mu.Lock()
		sub := s.findLocked(name)
		if sub != nil {
			s.removeLocked(sub)
		}
		s.mu.Unlock()
		if sub == nil {
			worst = &wire.Error{
				Code: wire.CodeNotSubscribed, Message: "the session is not subscribed to this channel", Channel: clip(name),
			}
			s.refuse(f.ID, worst)
			continue
		}
		s.drop(sub)
		s.leavePresence(sub.channel)
		c := s.conn
		c.gateway.sessions.changed(c)
		c.flusher.call(func() {
			c.reply(func(b []byte) []byte { return wire.AppendUnsubscribed(b, id, sub.channel) })
		})
	}
	if worst != nil {
		s.count(worst)
	}
}

// clip bounds what an error repeats of a client's text.
func clip(s string) string {
	if len(s) > events.MaxChannelLen {
		return strings.Clone(s[:events.MaxChannelLen])
	}
	return strings.Clone(s)
}

// storeError turns an error of the broker into the wire's.
func storeError(err error) *wire.Error {
	switch {
	case errors.Is(err, broker.ErrOverloaded):
		return wire.Errorf(wire.CodeOverloaded, "too many operations in flight")
	case errors.Is(err, broker.ErrRefused):
		return wire.Errorf(wire.CodeRefused, "the store refuses the operation")
	case errors.Is(err, broker.ErrUnavailable), errors.Is(err, relay.ErrRetry),
		errors.Is(err, context.DeadlineExceeded), errors.Is(err, context.Canceled):
		return wire.Errorf(wire.CodeUnavailable, "the store is not available")
	default:
		return wire.Errorf(wire.CodeInternal, "the operation failed")
	}
}
