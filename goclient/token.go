package goclient

import (
	"context"
	"errors"
	"fmt"
	"time"
)

// Shares of a token's remaining life, in thousandths, between which the next one is asked for.
const refreshFrom, refreshTo = 800, 900

// freshToken returns the token for the next connection.
func (c *Client) freshToken(ctx context.Context) (string, error) {
	if c.o.TokenSource == nil {
		c.mu.Lock()
		defer c.mu.Unlock()
		return c.token, nil
	}
	token, err := c.o.TokenSource(ctx)
	if err != nil {
		return "", fmt.Errorf("token source: %w", err)
	}
	return token, nil
}

// Refresh hands the gateway a new token for the current connection, and keeps it for later ones. Without
// a connection it returns at once. An answer that is no success is a [*wire.Error].
//
// [*wire.Error]: https://pkg.go.dev/github.com/tallywire/tallywire/gateway/wire#Error
func (c *Client) Refresh(ctx context.Context, token string) error {
	c.mu.Lock()
	c.token = token
	l, stopped := c.cur, c.stopped
	c.mu.Unlock()
	if stopped {
		return fmt.Errorf("refresh: %w", ErrStopped)
	}
	if l == nil {
		return nil
	}
	_, err := c.hand(ctx, l, token)
	if errors.Is(err, ErrNotConnected) {
		return nil // the next connection begins with it
	}
	return err
}

// hand sends a token on a connection and returns when it expires (Unix seconds, 0 for never).
func (c *Client) hand(ctx context.Context, l *link, token string) (int64, error) {
	c.mu.Lock()
	select {
	case <-l.broken:
		c.mu.Unlock()
		return 0, fmt.Errorf("refresh: %w", ErrNotConnected)
	default:
	}
	id := c.nextIDLocked()
	x := &call{id: id, frame: appendRefresh(nil, id, token), done: make(chan answer, 1)}
	c.calls[id] = x
	c.carryLocked(x, l)
	c.mu.Unlock()
	f, err := c.await(ctx, x)
	if err != nil {
		return 0, fmt.Errorf("refresh: %w", err)
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	l.token = token
	for _, s := range c.subs {
		if s.state == refused { // the new token may allow it
			s.state = wanted
			c.requestLocked(s, time.Time{})
		}
	}
	return f.Expires, nil
}

// tokenOf returns the last token that the connection's gateway was given.
func (c *Client) tokenOf(l *link) string {
	c.mu.Lock()
	defer c.mu.Unlock()
	return l.token
}

// refresh replaces the connection's token before it expires, until ctx ends.
func (l *link) refresh(ctx context.Context, expires int64) {
	c := l.c
	retry := c.backoff()
	for expires > 0 {
		wait := jitter(time.Until(time.Unix(expires, 0)), refreshFrom, refreshTo)
		if !sleep(ctx, max(wait, c.o.BackoffMin)) {
			return
		}
		for {
			if !sleep(ctx, retry.next()) {
				return
			}
			token, err := c.freshToken(ctx)
			if err == nil {
				expires, err = c.hand(ctx, l, token)
			}
			if err == nil {
				break
			}
			if ctx.Err() != nil {
				return
			}
			c.o.Logger.WarnContext(ctx, "token not refreshed", "error", err)
		}
		retry.reset()
	}
}
