package gateway

import (
	"context"
	"maps"
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
	recent   []recentChange // the last changes heard, oldest first
	closed   bool
	relay    *relay.Relay // holds the channel's subscription at the broker; nil until it is open
}

type watcher struct {
	session *session
	id      []byte // of the frame to answer with the first snapshot
	version uint64
	live    bool // has a snapshot
	lagging bool // wants one as soon as its client has taken what waits for it
}

type recentChange struct {
	version, prev uint64
	frame         []byte
}

const (
	maxRecentChanges = 512
	snapshotTimeout  = 5 * time.Second
)

func newRooms(g *Gateway, t presence.Tracker) *rooms {
	return &rooms{gateway: g, tracker: t, byChannel: map[string]*room{}}
}

// watch sends a session the members of a channel, and what changes about them from then on.
func (rs *rooms) watch(s *session, channel string, id []byte) {
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
		w = &watcher{session: s}
		r.watchers[s] = w
	}
	w.id, w.live = id, false
	r.wantLocked(w)
}

// unwatch ends it.
func (rs *rooms) unwatch(s *session, channel string) {
	rs.mu.Lock()
	r := rs.byChannel[channel]
	if r == nil {
		rs.mu.Unlock()
		return
	}
	r.mu.Lock()
	delete(r.watchers, s)
	var release *relay.Relay
	if len(r.watchers) == 0 {
		delete(rs.byChannel, channel)
		r.closed = true
		release, r.relay = r.relay, nil
	}
	r.mu.Unlock()
	rs.mu.Unlock()
	if release != nil {
		rs.gateway.hub.Release(release)
	}
}

// wantLocked has a watcher given a snapshot that is taken from now on.
func (r *room) wantLocked(w *watcher) {
	w.live, w.lagging = false, false
	if r.fetching {
		if !slices.Contains(r.next, w) {
			r.next = append(r.next, w)
		}
		return
	}
	r.waiting = append(r.waiting, w)
	r.fetchLocked()
}

func (r *room) fetchLocked() {
	r.fetching = true
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
	for _, w := range r.waiting {
		if r.watchers[w.session] != w {
			continue
		}
		if err != nil {
			e := presenceError(err)
			e.Channel = r.channel
			id := w.id
			w.session.conn.reply(func(b []byte) []byte { return wire.AppendError(b, id, e) })
			continue
		}
		r.startLocked(w, page)
	}
	r.waiting, r.next, r.fetching = r.next, nil, false
	if len(r.waiting) > 0 && !r.closed {
		r.fetchLocked()
	}
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

// startLocked gives a watcher a snapshot and the changes that came while it was under way.
func (r *room) startLocked(w *watcher, page presence.Page) {
	if !w.session.conn.hasRoom() {
		w.lagging = true
		return
	}
	id := w.id
	w.id, w.live, w.version = nil, true, page.Version
	w.session.conn.reply(func(b []byte) []byte { return wire.AppendMembers(b, id, r.channel, page) })
	for i := range r.recent {
		if c := &r.recent[i]; c.version > w.version && !r.tellLocked(w, c) {
			return
		}
	}
}

// tellLocked tells a watcher a change. It returns false where the watcher missed something before it.
func (r *room) tellLocked(w *watcher, c *recentChange) bool {
	switch {
	case !w.live || c.version <= w.version:
		return true
	case c.prev != w.version:
		r.wantLocked(w)
		return false
	case !w.session.conn.tell(c.frame):
		w.live, w.lagging = false, true
		return false
	}
	w.version = c.version
	return true
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
	if n := len(r.recent); n > 0 && change.version <= r.recent[n-1].version {
		return
	}
	if len(r.recent) >= maxRecentChanges {
		r.recent = slices.Delete(r.recent, 0, maxRecentChanges/2)
	}
	r.recent = append(r.recent, change)
	for _, w := range r.watchers {
		r.tellLocked(w, &change)
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
		r.recent = nil
		for _, w := range r.watchers {
			r.wantLocked(w)
		}
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

// sweepLoop gives snapshots to watchers whose clients could not take a change, once they can.
func (rs *rooms) sweepLoop(ctx context.Context) {
	tick := time.NewTicker(lagPause)
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

const lagPause = 500 * time.Millisecond

func (rs *rooms) sweep() {
	rs.mu.Lock()
	rooms := slices.Collect(maps.Values(rs.byChannel))
	rs.mu.Unlock()
	for _, r := range rooms {
		r.mu.Lock()
		for _, w := range r.watchers {
			if w.lagging && w.session.conn.hasRoom() {
				r.wantLocked(w)
			}
		}
		r.mu.Unlock()
	}
}
