package goclient

import (
	"context"
	"net"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/coder/websocket"
	"github.com/stretchr/testify/require"
	"github.com/tidwall/gjson"

	"github.com/tallywire/tallywire/broker"
	"github.com/tallywire/tallywire/gateway/wire"
)

// fakeGateway speaks the real frames over real connections, keeps logs in memory, and does wrong what a
// test tells it to.
type fakeGateway struct {
	t      testing.TB
	srv    *httptest.Server
	pingMS int64

	// Scripts, set before the first connection. Each may be nil.

	// admit decides on the HTTP request; false means that it has answered.
	admit func(w http.ResponseWriter, r *http.Request) bool
	// onFrame sees every client frame first; true means that it is dealt with.
	onFrame func(c *fakeConn, f *wire.ClientFrame) bool
	// mangle changes the frames of a channel on their way out.
	mangle func(c *fakeConn, frames [][]byte) [][]byte

	mu      sync.Mutex
	logs    map[string]*fakeLog
	conns   []*fakeConn // all that ever connected
	expires func() int64
	served  sync.WaitGroup
}

// fakeLog is one channel.
type fakeLog struct {
	entries []broker.Entry // the genesis first
	ids     map[string]broker.Cursor
	trimmed uint64 // offsets up to this one are gone
	clock   uint64
}

type fakeConn struct {
	g  *fakeGateway
	ws *websocket.Conn
	n  int // counts connections from 0

	out  chan [][]byte
	done chan struct{}

	// Guarded by g.mu.
	subs    map[string]bool
	session string
	token   string
	silent  bool // nothing is sent any more
}

// newFake starts a gateway on loopback.
func newFake(t testing.TB, script func(*fakeGateway)) *fakeGateway {
	t.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	return newFakeOn(t, ln, script)
}

func newFakeOn(t testing.TB, ln net.Listener, script func(*fakeGateway)) *fakeGateway {
	t.Helper()
	g := &fakeGateway{t: t, logs: map[string]*fakeLog{}, pingMS: 25_000}
	if script != nil {
		script(g)
	}
	g.srv = httptest.NewUnstartedServer(http.HandlerFunc(g.serve))
	_ = g.srv.Listener.Close()
	g.srv.Listener = ln
	g.srv.Start()
	t.Cleanup(g.close)
	return g
}

func (g *fakeGateway) close() {
	g.mu.Lock()
	conns := slices.Clone(g.conns)
	g.mu.Unlock()
	for _, c := range conns {
		c.cut()
	}
	g.srv.Close()
	g.served.Wait()
}

func (g *fakeGateway) serve(w http.ResponseWriter, r *http.Request) {
	g.served.Add(1)
	defer g.served.Done()
	if g.admit != nil && !g.admit(w, r) {
		return
	}
	if r.URL.Path != "/v1/ws" {
		http.NotFound(w, r)
		return
	}
	ws, err := websocket.Accept(w, r, &websocket.AcceptOptions{Subprotocols: []string{wire.Subprotocol}})
	if err != nil {
		return
	}
	ws.SetReadLimit(1 << 20)
	c := &fakeConn{
		g: g, ws: ws, subs: map[string]bool{},
		out: make(chan [][]byte, 100_000), done: make(chan struct{}),
	}
	g.mu.Lock()
	c.n = len(g.conns)
	g.conns = append(g.conns, c)
	g.mu.Unlock()
	var wg sync.WaitGroup
	wg.Go(c.write)
	c.read()
	close(c.done)
	wg.Wait()
	_ = ws.CloseNow()
}

func (c *fakeConn) write() {
	for {
		select {
		case frames := <-c.out:
			msg := []byte{'['}
			for i, f := range frames {
				if i > 0 {
					msg = append(msg, ',')
				}
				msg = append(msg, f...)
			}
			if err := c.ws.Write(context.Background(), websocket.MessageText, append(msg, ']')); err != nil {
				return
			}
		case <-c.done:
			return
		}
	}
}

