package test

import (
	"testing"
	"time"

	"github.com/redis/go-redis/v9"
	"github.com/stretchr/testify/require"

	"github.com/tallywire/tallywire/internal/redistest"
)

// TestTransportsAlternate: clients change between WebSocket, poll and event stream every second or so, in
// the middle of their streams, over three gateways behind HAProxy without affinity, while 200 events a
// second are published and a gateway is killed. Nothing is lost, doubled or out of order.
func TestTransportsAlternate(t *testing.T) {
	server := redistest.Start(t)
	var gateways []*process
	for _, id := range []string{"gw-1", "gw-2", "gw-3"} {
		gateways = append(gateways, startGateway(t, id, "--redis", server.URL()).awaitReady())
	}
	front := startHAProxy(t, gateways...)
	j := newJournal()
	channels := []string{"jobs:1", "jobs:2", "matches:7"}
	clients := startRoamers(t, j, front, 16, 1500*time.Millisecond, channels...)
	w := newWorker(t, j, &redis.UniversalOptions{Addrs: []string{server.Addr()}})
	const total = 3600
	last := map[string]string{}
	tick := time.NewTicker(5 * time.Millisecond) // 200 events a second
	defer tick.Stop()
	for n := range total {
		<-tick.C
		channel := channels[n%len(channels)]
		last[channel] = w.publish(channel)
		if n == total/3 {
			gateways[1].kill()
		}
	}
	require.Eventually(t, func() bool {
		j.mu.Lock()
		defer j.mu.Unlock()
		for _, h := range j.clients {
			if n := len(h.steps); n == 0 || h.steps[n-1].value != last[h.channel] {
				return false
			}
		}
		return true
	}, patience, poll, "not every client has come to the end")
	require.Empty(t, j.check(false))
	for _, c := range clients {
		require.Zero(t, c.broken.Load(), "offsets have holes")
		for i, name := range transports {
			require.Positive(t, c.rounds[i].Load(), "%s was not used by %s", name, c.name)
			require.Positive(t, c.events[i].Load(), "nothing came by %s to %s", name, c.name)
		}
		for _, channel := range channels {
			require.Empty(t, j.resets(c.histories[channel]), "a reset without a cause")
			require.Equal(t, total/len(channels), j.count(c.histories[channel]))
		}
	}
}
