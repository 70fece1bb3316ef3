package goclient

import (
	"context"
	"errors"
	"net"
	"strconv"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/tallywire/tallywire/gateway/wire"
)

// pipes is a listener of in-memory connections, on which a test's fake clock can stand still.
type pipes struct {
	conns chan net.Conn
	once  sync.Once
	ended chan struct{}
}

func newPipes() *pipes { return &pipes{conns: make(chan net.Conn), ended: make(chan struct{})} }

func (p *pipes) Accept() (net.Conn, error) {
	select {
	case c := <-p.conns:
		return c, nil
	case <-p.ended:
		return nil, net.ErrClosed
	}
}

func (p *pipes) Close() error {
	p.once.Do(func() { close(p.ended) })
	return nil
}

func (p *pipes) Addr() net.Addr { return &net.TCPAddr{IP: net.IPv4(127, 0, 0, 1), Port: 80} }

func (p *pipes) dial(ctx context.Context, _, _ string) (net.Conn, error) {
	client, server := net.Pipe()
	select {
	case p.conns <- server:
		return client, nil
	case <-p.ended:
		return nil, errors.New("connection refused")
	case <-ctx.Done():
		return nil, ctx.Err()
	}
}

// onPipes runs a test in a bubble with a gateway and a client on in-memory connections.
func onPipes(t *testing.T, script func(*fakeGateway), change func(*Options), test func(t *testing.T, g *fakeGateway, c *Client)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		p := newPipes()
		g := newFakeOn(t, p, script)
		o := Options{URL: "http://gateway.test", DialContext: p.dial}
		if change != nil {
			change(&o)
		}
		c, err := New(o)
		require.NoError(t, err)
		ctx, cancel := context.WithCancel(t.Context())
		ended := make(chan error, 1)
		go func() { ended <- c.Run(ctx) }()
		synctest.Wait()
		test(t, g, c)
		cancel()
		require.NoError(t, <-ended)
	})
}

func TestHeartbeat(t *testing.T) {
	var pings atomic.Int32
	count := func(g *fakeGateway) {
		g.onFrame = func(_ *fakeConn, f *wire.ClientFrame) bool {
			if f.Type == wire.TypePing {
				pings.Add(1)
			}
			return false
		}
	}
	t.Run("kept alive", func(t *testing.T) {
		pings.Store(0)
		onPipes(t, count, nil, func(t *testing.T, _ *fakeGateway, c *Client) {
			pass(10 * time.Minute)
			require.Equal(t, uint64(1), c.Stats().Connections)
			require.InDelta(t, 600/25, pings.Load(), 4, "one ping for each 25 s of silence, jittered")
		})
	})
	t.Run("silence is the end", func(t *testing.T) {
		var lost []time.Time
		var causes []error
		onPipes(t, nil, func(o *Options) {
			o.OnStatus = func(s Status) {
				if s.State == StateDisconnected {
					lost, causes = append(lost, time.Now()), append(causes, s.Err)
				}
			}
		}, func(t *testing.T, g *fakeGateway, c *Client) {
			conn := g.conn(0)
			g.mu.Lock()
			conn.silent = true
			g.mu.Unlock()
			began := time.Now()
			pass(51 * time.Second)
			require.Len(t, lost, 1)
			require.ErrorIs(t, causes[0], errSilent)
			require.GreaterOrEqual(t, lost[0].Sub(began), 45*time.Second, "two jittered intervals")
			require.Equal(t, uint64(2), c.Stats().Connections, "the first retry is immediate")
		})
	})
	t.Run("a slow handler is no silence", func(t *testing.T) {
		pings.Store(0)
		onPipes(t, count, nil, func(t *testing.T, g *fakeGateway, c *Client) {
			release := make(chan struct{})
			s, err := c.Subscribe("jobs:1", SubscribeOptions{Handler: Handler{
				OnEvent: func(context.Context, Event) { <-release },
			}})
			require.NoError(t, err)
			require.NoError(t, s.Ready(t.Context()))
			for i := range 3 * queuedMessages { // the reader waits for the dispatcher
				g.publish("jobs:1", numbered(i+1))
			}
			pass(5 * time.Minute)
			require.Equal(t, uint64(1), c.Stats().Connections)
			require.Positive(t, pings.Load(), "the gateway sees that the client lives")
			close(release)
			synctest.Wait()
			require.Equal(t, uint64(3*queuedMessages), c.Stats().Events)
			require.Equal(t, uint64(1), c.Stats().Connections)
		})
	})
}

