package goclient

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/coder/websocket"
	"github.com/stretchr/testify/require"

	"github.com/tallywire/tallywire/broker"
	"github.com/tallywire/tallywire/gateway/wire"
)

func TestTokens(t *testing.T) {
	refuse := func(c *fakeConn, f *wire.ClientFrame) bool {
		if f.Type != wire.TypeConnect || f.Token == "good" {
			return false
		}
		c.fail(f.ID, "", wire.CodeUnauthorized)
		c.g.mu.Lock()
		defer c.g.mu.Unlock()
		return true
	}
	t.Run("refused without a source", func(t *testing.T) {
		g := newFake(t, func(g *fakeGateway) { g.onFrame = refuse })
		c, err := New(Options{URL: g.srv.URL, Token: "bad"})
		require.NoError(t, err)
		s, err := c.Subscribe("jobs:1", SubscribeOptions{})
		require.NoError(t, err)
		err = c.Run(within(t))
		var we *wire.Error
		require.ErrorAs(t, err, &we)
		require.Equal(t, wire.CodeUnauthorized, we.Code)
		require.ErrorIs(t, s.Ready(within(t)), ErrStopped)
		_, err = c.Publish(within(t), "jobs:1", json.RawMessage(numbered(1)), PublishOptions{})
		require.ErrorIs(t, err, ErrStopped)
		_, err = c.Subscribe("jobs:2", SubscribeOptions{})
		require.ErrorIs(t, err, ErrStopped)
		require.Error(t, c.Run(within(t)), "a client runs once")
	})
	t.Run("closed as unauthorized", func(t *testing.T) {
		g := newFake(t, nil)
		c, err := New(Options{URL: g.srv.URL, Token: "good"})
		require.NoError(t, err)
		go func() {
			conn := g.conn(0)
			_ = conn.ws.Close(wire.CloseUnauthorized, "token_expired")
		}()
		err = c.Run(within(t))
		require.Equal(t, websocket.StatusCode(wire.CloseUnauthorized), websocket.CloseStatus(err))
	})
	t.Run("renewed by a source", func(t *testing.T) {
		tokens := []string{"bad", "good", "good"}
		var asked atomic.Int32
		g := newFake(t, func(g *fakeGateway) { g.onFrame = refuse })
		c := start(t, g, func(o *Options) {
			o.TokenSource = func(context.Context) (string, error) {
				n := int(asked.Add(1))
				if n == 2 {
					return "", errors.New("identity provider is away")
				}
				return tokens[min(n-1, 2)], nil
			}
		})
		_, r := follow(t, c, "jobs:1")
		before := asked.Load()
		_ = g.newest().ws.Close(wire.CloseUnauthorized, "token_revoked")
		g.publish("jobs:1", numbered(1))
		r.wait(t, 1)
		eventually(t, "another token", func() bool { return asked.Load() > before })
	})
	t.Run("a token given meanwhile is tried", func(t *testing.T) {
		g := newFake(t, nil)
		c := start(t, g, func(o *Options) { o.Token = "first" })
		follow(t, c, "jobs:1")
		c.mu.Lock()
		c.token = "second" // as Refresh does when the connection ends before it is answered
		c.mu.Unlock()
		_ = g.conn(0).ws.Close(wire.CloseUnauthorized, "token_expired")
		next := g.conn(1)
		eventually(t, "connect", func() bool { g.mu.Lock(); defer g.mu.Unlock(); return next.token == "second" })
	})
}

func TestRetryAfter(t *testing.T) {
	var turned atomic.Int32
	g := newFake(t, func(g *fakeGateway) {
		g.admit = func(w http.ResponseWriter, _ *http.Request) bool {
			if turned.Add(1) == 1 {
				w.Header().Set("Retry-After", "1")
				w.WriteHeader(http.StatusServiceUnavailable)
				_, _ = w.Write([]byte(`{"status":503,"code":"overloaded","detail":"too many connections"}`))
				return false
			}
			return true
		}
	})
	waits := make(chan Status, 16)
	c := start(t, g, func(o *Options) {
		o.OnStatus = func(s Status) {
			if s.State == StateConnecting {
				waits <- s
			}
		}
	})
	follow(t, c, "jobs:1")
	require.Zero(t, (<-waits).RetryIn)
	second := <-waits
	require.GreaterOrEqual(t, second.RetryIn, time.Second)
	var status *StatusError
	require.ErrorAs(t, second.Err, &status)
	require.Equal(t, http.StatusServiceUnavailable, status.Status)
	require.ErrorContains(t, second.Err, "overloaded: too many connections")
}

func TestUnsubscribe(t *testing.T) {
	g := newFake(t, nil)
	c := start(t, g, nil)
	s, r := follow(t, c, "jobs:1")
	_, err := c.Subscribe("jobs:1", SubscribeOptions{})
	require.ErrorIs(t, err, ErrSubscribed)
	s.Unsubscribe()
	s.Unsubscribe()
	conn := g.conn(0)
	eventually(t, "unsubscribe", func() bool { g.mu.Lock(); defer g.mu.Unlock(); return !conn.subs["jobs:1"] })
	g.publish("jobs:1", numbered(1))
	_, again := follow(t, c, "jobs:1")
	again.wait(t, 1)
	require.Empty(t, r.numbers())

	// Both at once: the last word counts.
	s2, ok := func() (*Subscription, bool) { c.mu.Lock(); defer c.mu.Unlock(); return c.subs["jobs:1"], true }()
	require.True(t, ok)
	for range 20 {
		s2.Unsubscribe()
		s2, again = follow(t, c, "jobs:1")
	}
	g.publish("jobs:1", numbered(2))
	again.wait(t, 2)
	require.Equal(t, upTo(2), again.numbers())
	require.Zero(t, c.Violations())
}

func TestManyChannels(t *testing.T) {
	g := newFake(t, nil)
	c, err := New(Options{URL: g.srv.URL, BackoffMin: time.Millisecond, BackoffMax: time.Millisecond})
	require.NoError(t, err)
	var rs []*recorder
	for i := range 350 {
		r := &recorder{}
		rs = append(rs, r)
		_, err := c.Subscribe(fmt.Sprintf("jobs:%d", i), SubscribeOptions{Cursor: &broker.Cursor{}, Handler: r.handler()})
		require.NoError(t, err)
	}
	var mu sync.Mutex
	var sizes []int
	g.onFrame = func(_ *fakeConn, f *wire.ClientFrame) bool {
		if f.Type == wire.TypeSubscribe {
			mu.Lock()
			defer mu.Unlock()
			sizes = append(sizes, len(f.Channels))
		}
		return false
	}
	run(t, c)
	for i := range rs {
		g.publish(fmt.Sprintf("jobs:%d", i), numbered(1))
	}
	for _, r := range rs {
		r.wait(t, 1)
	}
	mu.Lock()
	require.Equal(t, []int{100, 100, 100, 50}, sizes)
	mu.Unlock()
	g.conn(0).cut()
	for i := range rs {
		g.publish(fmt.Sprintf("jobs:%d", i), numbered(2))
	}
	for _, r := range rs {
		r.wait(t, 2)
		require.Equal(t, upTo(2), r.numbers())
	}
	require.False(t, slices.ContainsFunc(rs, func(r *recorder) bool { return counted(r, &r.resets) > 0 }))
}
