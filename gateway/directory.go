package gateway

import (
	"context"
	"sync"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/tallywire/tallywire/presence"
)

// directory tells the store which sessions are connected here, a little after it changed. A nil directory
// does nothing.
type directory struct {
	store presence.Directory
	wake  chan struct{} // capacity 1

	mu    sync.Mutex // guards the following
	queue []directoryOp
	lost  uint64 // operations given up because the queue was full
}

// directoryOp is a session to be told of: one that is here, or one that has gone.
type directoryOp struct {
	conn *conn // here; nil when gone
	due  time.Time

	user, session, claim string // of one that has gone
}

const (
	// directoryPause lets what a client does when it connects come together in one write.
	directoryPause   = 200 * time.Millisecond
	directoryTimeout = 2 * time.Second
	directoryWorkers = 32
	maxDirectoryOps  = 1 << 16
)

func newDirectory(store presence.Directory) *directory {
	return &directory{store: store, wake: make(chan struct{}, 1)}
}

// changed has the store told of a connection's session.
func (d *directory) changed(c *conn) {
	if d == nil || c.told.Swap(true) {
		return
	}
	d.add(directoryOp{conn: c, due: time.Now().Add(directoryPause)})
}

// gone has the store told that a connection has ended.
func (d *directory) gone(c *conn) {
	if d == nil || !c.listed.Load() {
		return
	}
	if p := c.session.principal.Load(); p != nil {
		d.add(directoryOp{user: p.User, session: c.session.id, claim: c.session.claim})
	}
}

func (d *directory) add(op directoryOp) {
	d.mu.Lock()
	if len(d.queue) >= maxDirectoryOps {
		d.queue = d.queue[1:]
		d.lost++
	}
	d.queue = append(d.queue, op)
	d.mu.Unlock()
	select {
	case d.wake <- struct{}{}:
	default:
	}
}

// take returns the operations up to the first that is not due, and how long that has to wait.
func (d *directory) take(now time.Time) (ops []directoryOp, wait time.Duration) {
	d.mu.Lock()
	defer d.mu.Unlock()
	n := 0
	for n < len(d.queue) && !d.queue[n].due.After(now) {
		n++
	}
	ops = d.queue[:n:n]
	if d.queue = d.queue[n:]; len(d.queue) > 0 {
		return ops, d.queue[0].due.Sub(now)
	}
	d.queue = nil
	return ops, time.Hour
}

// run tells the store until ctx ends, and then of the sessions that have gone.
func (d *directory) run(ctx context.Context) {
	timer := time.NewTimer(time.Hour)
	defer timer.Stop()
	for {
		now := time.Now()
		if ctx.Err() != nil {
			now = now.Add(directoryPause) // all that is queued
		}
		ops, wait := d.take(now)
		d.tell(ops)
		if ctx.Err() != nil {
			return
		}
		timer.Reset(wait)
		select {
		case <-d.wake:
		case <-timer.C:
		case <-ctx.Done():
		}
	}
}

// tell writes operations, several at once. A store that is away is told by the tracker when it is back.
func (d *directory) tell(ops []directoryOp) {
	var g errgroup.Group
	g.SetLimit(directoryWorkers)
	for _, op := range ops {
		g.Go(func() error {
			ctx, cancel := context.WithTimeout(background(), directoryTimeout)
			defer cancel()
			if op.conn == nil {
				_ = d.store.RemoveSession(ctx, op.user, op.session, op.claim)
				return nil
			}
			op.conn.told.Store(false)
			info, ok := op.conn.info()
			if !ok {
				return nil
			}
			op.conn.listed.Store(true)
			_ = d.store.SetSession(ctx, info)
			if _, ok := op.conn.info(); !ok {
				// It has ended meanwhile, and that may have been told before.
				_ = d.store.RemoveSession(ctx, info.User, info.Session, info.Claim)
			}
			return nil
		})
	}
	_ = g.Wait()
}

// info describes the connection's session; ok is false when it has ended or has not begun.
func (c *conn) info() (info presence.SessionInfo, ok bool) {
	s := &c.session
	p := s.principal.Load()
	if p == nil {
		return info, false
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.ended {
		return info, false
	}
	info = presence.SessionInfo{
		User: p.User, Session: s.id, Claim: s.claim, Transport: string(s.conn.transport),
		Since: c.flusher.wall(c.since), LastSeen: c.flusher.wall(c.lastRead.Load()),
		Remote: c.remote, UserAgent: c.agent, ChannelCount: len(s.subs),
	}
	for _, sub := range s.subs[:min(len(s.subs), presence.MaxSessionChannels)] {
		info.Channels = append(info.Channels, sub.channel)
	}
	return info, true
}
