package gateway

import (
	"context"
	"maps"
	"math/rand/v2"
	"slices"
	"sync"
	"time"

	"github.com/tallywire/tallywire/broker/relay"
	"github.com/tallywire/tallywire/gateway/wire"
	"github.com/tallywire/tallywire/presence"
)

// rooms holds the channels whose members this gateway's sessions watch, and is the tracker's Sink.
type rooms struct {
	gateway *Gateway
	tracker presence.Tracker

	mu        sync.Mutex // guards byChannel
	byChannel map[string]*room
}

var _ presence.Sink = (*rooms)(nil)

// room is a channel whose members are watched. Each watcher has a version: that of the snapshot it was
// given, or of the last change. A change that does not follow on it makes a new snapshot necessary, so
// that no change is missed or applied twice.
type room struct {
	rooms   *rooms
	channel string

	mu       sync.Mutex // guards the following
	watchers map[*session]*watcher
	waiting  []*watcher // for the snapshot that is under way
	next     []*watcher // for the one after it: they came, or missed a change, while it was under way
	fetching bool
	recent   history
	behind   int       // watchers that are behind
	failures int       // snapshots that failed in a row
	retryAt  time.Time // not before then are snapshots taken that are owed
	closed   bool
	relay    *relay.Relay // holds the channel's subscription at the broker; nil until it is open
}

const (
	snapshotTimeout = 5 * time.Second
	// sweepPause is how often it is looked whether an owed snapshot can be given; while the store is away
	// the pause doubles up to maxRetryPause.
	sweepPause    = 500 * time.Millisecond
	maxRetryPause = 5 * time.Second
)

func newRooms(g *Gateway, t presence.Tracker) *rooms {
	return &rooms{gateway: g, tracker: t, byChannel: map[string]*room{}}
}

// watch sends a session the members of a channel, unless its client has them at the known version, and
// what changes about them from then on.
func (rs *rooms) watch(s *session, channel string, known *uint64) {
	rs.mu.Lock()
	r := rs.byChannel[channel]
	if r == nil {
		r = &room{rooms: rs, channel: channel, watchers: map[*session]*watcher{}}
		rs.byChannel[channel] = r
	}
	r.mu.Lock()
	rs.mu.Unlock()
	defer r.mu.Unlock()
	w := r.watchers[s]
	if w == nil {
		w = &watcher{session: s, known: known}
		r.watchers[s] = w
	}
	w.excused = known != nil // it has something, and gets what is better
	r.wantLocked(w)
}

