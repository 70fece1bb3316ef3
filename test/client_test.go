package test

import (
	"context"
	"encoding/json"
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"
	"github.com/stretchr/testify/require"

	"github.com/tallywire/tallywire/broker"
	"github.com/tallywire/tallywire/goclient"
)

// readers are clients that write down what they see.
type readers struct {
	t         testing.TB
	journal   *journal
	clients   []*goclient.Client
	histories []*history
	wg        sync.WaitGroup
	stop      context.CancelFunc
}

// startReaders starts n clients that read all channels through the balancer, and waits until each is
// subscribed.
func startReaders(t testing.TB, j *journal, b *balancer, n int, channels ...string) *readers {
	t.Helper()
	ctx, stop := context.WithCancel(context.Background())
	r := &readers{t: t, journal: j, stop: stop}
	t.Cleanup(r.end)
	var ready []*goclient.Subscription
	for i := range n {
		name := fmt.Sprintf("client-%d", i)
		c, err := goclient.New(goclient.Options{
			URL: "ws://localhost", Token: token(t, name), Session: name, DialContext: b.dial,
			BackoffMax: 500 * time.Millisecond,
		})
		require.NoError(t, err)
		r.clients = append(r.clients, c)
		for _, channel := range channels {
			h := j.client(name+" "+channel, channel)
			r.histories = append(r.histories, h)
			sub, err := c.Subscribe(channel, goclient.SubscribeOptions{Handler: r.handler(h)})
			require.NoError(t, err)
			ready = append(ready, sub)
		}
		r.wg.Go(func() { _ = c.Run(ctx) })
	}
	wait, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	for _, sub := range ready {
		require.NoError(t, sub.Ready(wait))
	}
	return r
}

func (r *readers) handler(h *history) goclient.Handler {
	first := true
	return goclient.Handler{
		OnSubscribed: func(_ context.Context, s goclient.Subscribed) {
			if first {
				first = false
				r.journal.mu.Lock()
				h.start = s.Cursor
				r.journal.mu.Unlock()
			}
		},
		OnEvent: func(_ context.Context, e goclient.Event) {
			var body struct {
				Data struct {
					Value string `json:"value"`
				} `json:"data"`
			}
			_ = json.Unmarshal(e.Raw, &body)
			r.journal.add(h, step{cursor: e.Cursor, skipped: e.Skipped, value: body.Data.Value})
		},
		OnReset: func(_ context.Context, x goclient.Reset) {
			r.journal.add(h, step{cursor: x.Cursor, reset: x.Reason})
		},
	}
}

func (r *readers) end() {
	r.stop()
	r.wg.Wait()
}

// await waits until every client has seen the last event of its channel.
func (r *readers) await(last map[string]string) {
	r.t.Helper()
	require.Eventually(r.t, func() bool {
		r.journal.mu.Lock()
		defer r.journal.mu.Unlock()
		for _, h := range r.histories {
			if n := len(h.steps); n == 0 || h.steps[n-1].value != last[h.channel] {
				return false
			}
		}
		return true
	}, patience, 20*time.Millisecond, "not every client has come to the end")
}

// violations is how many breaks of the guarantee the clients themselves noticed.
func (r *readers) violations() (n uint64) {
	for _, c := range r.clients {
		n += c.Violations()
	}
	return n
}

// worker publishes by plain FCALL, as a worker in any language would.
type worker struct {
	t       testing.TB
	journal *journal
	client  redis.UniversalClient
	n       int
}

func newWorker(t testing.TB, j *journal, options *redis.UniversalOptions) *worker {
	t.Helper()
	options.MaxRetries = -1
	c := redis.NewUniversalClient(options)
	t.Cleanup(func() { _ = c.Close() })
	return &worker{t: t, journal: j, client: c}
}

// publish publishes one event with an id, and repeats it until it is answered.
func (w *worker) publish(channel string) string {
	w.t.Helper()
	value := fmt.Sprintf("%s#%d", channel, w.n)
	w.n++
	w.journal.publish(channel, value, unknown, broker.Cursor{})
	event := fmt.Sprintf(`{"id":"%s","source":"worker-1","type":"x.test","data":{"value":"%s"}}`, value, value)
	var c broker.Cursor
	var last error
	defer func() {
		if w.t.Failed() {
			w.t.Logf("publish to %s: %v", channel, last)
		}
	}()
	require.Eventually(w.t, func() bool {
		ctx, cancel := context.WithTimeout(context.Background(), 2*time.Second)
		defer cancel()
		reply, err := w.client.Do(ctx, "FCALL", "tw_publish", 1, "tw:{"+channel+"}", event, "id=worker-1/"+value).Slice()
		if last = err; err != nil {
			return false
		}
		c, err = broker.ParseCursor(fmt.Sprint(reply[0]))
		return err == nil
	}, patience, 10*time.Millisecond, "publish")
	w.journal.publish(channel, value, stored, c)
	return value
}
