package redispresence_test

import (
	"context"
	"fmt"
	"sync/atomic"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"
	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"github.com/tallywire/tallywire/broker/brokertest"
	"github.com/tallywire/tallywire/broker/redisbroker"
	"github.com/tallywire/tallywire/internal/redisconn"
	"github.com/tallywire/tallywire/internal/redistest"
	"github.com/tallywire/tallywire/presence"
	"github.com/tallywire/tallywire/presence/presencetest"
	"github.com/tallywire/tallywire/presence/redispresence"
)

func TestMain(m *testing.M) {
	redisconn.LogTo(func(string) {}) // connections break on purpose here
	goleak.VerifyTestMain(m)
}

func TestSuite(t *testing.T) {
	presencetest.Run(t, func(t *testing.T) presencetest.Backend { return backend{redistest.Start(t)} })
}

// TestSuiteOverACluster: the cases share a cluster, each with keys of its own.
func TestSuiteOverACluster(t *testing.T) {
	c := redistest.StartCluster(t, 3, false)
	var cases atomic.Int64
	presencetest.Run(t, func(*testing.T) presencetest.Backend {
		return clusterBackend{c, fmt.Sprintf("tw%d", cases.Add(1))}
	})
}

type clusterBackend struct {
	cluster *redistest.Cluster
	prefix  string
}

func (b clusterBackend) Tracker(t *testing.T, o presence.Options) presencetest.Handle {
	t.Helper()
	w := b.cluster.Way(t)
	return openOver(t, w.Client(t), w, b.prefix, o)
}

// backend is a Redis; every tracker has its own way to it, and a broker beside it, as in a gateway.
type backend struct{ server *redistest.Server }

type handle struct {
	*redispresence.Tracker
	way
	broker *redisbroker.Broker
}

// way is a [redistest.Proxy], or a [redistest.Way].
type way interface {
	Cut()
	Stall()
	Heal()
}

// Hear subscribes the broker to the channel.
func (h handle) Hear(ctx context.Context, channel string) error {
	_, err := h.broker.Subscribe(ctx, channel)
	return err
}

func (b backend) Tracker(t *testing.T, o presence.Options) presencetest.Handle {
	t.Helper()
	proxy := redistest.StartProxy(t, b.server)
	return open(t, proxy, o)
}

func client(t testing.TB, url string) redis.UniversalClient {
	t.Helper()
	c, _, err := redisconn.Open(url)
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, c.Close()) })
	return c
}

// open returns a tracker and a running broker that tells it what it hears.
func open(t testing.TB, proxy *redistest.Proxy, o presence.Options) handle {
	t.Helper()
	return openAt(t, proxy.URL(), proxy, o)
}

// openAt does so with a URL that leads through the proxy.
func openAt(t testing.TB, url string, proxy *redistest.Proxy, o presence.Options) handle {
	t.Helper()
	return openOver(t, client(t, url), proxy, "", o)
}

// openOver does so with a client that goes the way.
func openOver(t testing.TB, c redis.UniversalClient, way way, prefix string, o presence.Options) handle {
	t.Helper()
	tracker, err := redispresence.New(c, redispresence.Options{Options: o, Prefix: prefix})
	require.NoError(t, err)
	b, err := redisbroker.New(c, redisbroker.Options{
		Prefix: prefix, Namespaces: brokertest.Namespaces(t), Presence: tracker.Hear,
		ProbeEvery: 100 * time.Millisecond, ProbeTimeout: 4 * time.Second, AuditEvery: 500 * time.Millisecond,
	})
	require.NoError(t, err)
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- b.Run(ctx, &brokertest.Sink{}) }()
	t.Cleanup(func() {
		cancel()
		require.NoError(t, <-ended)
	})
	return handle{tracker, way, b}
}
