package goclient

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	"github.com/tallywire/tallywire/gateway/wire"
)

// Server frame types.
const (
	frameConnected  = "connected"
	frameSubscribed = "subscribed"
	framePublished  = "published"
	frameRefreshed  = "refreshed"
	frameEvent      = "event"
	frameSkip       = "skip"
	frameReset      = "reset"
	frameSignal     = "signal"
	framePresent    = "present"
	frameMembers    = "members"
	frameMember     = "member"
	frameMoving     = "moving"
	frameDegraded   = "degraded"
	frameError      = "error"
)

// errSilent ends a connection on which nothing arrives.
var errSilent = errors.New("nothing received for two ping intervals")

// defaultPing is the heartbeat for a gateway that names none.
const defaultPing = 25 * time.Second

// batch is one server message on its way to the dispatcher.
type batch struct {
	link   *link
	frames []wire.Frame
}

// link is one connection of a client, with the goroutines that serve it.
type link struct {
	c     *Client
	conn  *Conn
	token string        // guarded by c.mu: the last one that the gateway was given
	ping  time.Duration // the heartbeat's interval, already jittered

	wake   chan struct{} // buffered; there is something to write
	notice chan struct{} // buffered; moving or degraded has changed
	quit   chan struct{} // closed by whoever replaces the link
	broken chan struct{} // closed when reader or writer has ended; err is set
	done   chan struct{} // closed when run has returned
	once   sync.Once     // guards broken and err
	err    error         // readable once broken is closed

	// readSince is when the read under way began or last made progress, in Unix nanoseconds; 0 while the
	// reader is not reading but waits for the dispatcher. Stored by the reader.
	readSince atomic.Int64
	pongDue   atomic.Bool

	skipping  bool   // owned by the reader: the dispatcher has stalled since
	skippedAt uint64 // owned by the reader: it had handled that many frames

	// Owned by the writer.
	lastPing time.Time
	pingDue  bool
	buf      []byte

	// Guarded by c.mu.
	attached   bool
	dirty      []*Subscription     // to be requested
	leave      map[string]struct{} // to be unsubscribed
	stays      []*stay             // to be told
	entering   int                 // presence frames that are not answered
	fifo       []*call             // to be written
	unanswered int                 // subscriptions requested and not answered
	inflight   int                 // calls carried
	settled    chan struct{}       // closed when all channels and stays were once answered
	drained    chan struct{}       // closed when retiring and no call is carried
	retiring   bool
	moveAfter  time.Duration // from the gateway's `moving`
	moving     bool
	degraded   *wire.Frame
}

func newLink(c *Client, conn *Conn, token string) *link {
	ping := time.Duration(conn.Connected.PingMS) * time.Millisecond
	if ping <= 0 {
		ping = defaultPing
	}
	return &link{
		c: c, conn: conn, token: token, ping: jitter(ping, 900, 1000),
		wake: make(chan struct{}, 1), notice: make(chan struct{}, 1), quit: make(chan struct{}),
		broken: make(chan struct{}), done: make(chan struct{}),
		leave: map[string]struct{}{}, settled: make(chan struct{}), drained: make(chan struct{}),
	}
}

// kick tells the writer that there is something to write.
func (l *link) kick() { signal(l.wake) }

func signal(ch chan struct{}) {
	select {
	case ch <- struct{}{}:
	default:
	}
}

// settleLocked closes settled and drained when their time has come.
func (l *link) settleLocked() {
	if l.attached && l.unanswered == 0 && len(l.dirty) == 0 && l.entering == 0 && len(l.stays) == 0 {
		closeOnce(l.settled)
	}
	if l.retiring && l.inflight == 0 {
		closeOnce(l.drained)
	}
}

// closeOnce closes a channel that is closed under c.mu only.
func closeOnce(ch chan struct{}) {
	select {
	case <-ch:
	default:
		close(ch)
	}
}

// run serves the connection until it breaks, is replaced, or ctx ends; the latter two close it properly.
func (l *link) run(ctx context.Context) {
	defer close(l.done)
	own, cancel := context.WithCancel(context.WithoutCancel(ctx))
	defer cancel()
	var wg sync.WaitGroup
	wg.Go(func() { l.fail(l.read(own, ctx)) })
	wg.Go(func() { l.fail(l.write(own)) })
	if l.c.o.TokenSource != nil && l.conn.Connected.Expires > 0 {
		wg.Go(func() { l.refresh(own, l.conn.Connected.Expires) })
	}
	select {
	case <-l.broken:
	case <-ctx.Done():
		l.closeProperly(cancel)
	case <-l.quit:
		l.closeProperly(cancel)
	}
	cancel()
	l.conn.CloseNow()
	wg.Wait()
	l.c.detach(l)
}