func (c *fakeConn) read() {
	for {
		_, msg, err := c.ws.Read(context.Background())
		if err != nil {
			return
		}
		var f wire.ClientFrame
		wire.Decode(msg, &f, func(f *wire.ClientFrame) bool {
			if c.g.onFrame == nil || !c.g.onFrame(c, f) {
				c.handle(f)
			}
			return true
		}, func(_ *wire.ClientFrame, e *wire.Error) { c.g.t.Errorf("client sent %s: %v", msg, e) })
	}
}

// send queues one message.
func (c *fakeConn) send(frames ...[]byte) {
	c.g.mu.Lock()
	defer c.g.mu.Unlock()
	c.sendLocked(frames...)
}

func (c *fakeConn) sendLocked(frames ...[]byte) {
	if c.silent || len(frames) == 0 {
		return
	}
	select {
	case c.out <- frames:
	default:
		c.g.t.Error("fake: too many messages queued")
	}
}

// cut ends the connection without a word.
func (c *fakeConn) cut() { _ = c.ws.CloseNow() }

func (c *fakeConn) fail(id []byte, channel string, code wire.Code) {
	c.send(wire.AppendError(nil, id, &wire.Error{Code: code, Message: "scripted", Channel: channel}))
}

// handle does what a gateway does.
func (c *fakeConn) handle(f *wire.ClientFrame) {
	g := c.g
	switch f.Type {
	case wire.TypeConnect:
		g.mu.Lock()
		c.token, c.session = strings.Clone(f.Token), strings.Clone(f.Session)
		var expires int64
		if g.expires != nil {
			expires = g.expires()
		}
		c.sendLocked(wire.AppendConnected(nil, f.ID, wire.Connected{
			Session: c.session, User: "u", Gateway: "fake", PingMS: g.pingMS, Expires: expires,
		}))
		g.mu.Unlock()
	case wire.TypeSubscribe:
		for _, r := range f.Channels {
			c.subscribe(f.ID, r)
		}
	case wire.TypeUnsubscribe:
		for _, r := range f.Channels {
			g.mu.Lock()
			delete(c.subs, r.Channel)
			c.sendLocked(wire.AppendUnsubscribed(nil, f.ID, r.Channel))
			g.mu.Unlock()
		}
	case wire.TypePublish:
		receipt := g.publish(f.Channel, string(f.Event))
		c.send(wire.AppendPublished(nil, f.ID, receipt))
	case wire.TypeSignal:
		g.mu.Lock()
		for _, o := range g.conns {
			if o.subs[f.Channel] {
				o.sendLocked(wire.AppendSignal(nil, f.Channel, f.Event))
			}
		}
		g.mu.Unlock()
	case wire.TypeRefresh:
		g.mu.Lock()
		c.token = strings.Clone(f.Token)
		var expires int64
		if g.expires != nil {
			expires = g.expires()
		}
		c.sendLocked(wire.AppendRefreshed(nil, f.ID, expires))
		g.mu.Unlock()
	case wire.TypePing:
		c.send(wire.PongFrame)
	}
}

// subscribe answers and replays in one step, so that nothing comes between.
func (c *fakeConn) subscribe(id []byte, r wire.ChannelRequest) {
	g := c.g
	g.mu.Lock()
	defer g.mu.Unlock()
	name := strings.Clone(r.Channel)
	l := g.logLocked(name)
	page := l.page()
	head := page.Cursor
	from, frames := head, [][]byte{}
	switch {
	case r.Cursor != "":
		asked, err := broker.ParseCursor(r.Cursor)
		require.NoError(g.t, err)
		if v := page.Check(asked); v == broker.Valid {
			from = asked
			frames = append(frames, wire.AppendSubscribed(nil, id, name, asked, head, true))
			break
		} else {
			from = page.Oldest()
			if v == broker.Forked {
				from = l.shared(asked)
			}
			frames = append(frames,
				wire.AppendSubscribed(nil, id, name, from, head, false),
				wire.AppendReset(nil, name, v.String(), from, head))
		}
	case r.Since != "":
		since, err := time.Parse(time.RFC3339Nano, r.Since)
		require.NoError(g.t, err)
		from = page.Oldest()
		for _, e := range page.Entries {
			if e.Cursor.Time().Before(since) {
				from = e.Cursor
			}
		}
		frames = append(frames, wire.AppendSubscribed(nil, id, name, from, head, true))
	default:
		frames = append(frames, wire.AppendSubscribed(nil, id, name, head, head, false))
	}
	c.subs[name] = true
	var replay [][]byte
	for _, e := range page.Entries {
		if e.Cursor.Offset > from.Offset && !e.Genesis() {
			replay = append(replay, eventFrame(name, e))
		}
	}
	c.sendLocked(append(frames, c.mangled(replay)...)...)
}

