package test

import (
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"
	"github.com/stretchr/testify/require"

	"github.com/tallywire/tallywire/internal/redistest"
	"github.com/tallywire/tallywire/presence"
)

// newClusterWorker returns a worker that publishes to a cluster.
func newClusterWorker(t testing.TB, j *journal, c *redistest.Cluster, login string) *worker {
	t.Helper()
	user, password, _ := strings.Cut(login, ":")
	client := redis.NewClusterClient(&redis.ClusterOptions{
		Addrs:    strings.Split(strings.TrimPrefix(c.URL(), "redis-cluster://"), ","),
		Username: user, Password: password, MaxRetries: -1, ClusterStateReloadInterval: time.Second,
	})
	t.Cleanup(func() { _ = client.Close() })
	return &worker{t: t, journal: j, client: client}
}

// TestRedisCluster: gateways over a Redis Cluster, whose slots move and one of whose primaries dies under what is
// published. Nothing is lost, doubled or out of order without a reset; presence, commands over HTTP and the inbox
// work as over one Redis.
func TestRedisCluster(t *testing.T) {
	c := redistest.StartCluster(t, 3, true)
	users := c.Users("../docs/redis-contract.md")
	url := strings.Replace(c.URL(), "://", "://"+users["gateway"]+"@", 1)
	a := startGateway(t, "gw-a", "--redis", url).awaitReady()
	b := startGateway(t, "gw-b", "--redis", url).awaitReady()
	j := newJournal()
	var channels []string
	for i := range 6 {
		channels = append(channels, "jobs:"+itoa(i))
	}
	clients := startReaders(t, j, &balancer{addrs: []string{a.addr, b.addr}}, 12, channels...)
	w := newClusterWorker(t, j, c, users["worker"])
	last := map[string]string{}
	publish := func(rounds int) {
		for range rounds {
			for _, channel := range channels {
				last[channel] = w.publish(channel)
			}
		}
	}
	publish(20)
	clients.await(last)

	for i, channel := range channels {
		c.Move("tw:{"+channel+"}", (c.Owner("tw:{"+channel+"}")+1+i%2)%3)
		publish(3)
	}
	clients.await(last)
	require.Empty(t, j.check(false), "slots that move lose nothing")

	o := observe(t, "observer", b.addr, "room:1")
	visit(t, a.addr, "alice")
	bob, err := openTab(t.Context(), a.addr, token(t, "bob"), "bob", "s", "room:1")
	require.NoError(t, err)
	o.awaitMembers(2, 2)
	bob.close()
	o.eventually("bob has left", func() bool { return tally(o.changes, presence.Leave)["bob"] == 1 })

	anybody := newClusterWorker(t, j, c, "").client
	for n := range 20 {
		event := fmt.Sprintf(`{"id":"i%d","source":"inbox","type":"x.test","data":{"value":"inbox:1#%d"}}`, n, n)
		require.NoError(t, anybody.XAdd(t.Context(), &redis.XAddArgs{Stream: "tw:_inbox", Values: []any{"channel", "inbox:1", "event", event}}).Err())
	}
	require.Eventually(t, func() bool {
		n, err := anybody.XLen(t.Context(), "tw:{inbox:1}").Result()
		return err == nil && n == 21 // with the genesis
	}, patience, poll, "what was added to the inbox is published")

	c.FailOver(c.Owner("tw:{jobs:0}"))
	publish(20)
	clients.await(last)
	require.Empty(t, j.check(true))
	for _, p := range []*process{a, b} {
		require.Eventually(t, func() bool { status, _ := p.ready(); return status == http.StatusOK }, patience, poll, "ready again")
	}
	require.Zero(t, clients.violations())
	require.Empty(t, c.Denied(), "the users of the contract may do all of this")
}
