package test

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"
	"github.com/stretchr/testify/require"

	"github.com/tallywire/tallywire/goclient"
	"github.com/tallywire/tallywire/internal/haproxytest"
	"github.com/tallywire/tallywire/internal/redistest"
	"github.com/tallywire/tallywire/presence"
)

// The rolling restart: how many clients, how fast events come, and how a gateway is drained.
const (
	rollingClients  = 2000
	rollingChannels = 200
	rollingRate     = 500 // events a second
	rollingWait     = 2 * time.Second
	rollingWindow   = 6 * time.Second
	rollingOverlap  = 3 * time.Second // in which a client that moves has two connections
	rollingGrace    = rollingWait + rollingWindow + rollingOverlap + 2*time.Second
)

// TestRollingRestartBehindHAProxy: three gateways behind HAProxy are replaced one after another by SIGTERM,
// under 2,000 connections and 500 events a second. Nothing is lost, doubled or out of order, nobody joins or
// leaves, clients come back no faster than the drain's pace, and each gateway is out in time.
func TestRollingRestartBehindHAProxy(t *testing.T) {
	server := redistest.Start(t)
	flags := []string{"--redis", server.URL(), "--drain-wait", rollingWait.String(), "--drain-window", rollingWindow.String()}
	var gateways []*process
	for i := range 3 {
		gateways = append(gateways, startGateway(t, "gw-"+itoa(i+1), flags...).awaitReady())
	}
	front := startHAProxy(t, gateways...)
	clients := startHerd(t, front)
	room := membersOf(t, front, "room:1")
	require.Len(t, room, rollingClients/50)

	ctx, cancel := context.WithCancel(t.Context())
	var publishing sync.WaitGroup
	w := newWorker(t, newJournal(), &redis.UniversalOptions{Addrs: []string{server.Addr()}})
	published := 0
	publishing.Go(func() {
		tick := time.NewTicker(time.Second / rollingRate)
		defer tick.Stop()
		for ; ctx.Err() == nil; published++ {
			w.publish("jobs:" + itoa(published%rollingChannels))
			<-tick.C
		}
	})
	for i, old := range gateways {
		clients.comebacks()
		began := time.Now()
		old.stop()
		took := time.Since(began)
		due, times := clients.comebacks()
		paced := float64(len(due)) / rollingWindow.Seconds()
		t.Logf("gw-%d: out after %s; %d clients moved, paced %.0f a second, busiest second %d as told and %d as seen",
			i+1, took.Round(time.Millisecond), len(due), paced, busiestSecond(due), busiestSecond(times))
		// One that had no time to move before the gateway closed its connection comes twice.
		require.LessOrEqual(t, len(times), len(due)+len(due)/20, "%d were to come", len(due))
		require.LessOrEqual(t, took, rollingGrace, "the gateway is not out in time")
		require.LessOrEqual(t, float64(busiestSecond(due)), 1.1*paced+2, "clients are told to come back faster than the pace")
		require.LessOrEqual(t, float64(busiestSecond(times)), seenPace*paced+2, "clients come back faster than the pace")
		gateways[i] = startGatewayAt(t, old.addr, "gw-"+itoa(i+1), flags...).awaitReady()
		haproxytest.AwaitGateway(t, front, "gw-"+itoa(i+1)) // the balancer has to use it before the next one goes
	}
	cancel()
	publishing.Wait()
	t.Logf("%d events published, %d deliveries", published, clients.delivered.Load())
	clients.awaitEvents(published)
	require.Equal(t, room, membersOf(t, front, "room:1"), "somebody left or joined")
}

// busiestSecond returns how many of the times lie within one second at most.
func busiestSecond(times []time.Time) (most int) {
	slices.SortFunc(times, time.Time.Compare)
	first := 0
	for last := range times {
		for times[last].Sub(times[first]) >= time.Second {
			first++
		}
		most = max(most, last-first+1)
	}
	return most
}

// herd is many clients that count what they see.
type herd struct {
	t         testing.TB
	front     string
	clients   []*goclient.Client
	seen      []atomic.Int64 // by client
	delivered atomic.Int64
	resets    atomic.Int64

	mu    sync.Mutex
	due   []time.Time // at which one was told to connect again
	times []time.Time // at which one has
}

