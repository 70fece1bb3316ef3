package browser

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/tallywire/tallywire/gateway/auth"
	"github.com/tallywire/tallywire/goclient"
	"github.com/tallywire/tallywire/internal/redistest"
)

// cluster is what the console looks at: gateways, clients, and a worker that publishes.
type cluster struct {
	t        *testing.T
	redis    *redistest.Server
	gateways []*gateway

	mu      sync.Mutex
	clients map[string]*client // by user
	work    sync.WaitGroup
}

// client is a connected session that reads what comes.
type client struct {
	conn    *goclient.Conn
	changed chan struct{} // rings when cursors has grown

	mu      sync.Mutex
	cursors map[string]bool // of the events that have come
}

func newCluster(t *testing.T) *cluster {
	t.Helper()
	c := &cluster{t: t, redis: redistest.Start(t), clients: map[string]*client{}}
	for n := range 3 {
		c.gateways = append(c.gateways, newGateway(t, fmt.Sprintf("gw-%d", n+1), c.redis.URL(),
			"--auth-secret", secret, "--drain-wait", "0s", "--drain-window", "500ms"))
	}
	t.Cleanup(func() {
		for _, one := range c.clients {
			one.conn.CloseNow()
		}
		c.work.Wait()
		http.DefaultClient.CloseIdleConnections()
	})
	return c
}

func mint(t *testing.T, user, audience string, ttl time.Duration, issued time.Time, p auth.Permissions) string {
	t.Helper()
	token, err := auth.Mint([]byte(secret), auth.Claims{User: user, Audience: audience, IssuedAt: issued, Permissions: p}, ttl)
	require.NoError(t, err)
	return token
}

// join connects a user, who subscribes to channels and is present in the first.
func (c *cluster) join(user string, gateway int, channels ...string) error {
	all := []string{"*"}
	token := mint(c.t, user, "", time.Hour, time.Now(), auth.Permissions{Subscribe: all, Publish: all, Presence: all})
	ctx, cancel := context.WithTimeout(c.t.Context(), patience)
	defer cancel()
	conn, err := goclient.DialWith(ctx, goclient.DialOptions{
		URL: c.gateways[gateway].public, Token: token, Session: "s-" + user,
		Header: http.Header{"User-Agent": {"Mozilla/5.0 (X11; Linux x86_64) Example/1.0"}},
	})
	if err != nil {
		return err
	}
	one := &client{conn: conn, changed: make(chan struct{}, 1), cursors: map[string]bool{}}
	c.mu.Lock()
	c.clients[user] = one
	c.mu.Unlock()
	subscribed := make(chan struct{}, len(channels))
	c.work.Go(func() { one.read(subscribed) })
	for _, name := range channels {
		if err := conn.SendRaw(ctx, fmt.Appendf(nil, `{"type":"subscribe","id":2,"channel":%q}`, name)); err != nil {
			return err
		}
		select {
		case <-subscribed:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
	return conn.SendRaw(ctx, fmt.Appendf(nil, `{"type":"presence","id":3,"channel":%q,"status":{"viewing":"match:42","field":"amount"}}`, channels[0]))
}

// read reads until the connection ends.
func (c *client) read(subscribed chan<- struct{}) {
	for {
		frames, err := c.conn.Receive(context.Background())
		if err != nil {
			return
		}
		for _, f := range frames {
			switch f.Type {
			case "subscribed":
				subscribed <- struct{}{}
			case "ping":
				_ = c.conn.SendRaw(context.Background(), []byte(`{"type":"pong"}`))
			case "event":
				c.mu.Lock()
				c.cursors[f.Cursor.String()] = true
				c.mu.Unlock()
				select {
				case c.changed <- struct{}{}:
				default:
				}
			}
		}
	}
}

// leave says goodbye, so that nothing is waited for.
func (c *cluster) leave(user string) error {
	c.mu.Lock()
	one := c.clients[user]
	delete(c.clients, user)
	c.mu.Unlock()
	ctx, cancel := context.WithTimeout(c.t.Context(), patience)
	defer cancel()
	err := one.conn.SendRaw(ctx, []byte(`{"type":"presence","channel":"jobs:42","leave":true}`))
	_ = one.conn.Close(1000, "")
	return err
}

// delivered publishes an event and waits until a user has it.
func (c *cluster) delivered(user, channel string) (string, error) {
	cursor := c.publish(channel, `{"type":"job.noted","subject":"job/42","source":"worker-3","id":"n1","data":{"text":"for alice"}}`)
	one := c.clients[user]
	timeout := time.After(patience)
	for {
		one.mu.Lock()
		got := one.cursors[cursor]
		one.mu.Unlock()
		if got {
			return cursor, nil
		}
		select {
		case <-one.changed:
		case <-timeout:
			return "", fmt.Errorf("%s did not get %s", user, cursor)
		}
	}
}

// publish publishes as a worker does, straight to Redis and unchecked.
func (c *cluster) publish(channel, event string) string {
	c.t.Helper()
	reply := c.redis.Do("FCALL", "tw_publish", 1, "tw:{"+channel+"}", event).([]any)
	return reply[0].(string)
}

// traffic publishes some events every few milliseconds until the test ends.
func (c *cluster) traffic(ctx context.Context) {
	c.work.Go(func() {
		tick := time.NewTicker(20 * time.Millisecond)
		defer tick.Stop()
		for n := 0; ; n++ {
			select {
			case <-tick.C:
				event := fmt.Sprintf(`{"type":"x.tick","source":"worker-1","data":{"n":%d}}`, n)
				for range 1 + (n/50)%4 { // more, and less
					if err := c.redis.Admin().Do(ctx, "FCALL", "tw_publish", 1, "tw:{metrics:latency}", event).Err(); err != nil {
						return
					}
				}
			case <-ctx.Done():
				return
			}
		}
	})
}

// act calls the admin API of a gateway.
func (c *cluster) act(gateway int, token, path string, body any) error {
	raw, err := json.Marshal(body)
	if err != nil {
		return err
	}
	q, err := http.NewRequestWithContext(c.t.Context(), http.MethodPost, c.gateways[gateway].admin+path, strings.NewReader(string(raw)))
	if err != nil {
		return err
	}
	q.Header.Set("Authorization", "Bearer "+token)
	q.Header.Set("Content-Type", "application/json")
	a, err := http.DefaultClient.Do(q)
	if err != nil {
		return err
	}
	defer a.Body.Close()
	if a.StatusCode != http.StatusOK {
		return fmt.Errorf("%s: %s", path, a.Status)
	}
	return nil
}
