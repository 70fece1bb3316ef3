package redistest

import (
	"bytes"
	"context"
	"errors"
	"io"
	"net"
	"sync"
	"testing"
	"time"
)

// Proxy stands between a client and a server and damages what goes through. Its methods are safe for
// concurrent use.
type Proxy struct {
	t      testing.TB
	target string
	listen net.Listener
	wg     sync.WaitGroup

	mu      sync.Mutex
	changed *sync.Cond
	pairs   map[*pair]bool // guarded by mu
	cut     bool           // guarded by mu: connections are refused
	stalled bool           // guarded by mu: nothing goes through
	swallow int            // guarded by mu: replies to lose with their connection
	watch   string         // guarded by mu: only after a request that contains it
	closed  bool           // guarded by mu
}

// pair is one connection through the proxy.
type pair struct {
	client, server net.Conn
	doomed         bool // guarded by Proxy.mu: its next reply is lost
}

// StartProxy starts a proxy to the server; it ends with the test.
func StartProxy(t testing.TB, s *Server) *Proxy {
	t.Helper()
	var lc net.ListenConfig
	l, err := lc.Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatalf("redistest: proxy: %v", err)
	}
	p := &Proxy{t: t, target: s.Addr(), listen: l, pairs: map[*pair]bool{}}
	p.changed = sync.NewCond(&p.mu)
	p.wg.Go(p.accept)
	t.Cleanup(func() {
		p.mu.Lock()
		p.closed = true
		p.mu.Unlock()
		p.changed.Broadcast()
		_ = l.Close()
		p.closeAll()
		p.wg.Wait()
	})
	return p
}

// Addr returns host:port; URL the redis:// URL.
func (p *Proxy) Addr() string { return p.listen.Addr().String() }

// URL returns the proxy's redis:// URL.
func (p *Proxy) URL() string { return "redis://" + p.Addr() }

// Cut breaks all connections and refuses new ones until Heal.
func (p *Proxy) Cut() {
	p.mu.Lock()
	p.cut = true
	p.mu.Unlock()
	p.closeAll()
}

// Heal ends Cut and Stall.
func (p *Proxy) Heal() {
	p.mu.Lock()
	p.cut, p.stalled = false, false
	p.mu.Unlock()
	p.changed.Broadcast()
}

// Stall keeps connections open and passes nothing on until Heal.
func (p *Proxy) Stall() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.stalled = true
}

// LoseReplies lets the next n requests that contain text reach the server, and breaks their connections
// instead of passing on the replies.
func (p *Proxy) LoseReplies(n int, text string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.swallow, p.watch = n, text
}

// Lost returns how many replies are still to be lost.
func (p *Proxy) Lost() int {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.swallow
}

func (p *Proxy) closeAll() {
	p.mu.Lock()
	defer p.mu.Unlock()
	for c := range p.pairs {
		_ = c.client.Close()
		_ = c.server.Close()
	}
}

func (p *Proxy) accept() {
	for {
		client, err := p.listen.Accept()
		if err != nil {
			return
		}
		p.mu.Lock()
		refused := p.cut || p.closed
		p.mu.Unlock()
		if refused {
			_ = client.Close()
			continue
		}
		ctx, cancel := context.WithTimeout(context.Background(), time.Second)
		server, err := (&net.Dialer{}).DialContext(ctx, "tcp", p.target)
		cancel()
		if err != nil {
			_ = client.Close()
			continue
		}
		c := &pair{client: client, server: server}
		p.mu.Lock()
		p.pairs[c] = true
		p.mu.Unlock()
		p.wg.Go(func() { p.forward(c, client, server, true) })
		p.wg.Go(func() { p.forward(c, server, client, false) })
	}
}

// forward copies one direction of a connection.
func (p *Proxy) forward(c *pair, from io.Reader, to io.Writer, request bool) {
	defer func() {
		_ = c.client.Close()
		_ = c.server.Close()
		p.mu.Lock()
		delete(p.pairs, c)
		p.mu.Unlock()
	}()
	buf := make([]byte, 64<<10)
	for {
		n, err := from.Read(buf)
		if n > 0 {
			if p.pass(c, buf[:n], request) != nil {
				return
			}
			if _, err := to.Write(buf[:n]); err != nil {
				return
			}
		}
		if err != nil {
			return
		}
	}
}

var errLost = errors.New("reply lost")

// pass waits while the proxy is stalled, and says whether the bytes may go on.
func (p *Proxy) pass(c *pair, b []byte, request bool) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	for p.stalled && !p.closed {
		p.changed.Wait()
	}
	switch {
	case request && p.swallow > 0 && bytes.Contains(b, []byte(p.watch)):
		p.swallow--
		c.doomed = true
	case !request && c.doomed:
		return errLost
	}
	return nil
}