func (l *link) closeProperly(cancel context.CancelFunc) {
	t := time.AfterFunc(closeTimeout, cancel)
	defer t.Stop()
	_ = l.conn.Close(wire.CloseNormal, "") // the connection is over, whatever comes of it
}

func (l *link) fail(err error) {
	l.once.Do(func() {
		l.err = err
		close(l.broken)
	})
}

// read takes messages until the connection breaks. It stops handing them on when run ends.
func (l *link) read(ctx, run context.Context) error {
	for {
		l.readSince.Store(time.Now().UnixNano())
		frames, err := l.conn.Receive(ctx)
		if err != nil {
			return err
		}
		l.readSince.Store(0)
		if frames = l.take(frames); len(frames) == 0 {
			continue
		}
		if !l.hand(run, batch{l, frames}) {
			return run.Err()
		}
	}
}

// take handles what is not the dispatcher's, which may be waiting in a handler for just that, and
// returns the rest.
func (l *link) take(frames []wire.Frame) []wire.Frame {
	rest := frames[:0]
	for i := range frames {
		switch f := &frames[i]; f.Type {
		case wire.TypePing:
			l.pongDue.Store(true)
			l.kick()
		case framePublished, frameRefreshed:
			l.c.resolve(f)
		case frameError:
			if !l.c.resolve(f) && !l.c.present(l, f) && !l.c.tooLarge(l, f) {
				rest = append(rest, *f)
			}
		case framePresent:
			l.c.present(l, f)
		case frameMembers:
			if len(f.ID) == 0 {
				rest = append(rest, *f)
			} else {
				l.c.resolve(f)
			}
		case frameMoving:
			l.note(func() { l.moving, l.moveAfter = true, time.Duration(max(f.AfterMS, 0))*time.Millisecond })
		case frameDegraded:
			degraded := *f
			l.note(func() { l.degraded = &degraded })
		case frameSubscribed, frameEvent, frameSkip, frameReset, frameSignal, frameMember:
			rest = append(rest, *f)
		default: // pong, unsubscribed, and what later versions may say
		}
	}
	return rest
}

func (l *link) note(set func()) {
	l.c.mu.Lock()
	set()
	l.c.mu.Unlock()
	signal(l.notice)
}

// write sends what is due until the connection breaks.
func (l *link) write(ctx context.Context) error {
	timer := time.NewTimer(l.ping)
	defer timer.Stop()
	for {
		now := time.Now()
		wait, err := l.beat(now)
		if err != nil {
			return err
		}
		msg, next := l.c.outgoing(l, now)
		if len(msg) > 0 {
			if err := l.send(ctx, msg); err != nil {
				return err
			}
			continue
		}
		timer.Reset(min(wait, next))
		select {
		case <-l.wake:
		case <-timer.C:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

func (l *link) send(ctx context.Context, msg []byte) error {
	ctx, cancel := context.WithTimeout(ctx, l.c.o.WriteTimeout)
	defer cancel()
	return l.conn.SendRaw(ctx, msg)
}

// beat decides on the heartbeat: a ping after one interval of silence, the end after two. It returns
// when to ask again. While the dispatcher keeps the reader waiting, silence says nothing about the
// gateway; pings then show the gateway that the client lives.
func (l *link) beat(now time.Time) (time.Duration, error) {
	since := l.readSince.Load()
	reading := since != 0
	quiet := now.Sub(time.Unix(0, since))
	if reading && quiet >= 2*l.ping {
		return 0, fmt.Errorf("heartbeat: %w", errSilent)
	}
	pinged := now.Sub(l.lastPing)
	if reading && quiet < l.ping {
		return l.ping - quiet, nil
	}
	if pinged >= l.ping {
		l.lastPing = now
		l.pingDue = true
		pinged = 0
	}
	wait := l.ping - pinged
	if reading {
		wait = min(wait, 2*l.ping-quiet)
	}
	return wait, nil
}