func TestPingIsAnswered(t *testing.T) {
	pongs := make(chan struct{}, 1)
	g := newFake(t, func(g *fakeGateway) {
		g.onFrame = func(_ *fakeConn, f *wire.ClientFrame) bool {
			if f.Type == wire.TypePong {
				pongs <- struct{}{}
			}
			return false
		}
	})
	follow(t, start(t, g, nil), "jobs:1")
	g.conn(0).send(wire.PingFrame)
	select {
	case <-pongs:
	case <-within(t).Done():
		t.Fatal("no pong")
	}
}

// TestRefreshInBand holds a connection over many lives of its tokens.
func TestRefreshInBand(t *testing.T) {
	const life = 10 * time.Minute
	var issued atomic.Int32
	var at []time.Duration
	onPipes(t, func(g *fakeGateway) {
		g.expires = func() int64 { return time.Now().Add(life).Unix() }
	}, func(o *Options) {
		began := time.Now()
		o.TokenSource = func(context.Context) (string, error) {
			at = append(at, time.Since(began))
			if n := issued.Add(1); n != 3 {
				return "token-" + strconv.Itoa(int(n)), nil
			}
			return "", errors.New("identity provider is away")
		}
	}, func(t *testing.T, g *fakeGateway, c *Client) {
		pass(time.Hour)
		require.Equal(t, uint64(1), c.Stats().Connections)
		conn := g.conn(0)
		g.mu.Lock()
		require.Equal(t, "token-"+strconv.Itoa(int(issued.Load())), conn.token)
		g.mu.Unlock()
		require.InDelta(t, life.Seconds()*0.85, (at[1] - at[0]).Seconds(), life.Seconds()*0.051)
		require.Less(t, at[3]-at[2], time.Second, "a source that fails is asked again soon")
		require.InDelta(t, 9, issued.Load(), 1, "every 8 to 9 minutes")
	})
}

func TestDegradedIsTold(t *testing.T) {
	var last Status
	onPipes(t, nil, func(o *Options) { o.OnStatus = func(s Status) { last = s } },
		func(t *testing.T, g *fakeGateway, _ *Client) {
			g.conn(0).send(wire.AppendDegraded(nil, true, "redis is away", 1))
			synctest.Wait()
			require.True(t, last.Degraded)
			require.Equal(t, "redis is away", last.Reason)
			g.conn(0).send(wire.AppendDegraded(nil, false, "", 2))
			synctest.Wait()
			require.False(t, last.Degraded)
			require.Equal(t, StateConnected, last.State)
		})
}

// TestBackoffWhileAway watches the attempts while nothing listens.
func TestBackoffWhileAway(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := newPipes()
		require.NoError(t, p.Close())
		var waits []time.Duration
		c, err := New(Options{URL: "http://gateway.test", DialContext: p.dial, OnStatus: func(s Status) {
			if s.State == StateConnecting {
				waits = append(waits, s.RetryIn)
			}
		}})
		require.NoError(t, err)
		ctx, cancel := context.WithTimeout(t.Context(), time.Hour)
		defer cancel()
		require.NoError(t, c.Run(ctx))
		require.Zero(t, waits[0])
		var sum time.Duration
		for i, w := range waits[1:] {
			bound := DefaultBackoffMax
			if i < 7 {
				bound = min(bound, DefaultBackoffMin<<i)
			}
			require.LessOrEqual(t, w, bound)
			sum += w
		}
		require.InDelta(t, 360, len(waits), 60, "an hour of waits of 10 s in the mean")
	})
}

func TestMovingWaits(t *testing.T) {
	onPipes(t, nil, nil, func(t *testing.T, g *fakeGateway, c *Client) {
		pass(time.Minute) // a stable connection
		g.conn(0).send(wire.AppendMoving(nil, 30_000))
		pass(29 * time.Second)
		require.Equal(t, uint64(1), c.Stats().Connections)
		pass(time.Second)
		require.Equal(t, uint64(2), c.Stats().Connections)
		require.Equal(t, uint64(1), c.Stats().Moves)
		select {
		case <-g.conn(0).done:
		default:
			t.Error("the first connection is still open")
		}
	})
}

// pass lets time go by in a bubble, and everything happen that is due.
func pass(d time.Duration) {
	<-time.After(d)
	synctest.Wait()
}