// startHerd connects the clients, each to one of the channels; every fiftieth is present in a room too.
func startHerd(t testing.TB, front string) *herd {
	t.Helper()
	h := &herd{t: t, front: front, seen: make([]atomic.Int64, rollingClients)}
	ctx, stop := context.WithCancel(context.Background())
	var wg sync.WaitGroup
	t.Cleanup(func() {
		stop()
		wg.Wait()
	})
	wait, cancel := context.WithTimeout(ctx, 2*patience)
	defer cancel()
	var ready []*goclient.Subscription
	for i := range rollingClients {
		name := fmt.Sprintf("client-%04d", i)
		client, err := goclient.New(goclient.Options{
			URL: "ws://" + front, Token: token(t, name), Session: name, BackoffMax: time.Second,
			OnStatus: func(s goclient.Status) {
				h.mu.Lock()
				defer h.mu.Unlock()
				switch s.State {
				case goclient.StateConnected:
					h.times = append(h.times, time.Now())
				case goclient.StateMoving:
					h.due = append(h.due, time.Now().Add(s.RetryIn))
				case goclient.StateConnecting, goclient.StateDisconnected:
				}
			},
		})
		require.NoError(t, err)
		h.clients = append(h.clients, client)
		sub, err := client.Subscribe("jobs:"+itoa(i%rollingChannels), goclient.SubscribeOptions{Handler: goclient.Handler{
			OnEvent: func(context.Context, goclient.Event) {
				h.seen[i].Add(1)
				h.delivered.Add(1)
			},
			OnReset: func(context.Context, goclient.Reset) { h.resets.Add(1) },
		}})
		require.NoError(t, err)
		ready = append(ready, sub)
		wg.Go(func() { _ = client.Run(ctx) })
		if i%50 == 0 {
			require.NoError(t, client.Presence(wait, "room:1", nil))
		}
	}
	for _, sub := range ready {
		require.NoError(t, sub.Ready(wait))
	}
	return h
}

// comebacks waits until everybody is back, and returns when clients were to connect again since the last call, and
// when they have.
func (h *herd) comebacks() (due, times []time.Time) {
	h.t.Helper()
	require.Eventually(h.t, func() bool {
		h.mu.Lock()
		defer h.mu.Unlock()
		return len(h.times) >= len(h.due)
	}, patience, poll, "somebody has not come back")
	h.mu.Lock()
	defer h.mu.Unlock()
	due, times = h.due, h.times
	h.due, h.times = nil, nil
	return due, times
}

// awaitEvents waits until every client has every event of its channel, and judges what they have seen.
func (h *herd) awaitEvents(published int) {
	h.t.Helper()
	want := func(channel int) int64 {
		n := published / rollingChannels
		if channel < published%rollingChannels {
			n++
		}
		return int64(n)
	}
	require.Eventually(h.t, func() bool {
		for i := range h.seen {
			if h.seen[i].Load() < want(i%rollingChannels) {
				return false
			}
		}
		return true
	}, patience, poll, "not every client has everything")
	for i, c := range h.clients {
		require.Equal(h.t, want(i%rollingChannels), h.seen[i].Load(), "client %d", i)
		require.Zero(h.t, c.Violations())
	}
	require.Zero(h.t, h.resets.Load())
}

// membersOf returns the members of a channel, by user.
func membersOf(t testing.TB, front, channel string) map[string]presence.Member {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+front+"/v1/channels/"+channel+"/members?limit=1000", nil)
	require.NoError(t, err)
	req.Header.Set("Authorization", "Bearer "+token(t, "observer"))
	resp, err := http.DefaultClient.Do(req)
	require.NoError(t, err)
	defer resp.Body.Close()
	text, err := io.ReadAll(resp.Body)
	require.NoError(t, err)
	require.Equal(t, http.StatusOK, resp.StatusCode, "%s", text)
	var page struct {
		Members []presence.Member `json:"members"`
	}
	require.NoError(t, json.Unmarshal(text, &page))
	out := map[string]presence.Member{}
	for _, m := range page.Members {
		out[m.User] = m
	}
	return out
}