func (c *fakeConn) mangled(frames [][]byte) [][]byte {
	if c.g.mangle == nil {
		return frames
	}
	return c.g.mangle(c, frames)
}

func eventFrame(channel string, e broker.Entry) []byte {
	return wire.AppendEventClose(wire.AppendEventOpen(nil, channel, e.Cursor, e.Event), 0)
}

func (g *fakeGateway) logLocked(channel string) *fakeLog {
	l := g.logs[channel]
	if l == nil {
		l = &fakeLog{ids: map[string]broker.Cursor{}, clock: 1_700_000_000_000_000}
		l.append(nil)
		g.logs[channel] = l
	}
	return l
}

func (l *fakeLog) append(event []byte) broker.Entry {
	l.clock++
	e := broker.Entry{Cursor: broker.Cursor{Offset: 1, Stamp: l.clock}, Event: event}
	if n := len(l.entries); n > 0 {
		e.Cursor.Offset, e.Prev = l.entries[n-1].Cursor.Offset+1, l.entries[n-1].Cursor.Stamp
	}
	l.entries = append(l.entries, e)
	return e
}

// page returns everything retained.
func (l *fakeLog) page() broker.Page {
	p := broker.Page{Head: broker.Head{Cursor: l.entries[len(l.entries)-1].Cursor, Exists: true}}
	p.Entries = l.entries[l.trimmed:]
	if len(p.Entries) > 0 {
		p.First, p.FirstPrev = p.Entries[0].Cursor, p.Entries[0].Prev
	}
	return p
}

// shared returns the last entry of the log that is older than a cursor of another lineage.
func (l *fakeLog) shared(c broker.Cursor) broker.Cursor {
	var last broker.Cursor
	for _, e := range l.entries {
		if e.Cursor.Offset < c.Offset && e.Cursor.Stamp < c.Stamp {
			last = e.Cursor
		}
	}
	return last
}

// publish appends an event and delivers it to the subscribers.
func (g *fakeGateway) publish(channel, event string) broker.Receipt {
	g.mu.Lock()
	defer g.mu.Unlock()
	l := g.logLocked(channel)
	id := gjson.Get(event, "id").String()
	if c, ok := l.ids[id]; ok && id != "" {
		return broker.Receipt{Cursor: c, Ack: "stored", Duplicate: true}
	}
	e := l.append([]byte(event))
	l.ids[id] = e.Cursor
	for _, c := range g.conns {
		if c.subs[channel] {
			c.sendLocked(c.mangled([][]byte{eventFrame(channel, e)})...)
		}
	}
	return broker.Receipt{Cursor: e.Cursor, Ack: "stored"}
}

// conn returns the n-th connection, waiting for it.
func (g *fakeGateway) conn(n int) *fakeConn {
	g.t.Helper()
	var c *fakeConn
	eventually(g.t, "a connection", func() bool {
		g.mu.Lock()
		defer g.mu.Unlock()
		if n >= len(g.conns) {
			return false
		}
		c = g.conns[n]
		return true
	})
	return c
}

// newest returns the latest connection.
func (g *fakeGateway) newest() *fakeConn {
	g.mu.Lock()
	defer g.mu.Unlock()
	if len(g.conns) == 0 {
		return nil
	}
	return g.conns[len(g.conns)-1]
}

// eventually polls a condition that other goroutines bring about.
func eventually(t testing.TB, what string, ok func() bool) {
	t.Helper()
	require.Eventually(t, ok, 10*time.Second, time.Millisecond, "waiting for %s", what)
}
