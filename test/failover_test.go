package test

import (
	"net/http"
	"strings"
	"testing"

	"github.com/redis/go-redis/v9"
	"github.com/stretchr/testify/require"

	"github.com/tallywire/tallywire/broker"
	"github.com/tallywire/tallywire/internal/redistest"
)

// TestFailoverThatLosesATail: replication is cut, events are published and delivered, the primary is
// killed and the replica promoted. Whoever received what the replica never had is told `forked`; whoever
// had not come so far notices nothing; and no offset stands for two events without a reset between.
func TestFailoverThatLosesATail(t *testing.T) {
	set := redistest.StartSentinel(t, 3)
	replica := set.Replicas[0]
	a := startGateway(t, "gw-a", "--redis", set.URL()).awaitReady()
	b := startGateway(t, "gw-b", "--redis", set.URL()).awaitReady()
	j := newJournal()
	clients := startReaders(t, j, &balancer{addrs: []string{a.addr, b.addr}}, 20, "jobs:1", "quiet:1")
	sentinels := make([]string, len(set.Sentinels))
	for i, s := range set.Sentinels {
		sentinels[i] = s.Addr()
	}
	w := newWorker(t, j, &redis.UniversalOptions{Addrs: sentinels, MasterName: redistest.MasterName})
	last := map[string]string{"quiet:1": w.publish("quiet:1")}
	for range 50 {
		last["jobs:1"] = w.publish("jobs:1")
	}
	clients.await(last)
	primary := redis.NewClient(&redis.Options{Addr: set.Primary.Addr()})
	defer primary.Close()
	require.EqualValues(t, 1, primary.Wait(t.Context(), 1, patience).Val())

	replica.Pause()
	set.Primary.Do("CLIENT", "KILL", "TYPE", "replica")
	for range 7 {
		last["jobs:1"] = w.publish("jobs:1")
	}
	clients.await(last)
	set.Primary.Kill()
	replica.Continue()
	set.AwaitPromotion(replica)

	for range 30 {
		last["jobs:1"] = w.publish("jobs:1")
	}
	clients.await(last)
	require.Empty(t, j.check(true))
	for _, h := range clients.histories {
		if h.channel == "quiet:1" {
			require.Empty(t, j.resets(h), "%s lost nothing", h.name)
			continue
		}
		require.Equal(t, []string{"forked"}, j.resets(h), h.name)
		checkReset(t, j, h)
	}
}

// checkReset requires that the reset sent the client to the last entry that survived: 50 events behind
// the genesis entry.
func checkReset(t *testing.T, j *journal, h *history) {
	t.Helper()
	j.mu.Lock()
	defer j.mu.Unlock()
	perLineage := map[broker.Cursor]string{}
	offsets := map[uint64]bool{}
	for _, s := range h.steps {
		if s.reset != "" {
			require.EqualValues(t, 51, s.cursor.Offset, h.name)
			offsets = map[uint64]bool{}
			continue
		}
		require.False(t, offsets[s.cursor.Offset], "%s: offset %d twice without a reset", h.name, s.cursor.Offset)
		offsets[s.cursor.Offset] = true
		require.Empty(t, perLineage[s.cursor], "%s: %s twice", h.name, s.cursor)
		perLineage[s.cursor] = s.value
	}
	require.Len(t, perLineage, 50+7+30, h.name)
}

// TestFrozenPrimary: the primary is frozen, its sockets stay open. The gateways notice by their probes,
// follow the sentinels, and deliver again; the thawed primary's leftovers reach nobody twice.
func TestFrozenPrimary(t *testing.T) {
	set := redistest.StartSentinel(t, 3)
	a := startGateway(t, "gw-a", "--redis", set.URL()).awaitReady()
	j := newJournal()
	clients := startReaders(t, j, &balancer{addrs: []string{a.addr}}, 5, "jobs:1")
	sentinels := make([]string, len(set.Sentinels))
	for i, s := range set.Sentinels {
		sentinels[i] = s.Addr()
	}
	w := newWorker(t, j, &redis.UniversalOptions{Addrs: sentinels, MasterName: redistest.MasterName})
	last := map[string]string{}
	for range 20 {
		last["jobs:1"] = w.publish("jobs:1")
	}
	clients.await(last)
	before := a.troubles()
	set.Primary.Pause()
	require.Eventually(t, func() bool { return a.troubles() > before }, patience, poll, "the gateway must notice")
	set.AwaitPromotion(set.Replicas[0])
	for range 20 {
		last["jobs:1"] = w.publish("jobs:1")
	}
	clients.await(last)
	a.awaitReady()
	set.Primary.Continue()
	for range 20 {
		last["jobs:1"] = w.publish("jobs:1")
	}
	clients.await(last)
	require.Empty(t, j.check(true))
}

// TestRedisAwayAtStart: the gateway starts, says why it is not ready, and is once Redis is there.
func TestRedisAwayAtStart(t *testing.T) {
	server := redistest.Start(t)
	server.Stop()
	a := startGateway(t, "gw-a", "--redis", server.URL())
	require.Eventually(t, func() bool {
		status, body := a.ready()
		return status == http.StatusServiceUnavailable && strings.Contains(body, "refused")
	}, patience, poll, "not ready, and says why")
	server.Restart()
	a.awaitReady()
}

// TestRedisAwayLater: Redis is killed under load and comes back with its log. Connections stay, and
// everything is caught up.
func TestRedisAwayLater(t *testing.T) {
	server := redistest.Start(t, redistest.WithAOF())
	a := startGateway(t, "gw-a", "--redis", server.URL()).awaitReady()
	j := newJournal()
	clients := startReaders(t, j, &balancer{addrs: []string{a.addr}}, 20, "jobs:1", "jobs:2")
	w := newWorker(t, j, &redis.UniversalOptions{Addrs: []string{server.Addr()}})
	last := map[string]string{}
	publish := func() {
		for range 50 {
			last["jobs:1"], last["jobs:2"] = w.publish("jobs:1"), w.publish("jobs:2")
		}
	}
	publish()
	for range 3 {
		before := a.troubles()
		server.Kill()
		require.Eventually(t, func() bool { return a.troubles() > before }, patience, poll, "the gateway must notice")
		server.Restart()
		publish()
		a.awaitReady()
	}
	clients.await(last)
	require.Empty(t, j.check(false))
	require.Zero(t, clients.violations())
	for _, c := range clients.clients {
		require.EqualValues(t, 1, c.Stats().Connections, "the connections stay")
	}
	for _, h := range clients.histories {
		require.Empty(t, j.resets(h))
	}
}

// TestRedisWiped: Redis loses everything. Every client is told.
func TestRedisWiped(t *testing.T) {
	server := redistest.Start(t)
	a := startGateway(t, "gw-a", "--redis", server.URL()).awaitReady()
	j := newJournal()
	clients := startReaders(t, j, &balancer{addrs: []string{a.addr}}, 5, "jobs:1")
	w := newWorker(t, j, &redis.UniversalOptions{Addrs: []string{server.Addr()}})
	last := map[string]string{}
	for range 20 {
		last["jobs:1"] = w.publish("jobs:1")
	}
	clients.await(last)
	server.Kill()
	server.Restart()
	a.awaitReady()
	for range 5 {
		last["jobs:1"] = w.publish("jobs:1")
	}
	clients.await(last)
	require.Empty(t, j.check(true))
	for _, h := range clients.histories {
		require.Len(t, j.resets(h), 1, h.name)
		require.Contains(t, []string{"expired", "forked"}, j.resets(h)[0])
	}
}
