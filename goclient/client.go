package goclient

import (
	"context"
	"errors"
	"sync"
	"sync/atomic"
	"time"

	"github.com/tallywire/tallywire/broker"
)

// Bounds of a client that are not options.
const (
	// queuedMessages bounds the server messages between a connection's reader and the dispatcher.
	queuedMessages = 16
	// stableAfter is how long a connection must have lasted for the backoff to begin anew.
	stableAfter = 10 * time.Second
	// settleTimeout bounds how long a connection that is left goes on while the next takes up its channels.
	settleTimeout = 10 * time.Second
	// closeTimeout bounds the wait for the gateway's close frame.
	closeTimeout = time.Second
)

// Client keeps one logical client connected. All methods may be called concurrently, also from handlers.
type Client struct {
	o     Options       // static
	slots chan struct{} // one for each publish and signal under way
	queue chan batch    // from readers to the dispatcher; never closed
	stats counters

	mu      sync.Mutex // Protects the following, and what says so in links, subscriptions and calls.
	running bool
	stopped bool
	token   string
	subs    map[string]*Subscription
	calls   map[uint64]*call
	stays   map[string]*stay // where the session is present
	lastID  uint64
	cur     *link           // the connection for new requests; nil when there is none
	behind  []*Subscription // fenced by overflow, to be asked for when the queue is empty
}

type counters struct {
	events, skipped, duplicates, violations, resets, overflows, connections, moves, handled, memberGaps atomic.Uint64
}

// Stats count what a client has seen since it was made.
type Stats struct {
	Events      uint64 // delivered to handlers
	Skipped     uint64 // left out by `latest` namespaces
	Duplicates  uint64 // received more than once and dropped
	Violations  uint64 // breaks of the guarantee that were not announced
	Resets      uint64 // told to handlers
	Overflows   uint64 // times that events were dropped and asked for again because a handler waited for an answer
	Connections uint64 // established
	Moves       uint64 // connections that replaced one that was still open
	MemberGaps  uint64 // times that a change of members was missing and a snapshot asked for
}

// New returns a client that Run brings to life.
func New(o Options) (*Client, error) {
	o, err := o.withDefaults()
	if err != nil {
		return nil, err
	}
	return &Client{
		o:     o,
		slots: make(chan struct{}, o.MaxOutstanding),
		queue: make(chan batch, queuedMessages),
		token: o.Token,
		subs:  map[string]*Subscription{},
		calls: map[uint64]*call{},
		stays: map[string]*stay{},
	}, nil
}

// Session returns the session's name.
func (c *Client) Session() string { return c.o.Session }

// Violations returns how many breaks of the guarantee were seen that the gateway did not announce.
func (c *Client) Violations() uint64 { return c.stats.violations.Load() }

// Stats returns the counters.
func (c *Client) Stats() Stats {
	s := &c.stats
	return Stats{
		Events: s.events.Load(), Skipped: s.skipped.Load(), Duplicates: s.duplicates.Load(),
		Violations: s.violations.Load(), Resets: s.resets.Load(), Overflows: s.overflows.Load(),
		Connections: s.connections.Load(), Moves: s.moves.Load(), MemberGaps: s.memberGaps.Load(),
	}
}

// Run connects and serves until ctx ends, and then returns nil; or until the gateway accepts no token
// that the client has, and then returns why. It owns every goroutine of the client and is called once.
func (c *Client) Run(ctx context.Context) error {
	c.mu.Lock()
	if c.running {
		c.mu.Unlock()
		return errors.New("run: called twice")
	}
	c.running = true
	c.mu.Unlock()

	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	var wg sync.WaitGroup
	wg.Go(func() { c.dispatchAll(ctx) })
	err := c.keepConnected(ctx, &wg)
	cancel()
	wg.Wait()
	c.stop()
	return err
}

// stop fails what is under way and what comes later.
func (c *Client) stop() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.stopped = true
	for _, x := range c.calls {
		c.finishLocked(x, answer{err: ErrStopped})
	}
	for _, s := range c.subs {
		s.settleLocked(ErrStopped)
	}
	for _, s := range c.stays {
		c.forgetLocked(s, ErrStopped)
	}
}

func (c *Client) backoff() backoff {
	return backoff{least: c.o.BackoffMin, most: c.o.BackoffMax}
}

func (c *Client) nextIDLocked() uint64 {
	c.lastID++
	return c.lastID
}

// attach makes l the current connection: the session enters all channels where it is present, takes up
// those that it follows, and sends again the calls that no living connection carries.
func (c *Client) attach(l *link) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.cur != nil {
		c.cur.dirty = nil
	}
	c.cur = l
	c.enterAllLocked()
	for _, s := range c.subs {
		if s.state == refused {
			s.state = wanted
		}
		s.dirty = false
		s.answeredLocked()
		c.requestLocked(s, time.Time{})
	}
	c.behind = nil
	c.resendLocked()
	l.attached = true
	l.settleLocked()
}

// detach takes l, which has ended, out of use.
func (c *Client) detach(l *link) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.cur == l {
		c.cur = nil
	}
	l.dirty, l.fifo = nil, nil
	for _, s := range c.subs {
		if s.asked == l {
			s.answeredLocked()
		}
		if s.link == l {
			s.link = nil
		}
	}
	for _, x := range c.calls {
		if x.link == l {
			c.orphanLocked(x)
		}
	}
	c.abandonLocked(l)
	l.stays = nil
	c.resendLocked()
}

// position returns what a request for s says.
func (s *Subscription) positionLocked() (*broker.Cursor, string) {
	if s.track.known {
		pos := s.track.pos
		return &pos, ""
	}
	return nil, s.since
}
