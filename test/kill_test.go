package test

import (
	"testing"

	"github.com/redis/go-redis/v9"
	"github.com/stretchr/testify/require"

	"github.com/tallywire/tallywire/internal/redistest"
)

// TestGatewayKilled: two gateways over one Redis, a worker that publishes by FCALL, clients on both. One
// gateway is killed; its clients go on at the other. Nothing is lost, doubled or out of order.
func TestGatewayKilled(t *testing.T) {
	server := redistest.Start(t)
	a := startGateway(t, "gw-a", "--redis", server.URL()).awaitReady()
	b := startGateway(t, "gw-b", "--redis", server.URL()).awaitReady()
	j := newJournal()
	channels := []string{"jobs:1", "jobs:2", "matches:7"}
	clients := startReaders(t, j, &balancer{addrs: []string{a.addr, b.addr}}, 40, channels...)
	w := newWorker(t, j, &redis.UniversalOptions{Addrs: []string{server.Addr()}})
	last := map[string]string{}
	for n := range 3000 {
		channel := channels[n%len(channels)]
		last[channel] = w.publish(channel)
		if n == 1000 {
			a.kill()
		}
	}
	clients.await(last)
	require.Empty(t, j.check(false))
	require.Zero(t, clients.violations())
	for _, h := range clients.histories {
		require.Empty(t, j.resets(h), "a reset without a cause")
		require.Equal(t, 1000, j.count(h))
	}
}

// TestRollingRestart: both gateways are replaced one after the other by SIGTERM while events flow.
func TestRollingRestart(t *testing.T) {
	server := redistest.Start(t)
	a := startGateway(t, "gw-a", "--redis", server.URL()).awaitReady()
	b := startGateway(t, "gw-b", "--redis", server.URL()).awaitReady()
	j := newJournal()
	front := &balancer{addrs: []string{a.addr, b.addr}}
	clients := startReaders(t, j, front, 30, "jobs:1")
	w := newWorker(t, j, &redis.UniversalOptions{Addrs: []string{server.Addr()}})
	last := map[string]string{}
	for round, old := range []*process{a, b} {
		done := make(chan struct{})
		go func() {
			defer close(done)
			old.stop()
		}()
		for stopped := false; !stopped; {
			last["jobs:1"] = w.publish("jobs:1")
			select {
			case <-done:
				stopped = true
			default:
			}
		}
		fresh := startGateway(t, "gw-new-"+itoa(round), "--redis", server.URL()).awaitReady()
		front.mu.Lock()
		front.addrs[round] = fresh.addr
		front.mu.Unlock()
	}
	for range 100 {
		last["jobs:1"] = w.publish("jobs:1")
	}
	clients.await(last)
	require.Empty(t, j.check(false))
	require.Zero(t, clients.violations())
	for _, h := range clients.histories {
		require.Empty(t, j.resets(h))
	}
}
