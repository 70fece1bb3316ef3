package goclient

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"
)

// keepConnected opens one connection after another until ctx ends or no token is accepted.
func (c *Client) keepConnected(ctx context.Context, wg *sync.WaitGroup) error {
	retry := c.backoff()
	var last error
	var left *link // still open while the next one is opened
	for {
		l, err := c.connect(ctx, &retry, last)
		if ctx.Err() != nil {
			if l != nil {
				l.conn.CloseNow()
			}
			return nil
		}
		if err != nil {
			return err
		}
		c.attach(l)
		wg.Go(func() { l.run(ctx) })
		if old := left; old != nil {
			c.stats.moves.Add(1)
			wg.Go(func() { c.retire(ctx, old, l) })
		}
		c.stats.connections.Add(1)
		f := &l.conn.Connected
		c.tell(Status{State: StateConnected, Gateway: f.Gateway, Session: f.Session, User: f.User, Attempt: retry.attempts})

		began := time.Now()
		left, last = nil, nil
		if c.watch(ctx, l) {
			left = l
		} else if ctx.Err() == nil {
			last = l.err
			c.tell(Status{State: StateDisconnected, Gateway: f.Gateway, Session: f.Session, User: f.User, Err: last})
			if err := c.fatal(last, c.tokenOf(l)); err != nil {
				return err
			}
		}
		if time.Since(began) >= stableAfter {
			retry.reset()
		}
	}
}

// connect tries until there is a connection, ctx ends, or no token is accepted.
func (c *Client) connect(ctx context.Context, retry *backoff, last error) (*link, error) {
	for {
		wait := retry.next()
		var status *StatusError
		if errors.As(last, &status) && status.RetryAfter > 0 {
			wait = max(wait, jitter(status.RetryAfter, 1000, 1250)) // those who were asked the same do not come together
		}
		c.tell(Status{State: StateConnecting, Attempt: retry.attempts, RetryIn: wait, Err: last})
		if !sleep(ctx, wait) {
			return nil, nil
		}
		conn, token, err := c.dial(ctx)
		if err == nil {
			return newLink(c, conn, token), nil
		}
		if ctx.Err() != nil {
			return nil, nil
		}
		c.o.Logger.InfoContext(ctx, "connect", "attempt", retry.attempts, "error", err)
		if err := c.fatal(err, token); err != nil {
			return nil, err
		}
		last = err
	}
}

// dial makes one attempt and returns the token that it used.
func (c *Client) dial(ctx context.Context) (*Conn, string, error) {
	ctx, cancel := context.WithTimeout(ctx, c.o.HandshakeTimeout)
	defer cancel()
	token, err := c.freshToken(ctx)
	if err != nil {
		return nil, "", err
	}
	conn, err := DialWith(ctx, DialOptions{
		URL: c.o.URL, Token: token, Session: c.o.Session,
		HTTPClient: c.o.HTTPClient, Header: c.o.Header, ReadLimit: c.o.ReadLimit,
	})
	return conn, token, err
}

// fatal returns an error when only another token than the used one would help and there is none.
func (c *Client) fatal(err error, used string) error {
	if c.o.TokenSource != nil || !needsToken(err) {
		return nil
	}
	c.mu.Lock()
	current := c.token
	c.mu.Unlock()
	if current == used {
		return fmt.Errorf("token not accepted: %w", err)
	}
	return nil
}

// watch follows the current connection. It returns true when the next one is to be opened while this
// one is still open, false when this one or ctx has ended.
func (c *Client) watch(ctx context.Context, l *link) bool {
	move := time.NewTimer(0)
	move.Stop()
	defer move.Stop()
	announced := false
	for {
		select {
		case <-ctx.Done():
			return false
		case <-l.done:
			return false
		case <-move.C:
			return true
		case <-l.notice:
		}
		c.mu.Lock()
		moving, after, degraded := l.moving, l.moveAfter, l.degraded
		l.degraded = nil
		c.mu.Unlock()
		f := &l.conn.Connected
		if degraded != nil {
			c.tell(Status{
				State: StateConnected, Gateway: f.Gateway, Session: f.Session, User: f.User,
				Degraded: degraded.Degraded, Reason: degraded.Reason,
			})
		}
		if moving && !announced {
			announced = true
			move.Reset(after)
			c.tell(Status{State: StateMoving, Gateway: f.Gateway, Session: f.Session, User: f.User, RetryIn: after})
		}
	}
}

// retire closes old once next has taken up all channels and old's calls are answered, or after a while.
func (c *Client) retire(ctx context.Context, old, next *link) {
	deadline := time.NewTimer(settleTimeout)
	defer deadline.Stop()
	select {
	case <-next.settled:
	case <-old.done:
	case <-ctx.Done():
	case <-deadline.C:
	}
	c.mu.Lock()
	old.retiring = true
	old.settleLocked()
	c.mu.Unlock()
	select {
	case <-old.drained:
	case <-old.done:
	case <-ctx.Done():
	case <-deadline.C:
	}
	close(old.quit)
	<-old.done
}

func (c *Client) tell(s Status) {
	if c.o.OnStatus != nil {
		c.o.OnStatus(s)
	}
}