// unwatch ends it. It returns the relay that nobody needs any more, nil where there is none: the caller
// releases it.
func (rs *rooms) unwatch(s *session, channel string) (release *relay.Relay) {
	rs.mu.Lock()
	defer rs.mu.Unlock()
	r := rs.byChannel[channel]
	if r == nil {
		return nil
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	if w := r.watchers[s]; w != nil {
		r.behindLocked(w, false)
		delete(r.watchers, s)
	}
	if len(r.watchers) == 0 {
		delete(rs.byChannel, channel)
		r.closed = true
		release, r.relay = r.relay, nil
	}
	return release
}

// release gives back what unwatch returned.
func (rs *rooms) release(r *relay.Relay) {
	if r != nil {
		rs.gateway.hub.Release(r)
	}
}

// wantLocked has watchers given a snapshot that is taken from now on.
func (r *room) wantLocked(ws ...*watcher) {
	for _, w := range ws {
		w.live, w.owed = false, false
		r.behindLocked(w, false)
		switch {
		case !r.fetching:
			r.waiting = append(r.waiting, w)
		case !slices.Contains(r.next, w):
			r.next = append(r.next, w)
		}
	}
	if len(r.waiting) > 0 && !r.fetching {
		r.fetchLocked()
	}
}

func (r *room) fetchLocked() {
	r.fetching = true
	r.forgetLocked()
	g := r.rooms.gateway
	g.conns.Add(1) // the watcher's connection is counted, so that Run waits still
	go func() {
		defer g.conns.Done()
		r.fetch()
	}()
}

// fetch takes a snapshot, after the channel's changes are heard.
func (r *room) fetch() {
	ctx, cancel := context.WithTimeout(background(), snapshotTimeout)
	defer cancel()
	err := r.open(ctx)
	var page presence.Page
	if err == nil {
		page, err = r.rooms.tracker.Members(ctx, r.channel, presence.PageRequest{})
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	if err != nil || !page.StaleSince.IsZero() {
		pause := min(sweepPause<<min(r.failures, 8), maxRetryPause)
		r.failures++
		r.retryAt = time.Now().Add(pause/2 + rand.N(pause))
	} else {
		r.failures, r.retryAt = 0, time.Time{}
	}
	for _, w := range r.waiting {
		switch {
		case r.watchers[w.session] != w:
		case err != nil:
			r.excuseLocked(w, err)
		default:
			r.startLocked(w, page)
		}
	}
	r.waiting, r.next, r.fetching = r.next, nil, false
	r.forgetLocked()
	if len(r.waiting) > 0 && !r.closed {
		r.fetchLocked()
	}
}

// excuseLocked tells a watcher, once, why it has no snapshot. It gets one when that is over.
func (r *room) excuseLocked(w *watcher, err error) {
	w.owed = true
	defer w.beginLocked()
	if w.excused {
		return
	}
	w.excused = true
	e := presenceFailure(r.channel, err)
	w.session.conn.reply(func(b []byte) []byte { return wire.AppendError(b, nil, e) })
}

// open subscribes to the channel, since its changes come on the same path as its events.
func (r *room) open(ctx context.Context) error {
	r.mu.Lock()
	done := r.relay != nil || r.closed
	r.mu.Unlock()
	if done {
		return nil
	}
	hub := r.rooms.gateway.hub
	opened, err := hub.Acquire(ctx, r.channel)
	if err != nil {
		return err //nolint:wrapcheck // internal
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.closed {
		hub.Release(opened)
		return nil
	}
	r.relay = opened
	return nil
}

// startLocked gives a watcher a snapshot and the changes that came while it was under way. A stale one is
// not followed by changes but, as soon as that can be, by a true one.
func (r *room) startLocked(w *watcher, page presence.Page) {
	stale := !page.StaleSince.IsZero()
	known := w.known
	defer w.beginLocked()
	switch {
	case !stale && known != nil && *known == page.Version:
		w.live, w.version, w.excused = true, page.Version, false
		r.catchUpLocked(w)
		return
	case stale && w.excused, !w.session.conn.hasRoom():
		w.owed = true
		return
	}
	w.session.conn.reply(func(b []byte) []byte { return wire.AppendMembers(b, nil, r.channel, page) })
	w.excused = stale
	if stale {
		w.owed = true
		return
	}
	w.live, w.version = true, page.Version
	r.catchUpLocked(w)
}

// catchUpLocked tells a watcher the changes that are kept.
func (r *room) catchUpLocked(w *watcher) {
	r.behindLocked(w, false)
	for i := range r.recent.changes {
		c := &r.recent.changes[i]
		if c.version > w.version && c.prev != w.version {
			// What is kept does not join on: too much has come meanwhile, or a change was lost, or the
			// store has lost its data. A snapshot, but not at once, lest that be for ever.
			w.live, w.owed = false, true
			return
		}
		if r.tellLocked(w, c); !w.live || w.behind {
			return
		}
	}
}

// tellLocked tells a watcher a change, or has it given a snapshot where it missed something before it.
func (r *room) tellLocked(w *watcher, c *recentChange) {
	switch {
	case !w.live || w.behind || c.version <= w.version:
	case c.prev != w.version:
		r.wantLocked(w)
	case !w.session.conn.tell(c.frame):
		r.behindLocked(w, true)
		w.session.conn.awaitRoom()
	default:
		w.version = c.version
	}
}

func (r *room) behindLocked(w *watcher, behind bool) {
	switch {
	case w.behind == behind:
		return
	case behind:
		r.behind++
	default:
		r.behind--
	}
	w.behind = behind
}

// forgetLocked forgets the changes that nobody waits for: a snapshot that is taken from now on has them.
func (r *room) forgetLocked() {
	if r.behind == 0 {
		r.recent = history{}
	}
}

// resume tells a session, for whose client there is room again, what it is behind.
func (rs *rooms) resume(s *session) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for channel := range s.watched {
		rs.mu.Lock()
		r := rs.byChannel[channel]
		rs.mu.Unlock()
		if r == nil {
			continue
		}
		r.mu.Lock()
		if w := r.watchers[s]; w != nil && w.behind {
			r.catchUpLocked(w)
			if !r.fetching {
				r.forgetLocked()
			}
		}
		r.mu.Unlock()
	}
}

// Change implements presence.Sink.
func (rs *rooms) Change(c presence.Change) {
	rs.mu.Lock()
	r := rs.byChannel[c.Channel]
	rs.mu.Unlock()
	if r == nil {
		return
	}
	change := recentChange{version: c.Version, prev: c.Prev, frame: wire.AppendMemberChange(nil, &c)}
	r.mu.Lock()
	defer r.mu.Unlock()
	kept := r.fetching || r.behind > 0
	if kept {
		r.recent.add(change)
	}
	for _, w := range r.watchers {
		r.tellLocked(w, &change)
	}
	if !kept && r.behind > 0 {
		r.recent.add(change)
	}
}

// Stale implements presence.Sink.
func (rs *rooms) Stale(channel string) {
	rs.mu.Lock()
	var stale []*room
	for name, r := range rs.byChannel {
		if channel == "" || channel == name {
			stale = append(stale, r)
		}
	}
	rs.mu.Unlock()
	for _, r := range stale {
		r.mu.Lock()
		r.wantLocked(slices.Collect(maps.Values(r.watchers))...)
		r.mu.Unlock()
	}
}

// Report implements presence.Sink.
func (rs *rooms) Report() presence.Report {
	o := rs.gateway.Overview()
	return presence.Report{
		Connections: o.Connections, Sessions: o.Sessions, Channels: o.Channels,
		Published: o.Published, Delivered: o.Delivered, Draining: o.Draining,
	}
}

// sweepLoop gives snapshots that are owed.
func (rs *rooms) sweepLoop(ctx context.Context) {
	tick := time.NewTicker(sweepPause)
	defer tick.Stop()
	for {
		select {
		case <-tick.C:
			rs.sweep()
		case <-ctx.Done():
			return
		}
	}
}

func (rs *rooms) sweep() {
	rs.mu.Lock()
	rooms := slices.Collect(maps.Values(rs.byChannel))
	rs.mu.Unlock()
	now := time.Now()
	var due []*watcher
	for _, r := range rooms {
		r.mu.Lock()
		due = due[:0]
		for _, w := range r.watchers {
			if w.owed && !now.Before(r.retryAt) && w.session.conn.hasRoom() {
				due = append(due, w)
			}
		}
		r.wantLocked(due...)
		r.mu.Unlock()
	}
}
