package floor_test

import (
	"context"
	"encoding/json"
	"fmt"
	"net"
	"testing"
	"time"

	"github.com/coder/websocket"
	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"github.com/tallywire/tallywire/bench/floor"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

const patience = 10 * time.Second

// serve runs the floor until the test ends, or stop is called.
func serve(t *testing.T) (url string, stop func()) {
	t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	addr, ended := make(chan net.Addr, 1), make(chan error, 1)
	go func() { ended <- floor.Serve(ctx, "127.0.0.1:0", func(a net.Addr) { addr <- a }) }()
	done := false
	stop = func() {
		if cancel(); !done {
			done = true
			require.NoError(t, <-ended)
		}
	}
	t.Cleanup(stop)
	return "ws://" + (<-addr).String() + floor.Path, stop
}

type client struct {
	t  *testing.T
	ws *websocket.Conn
}

func dial(t *testing.T, url string) *client {
	t.Helper()
	ws, _, err := websocket.Dial(t.Context(), url, nil)
	require.NoError(t, err)
	t.Cleanup(func() { _ = ws.CloseNow() })
	return &client{t: t, ws: ws}
}

func (c *client) send(format string, args ...any) {
	c.t.Helper()
	require.NoError(c.t, c.ws.Write(c.t.Context(), websocket.MessageText, fmt.Appendf(nil, format, args...)))
}

// next returns the frame that comes next, which has to be of a type.
func (c *client) next(kind string) map[string]any {
	c.t.Helper()
	ctx, cancel := context.WithTimeout(c.t.Context(), patience)
	defer cancel()
	_, msg, err := c.ws.Read(ctx)
	require.NoError(c.t, err)
	var frames []map[string]any
	require.NoError(c.t, json.Unmarshal(msg, &frames), string(msg))
	require.Len(c.t, frames, 1)
	require.Equal(c.t, kind, frames[0]["type"], string(msg))
	return frames[0]
}

func (c *client) subscribe(channel string) {
	c.t.Helper()
	c.send(`{"type":"subscribe","id":2,"channels":[{"channel":%q}]}`, channel)
	require.Equal(c.t, channel, c.next("subscribed")["channel"])
}

func TestServer_BroadcastsToAChannelsSubscribers(t *testing.T) {
	url, _ := serve(t)
	a, b, other, source := dial(t, url), dial(t, url), dial(t, url), dial(t, url)
	a.subscribe("jobs:1")
	b.subscribe("jobs:1")
	other.subscribe("jobs:2")
	source.send(`{"type":"connect","id":1}`)
	require.EqualValues(t, 1, source.next("connected")["id"])

	for n := 1; n <= 3; n++ {
		source.send(`{"type":"publish","id":%d,"channel":"jobs:1","event":{"type":"x.n","data":%d}}`, n, n)
		published := source.next("published")
		require.EqualValues(t, n, published["id"])
		for _, c := range []*client{a, b} {
			f := c.next("event")
			require.Equal(t, "jobs:1", f["channel"])
			require.Equal(t, published["cursor"], f["cursor"])
			require.Equal(t, map[string]any{"type": "x.n", "data": float64(n)}, f["event"])
		}
	}
	source.send(`{"type":"publish","id":4,"channel":"jobs:2","event":{"n":4}}`)
	require.Equal(t, map[string]any{"n": float64(4)}, other.next("event")["event"], "the first that it gets")
}

func TestServer_ForgetsThoseWhoLeave(t *testing.T) {
	url, _ := serve(t)
	gone, stays, source := dial(t, url), dial(t, url), dial(t, url)
	gone.subscribe("jobs:1")
	stays.subscribe("jobs:1")
	require.NoError(t, gone.ws.Close(websocket.StatusNormalClosure, ""))
	source.send(`{"type":"publish","id":1,"channel":"jobs:1","event":{}}`)
	stays.next("event")
	source.next("published")
}

func TestServer_RefusesWhatItDoesNotKnow(t *testing.T) {
	url, _ := serve(t)
	c := dial(t, url)
	c.send(`{"type":"presence","id":"x"}`)
	require.Equal(t, "unknown_type", c.next("error")["code"])
	c.send(`{"type":"ping"}`)
	c.next("pong")
	c.send(`nothing`)
	_, _, err := c.ws.Read(t.Context())
	require.Equal(t, websocket.StatusInvalidFramePayloadData, websocket.CloseStatus(err))
}

func TestServe_EndsItsConnections(t *testing.T) {
	url, stop := serve(t)
	c := dial(t, url)
	c.subscribe("jobs:1")
	stop()
	_, _, err := c.ws.Read(t.Context())
	require.Error(t, err)
}
