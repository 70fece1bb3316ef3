package floor

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"net/http"
	"strconv"
	"sync"
	"sync/atomic"
	"time"

	"github.com/coder/websocket"
)

// Path is where the server takes WebSockets; it is the gateway's.
const Path = "/v1/ws"

// Server broadcasts. Its methods are safe for concurrent use.
type Server struct {
	conns sync.WaitGroup // readers

	mu       sync.RWMutex
	channels map[string]*channel          // guarded by mu
	open     map[*websocket.Conn]struct{} // guarded by mu
	closed   bool                         // guarded by mu
}

// channel is a set of subscribers. A broadcast holds mu, so that all of them see one order.
type channel struct {
	mu      sync.Mutex
	members map[*websocket.Conn]struct{} // guarded by mu
	offset  uint64                       // guarded by mu
}

// New returns a server without connections.
func New() *Server {
	return &Server{channels: map[string]*channel{}, open: map[*websocket.Conn]struct{}{}}
}

// Serve serves on addr until ctx ends, and returns when all connections have ended. ready, when not
// nil, is told the address that is listened on.
func Serve(ctx context.Context, addr string, ready func(net.Addr)) error {
	var lc net.ListenConfig
	l, err := lc.Listen(ctx, "tcp", addr)
	if err != nil {
		return fmt.Errorf("listen: %w", err)
	}
	if ready != nil {
		ready(l.Addr())
	}
	s := New()
	h := &http.Server{Handler: s, ReadHeaderTimeout: 10 * time.Second}
	ended := make(chan error, 1)
	go func() { ended <- h.Serve(l) }()
	select {
	case err = <-ended:
	case <-ctx.Done():
		_ = h.Close()
		err = <-ended
	}
	s.Close()
	if errors.Is(err, http.ErrServerClosed) {
		return nil
	}
	return fmt.Errorf("serve: %w", err)
}

// Close ends all connections and waits for them; those that come later are refused.
func (s *Server) Close() {
	s.mu.Lock()
	s.closed = true
	for ws := range s.open {
		_ = ws.CloseNow()
	}
	s.mu.Unlock()
	s.conns.Wait()
}

// ServeHTTP upgrades a request and reads from its connection until that ends.
func (s *Server) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if r.URL.Path != Path {
		http.NotFound(w, r)
		return
	}
	ws, err := websocket.Accept(w, r, &websocket.AcceptOptions{CompressionMode: websocket.CompressionDisabled})
	if err != nil {
		return // Accept has answered
	}
	if !s.enter(ws) {
		_ = ws.CloseNow()
		return
	}
	defer s.conns.Done()
	c := &client{server: s, ws: ws, joined: map[*channel]struct{}{}}
	defer c.leave()
	c.read() //nolint:contextcheck // the connection ends with Close, not with its request
}

func (s *Server) enter(ws *websocket.Conn) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		return false
	}
	s.open[ws] = struct{}{}
	s.conns.Add(1)
	return true
}

func (s *Server) channel(name string) *channel {
	s.mu.RLock()
	c := s.channels[name]
	s.mu.RUnlock()
	if c != nil {
		return c
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if c = s.channels[name]; c == nil {
		c = &channel{members: map[*websocket.Conn]struct{}{}}
		s.channels[name] = c
	}
	return c
}

// broadcast writes an event to every subscriber, one after the other. A subscriber that cannot be
// written to is closed by the write, and left out from then on.
func (c *channel) broadcast(name string, event []byte) string {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.offset++
	cursor := strconv.FormatUint(c.offset, 10) + "-0"
	msg := make([]byte, 0, len(name)+len(cursor)+len(event)+64)
	msg = append(msg, `[{"type":"event","channel":"`...)
	msg = append(msg, name...)
	msg = append(msg, `","cursor":"`...)
	msg = append(msg, cursor...)
	msg = append(msg, `","event":`...)
	msg = append(msg, event...)
	msg = append(msg, `}]`...)
	for ws := range c.members {
		// Without a deadline: watching a context would cost a write more than it does here.
		if ws.Write(context.Background(), websocket.MessageText, msg) != nil {
			delete(c.members, ws)
		}
	}
	return cursor
}

// client is one connection; everything in it belongs to its reader.
type client struct {
	server *Server
	ws     *websocket.Conn
	joined map[*channel]struct{}
}

// sessions numbers the connections.
var sessions atomic.Uint64

// frame is what a client sends.
type frame struct {
	Type     string          `json:"type"`
	ID       json.RawMessage `json:"id"`
	Channel  string          `json:"channel"`
	Channels []struct {
		Channel string `json:"channel"`
	} `json:"channels"`
	Event json.RawMessage `json:"event"`
}

func (c *client) read() {
	ctx := context.Background()
	for {
		_, msg, err := c.ws.Read(ctx)
		if err != nil {
			return
		}
		var f frame
		if json.Unmarshal(msg, &f) != nil {
			_ = c.ws.Close(websocket.StatusInvalidFramePayloadData, "not a frame")
			return
		}
		if err := c.answer(&f); err != nil {
			return
		}
	}
}

func (c *client) answer(f *frame) error {
	id := ""
	if len(f.ID) > 0 {
		id = `,"id":` + string(f.ID)
	}
	switch f.Type {
	case "connect":
		return c.write(`[{"type":"connected"%s,"session":"%d","user":"","gateway":"floor","ping_ms":25000}]`, id, sessions.Add(1))
	case "subscribe":
		for _, r := range f.Channels {
			ch := c.server.channel(r.Channel)
			ch.mu.Lock()
			ch.members[c.ws] = struct{}{}
			cursor := strconv.FormatUint(ch.offset, 10) + "-0"
			ch.mu.Unlock()
			c.joined[ch] = struct{}{}
			err := c.write(`[{"type":"subscribed"%s,"channel":%q,"cursor":%q,"head":%q,"resumed":false}]`, id, r.Channel, cursor, cursor)
			if err != nil {
				return err
			}
		}
		return nil
	case "publish":
		cursor := c.server.channel(f.Channel).broadcast(f.Channel, f.Event)
		return c.write(`[{"type":"published"%s,"cursor":%q,"ack":"stored","duplicate":false}]`, id, cursor)
	case "ping":
		return c.write(`[{"type":"pong"}]`)
	default:
		return c.write(`[{"type":"error"%s,"code":"unknown_type","message":"unknown frame type","retry":false}]`, id)
	}
}

func (c *client) write(format string, args ...any) error {
	//nolint:wrapcheck // ends the reader, which tells nobody
	return c.ws.Write(context.Background(), websocket.MessageText, fmt.Appendf(nil, format, args...))
}

func (c *client) leave() {
	for ch := range c.joined {
		ch.mu.Lock()
		delete(ch.members, c.ws)
		ch.mu.Unlock()
	}
	s := c.server
	s.mu.Lock()
	delete(s.open, c.ws)
	s.mu.Unlock()
	_ = c.ws.CloseNow()
}
