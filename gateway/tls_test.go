package gateway_test

import (
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/tallywire/tallywire/gateway"
)

// spoken remembers the protocol of the requests for each path.
type spoken struct{ paths sync.Map }

func (s *spoken) wrap(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		s.paths.Store(r.URL.Path, r.Proto)
		next.ServeHTTP(w, r)
	})
}

// TestDeliversOverTLS: WebSockets over HTTP/1.1, all else over HTTP/2. A stream that has been silent for longer
// than a write may take goes on.
func TestDeliversOverTLS(t *testing.T) {
	over(t, func(t *testing.T, by transport) {
		const writeTimeout = 500 * time.Millisecond
		var by2 spoken
		r := newRig(t, rigOptions{tls: true, wrap: by2.wrap, change: func(o *gateway.Options) {
			o.Limits.WriteTimeout = writeTimeout
		}})
		f := by.read(r, "alice", nil, now("jobs:1"))
		f.expect("subscribed")
		r.publish("jobs:1", event(0))
		f.collect(1)
		<-time.After(2 * writeTimeout) // in which nothing is to happen
		const total = 100
		published := make(chan error, 1)
		go func() {
			var err error
			for n := 0; n < total && err == nil; n++ {
				err = tryPublish(t.Context(), r.broker, "jobs:1", large(n))
			}
			published <- err
		}()
		f.collect(total)
		require.NoError(t, <-published)
		require.Zero(t, r.gateway.Counters().SlowConsumers.Load())
		want := map[string]string{"websocket": "HTTP/1.1", "sse": "HTTP/2.0", "poll": "HTTP/2.0"}[by.name]
		path := map[string]string{"websocket": "/v1/ws", "sse": "/v1/sse", "poll": "/v1/poll"}[by.name]
		protocol, _ := by2.paths.Load(path)
		require.Equal(t, want, protocol)
		if by.name == "websocket" {
			require.Zero(t, r.gateway.Counters().Blocked.Load(), "no socket was full: that they are not plain ones does not count")
		}
	})
}

// TestCommandsOverTLS publishes, sends commands and reads over HTTP/2.
func TestCommandsOverTLS(t *testing.T) {
	var by spoken
	r := newRig(t, rigOptions{tls: true, wrap: by.wrap})
	token := r.token("alice", nil)
	f := transports[1].read(r, "bob", nil, now("jobs:1"))
	f.expect("subscribed")
	require.Equal(t, http.StatusOK, r.post(token, `{"channel":"jobs:1","event":{"type":"x"}}`).status)
	a := r.request(http.MethodPost, "/v1/commands", token, nil,
		strings.NewReader(`{"frames":[{"type":"publish","id":1,"channel":"jobs:1","event":{"type":"x"}}]}`))
	require.Equal(t, http.StatusOK, a.status, a.body)
	f.collect(2)
	a = r.get("/v1/channels/jobs:1/events", token, nil)
	require.Equal(t, http.StatusOK, a.status, a.body)
	a = r.get("/v1/ws", token, nil)
	require.Equal(t, http.StatusUpgradeRequired, a.status, "a WebSocket needs a connection of HTTP/1.1")
	for _, path := range []string{"/v1/publish", "/v1/commands", "/v1/channels/jobs:1/events"} {
		protocol, _ := by.paths.Load(path)
		require.Equal(t, "HTTP/2.0", protocol, path)
	}
}

// TestBodyOverTLSThatTrickles: over HTTP/2 too a body has its time.
func TestBodyOverTLSThatTrickles(t *testing.T) {
	r := newRig(t, rigOptions{tls: true, change: func(o *gateway.Options) { o.Limits.BodyTimeout = 200 * time.Millisecond }})
	body := &trickle{ended: make(chan struct{})}
	a := r.request(http.MethodPost, "/v1/publish", r.token("alice", nil), nil, body)
	require.NoError(t, body.Close())
	require.Equal(t, http.StatusRequestTimeout, a.status, a.body)
}

// trickle is a body of which nothing comes.
type trickle struct {
	ended chan struct{}
	once  sync.Once
}

func (b *trickle) Read([]byte) (int, error) {
	<-b.ended
	return 0, http.ErrBodyReadAfterClose
}

func (b *trickle) Close() error {
	b.once.Do(func() { close(b.ended) })
	return nil
}

// TestTLSClientThatDoesNotRead: nobody waits for a peer over TLS either.
func TestTLSClientThatDoesNotRead(t *testing.T) {
	r := newRig(t, rigOptions{tls: true, change: func(o *gateway.Options) {
		o.Limits.WriteTimeout = time.Second
		o.RelayMaxEvents, o.Flushers = 64, 1
	}})
	live := transports[0].read(r, "bob", nil, now("jobs:1"))
	live.expect("subscribed")
	const peers, batch = 5, 50
	for range peers {
		c := r.connectRaw(4096, "alice")
		c.send(`{"type":"subscribe","channel":"jobs:1"}`)
		require.Equal(t, "subscribed", c.next().Type)
	}
	slowest, end := time.Duration(0), time.Now().Add(patience)
	for r.gateway.Connections() > 1 {
		require.True(t, time.Now().Before(end), "they are not closed")
		sent := time.Now()
		for n := range batch {
			r.publish("jobs:1", large(n))
		}
		live.collect(batch)
		slowest = max(slowest, time.Since(sent))
	}
	require.EqualValues(t, peers, r.gateway.Counters().SlowConsumers.Load())
	require.Less(t, slowest, 3*time.Second, "others wait for nobody")
}
