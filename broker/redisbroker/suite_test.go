package redisbroker_test

import (
	"context"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"
	"github.com/stretchr/testify/require"

	"github.com/tallywire/tallywire/broker"
	"github.com/tallywire/tallywire/broker/brokertest"
	"github.com/tallywire/tallywire/broker/redisbroker"
	"github.com/tallywire/tallywire/internal/redisconn"
	"github.com/tallywire/tallywire/internal/redistest"
)

func TestBroker(t *testing.T) {
	brokertest.Run(t, func(t *testing.T) brokertest.Backend {
		t.Helper()
		return newBackend(t, redistest.Start(t))
	})
}

// quick are options for tests that wait for probes and audits.
func quick(t testing.TB) redisbroker.Options {
	t.Helper()
	return redisbroker.Options{
		Namespaces: brokertest.Namespaces(t),
		ProbeEvery: 100 * time.Millisecond,
		AuditEvery: 200 * time.Millisecond,
	}
}

// open returns a broker over url; its client is closed at the end of the test.
func open(t testing.TB, url string, o redisbroker.Options) *redisbroker.Broker {
	t.Helper()
	client, _, err := redisconn.Open(url)
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, client.Close()) })
	b, err := redisbroker.New(client, o)
	require.NoError(t, err)
	return b
}

// backend is two brokers, each behind a proxy of its own.
type backend struct {
	t       testing.TB
	server  *redistest.Server
	proxies [2]*redistest.Proxy
}

func newBackend(t testing.TB, s *redistest.Server) *backend {
	t.Helper()
	return &backend{t: t, server: s, proxies: [2]*redistest.Proxy{redistest.StartProxy(t, s), redistest.StartProxy(t, s)}}
}

func (b *backend) Brokers() (first, second broker.Broker) {
	o := quick(b.t)
	o.MaxInFlight = 2048
	return open(b.t, b.proxies[0].URL(), o), open(b.t, b.proxies[1].URL(), o)
}

func (b *backend) Cut(which int)  { b.proxies[which].Cut() }
func (b *backend) Heal(which int) { b.proxies[which].Heal() }

func (b *backend) Stall(string) (release func()) {
	b.proxies[0].Stall()
	return b.proxies[0].Heal
}

func key(channel string) string { return "tw:{" + channel + "}" }

// Fork writes the stream anew without its last k entries, as the replica that lacked them has it.
func (b *backend) Fork(channel string, k int) {
	b.t.Helper()
	admin, ctx := b.server.Admin(), b.t.Context()
	entries, err := admin.XRange(ctx, key(channel), "-", "+").Result()
	require.NoError(b.t, err)
	_, err = admin.TxPipelined(ctx, func(tx redis.Pipeliner) error {
		tx.Del(ctx, key(channel))
		for _, e := range entries[:len(entries)-k] {
			tx.Do(ctx, "XADD", key(channel), e.ID, "e", e.Values["e"], "p", e.Values["p"])
		}
		tx.PExpire(ctx, key(channel), 24*time.Hour)
		return nil
	})
	require.NoError(b.t, err)
}

func (b *backend) TTL(channel string) time.Duration {
	b.t.Helper()
	d, err := b.server.Admin().PTTL(b.t.Context(), key(channel)).Result()
	require.NoError(b.t, err)
	return max(d, 0)
}

func (b *backend) Expire(channel string) {
	b.t.Helper()
	b.server.Do("PEXPIRE", key(channel), 0)
}

// run runs b until the end of the test and returns its sink.
func run(t testing.TB, b *redisbroker.Broker) *brokertest.Sink {
	t.Helper()
	sink := &brokertest.Sink{}
	runWith(t, b, sink)
	return sink
}

func runWith(t testing.TB, b *redisbroker.Broker, sink broker.Sink) {
	t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- b.Run(ctx, sink) }()
	t.Cleanup(func() {
		cancel()
		require.NoError(t, <-ended)
	})
}
