package redisbroker_test

import (
	"os/exec"
	"regexp"
	"strconv"
	"strings"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/tallywire/tallywire/broker"
	"github.com/tallywire/tallywire/broker/redisbroker"
	"github.com/tallywire/tallywire/internal/redistest"
	"github.com/tallywire/tallywire/namespace"
)

var event200 = []byte(`{"data":"` + strings.Repeat("x", 189) + `"}`)

// BenchmarkPublish measures publications through the broker with 4,096 in flight. Beside it stands what
// redis-benchmark gets from the same FCALL in the same run: metric "of-redis" is the ratio, which should
// be 0.7 or more on a machine that does nothing else.
func BenchmarkPublish(b *testing.B) {
	for _, ack := range []namespace.Ack{namespace.AckStored, namespace.AckReplicated} {
		b.Run(string(ack), func(b *testing.B) {
			primary, _ := redistest.StartPair(b)
			broker1 := open(b, primary.URL(), redisbroker.Options{})
			run(b, broker1).UntilHealthy(b, true)
			b.ReportAllocs()
			b.ResetTimer()
			flood(b, broker1, b.N, ack)
			b.StopTimer()
			rate := float64(b.N) / b.Elapsed().Seconds()
			b.ReportMetric(rate, "publishes/s")
			b.ReportMetric(float64(b.N)/float64(max(1, broker1.Stats().Batches)), "batch")
			if limit := redisBenchmark(b, primary, b.N); limit > 0 {
				b.ReportMetric(rate/limit, "of-redis")
			}
		})
	}
}

func flood(b *testing.B, to *redisbroker.Broker, n int, ack namespace.Ack) {
	b.Helper()
	slots := make(chan struct{}, 4096)
	var wg sync.WaitGroup
	wg.Add(n)
	for range n {
		slots <- struct{}{}
		to.Publish(b.Context(), broker.Publication{Channel: "jobs:1", Event: event200, Ack: ack}, func(_ broker.Receipt, err error) {
			if err != nil {
				b.Error(err)
			}
			<-slots
			wg.Done()
		})
	}
	wg.Wait()
}

// redisBenchmark returns the calls a second of redis-benchmark, 0 where there is none or n is too small.
func redisBenchmark(b *testing.B, s *redistest.Server, n int) float64 {
	b.Helper()
	path, err := exec.LookPath("redis-benchmark")
	if err != nil || n < 10_000 {
		return 0
	}
	out, err := exec.CommandContext(b.Context(), path, "-p", strconv.Itoa(s.Port()), "-n", strconv.Itoa(n), "-c", "1", "-P", "512", "-q",
		"FCALL", "tw_publish", "1", "tw:{jobs:2}", string(event200)).Output()
	require.NoError(b, err)
	m := regexp.MustCompile(`([0-9.]+) requests per second`).FindSubmatch(out)
	require.NotNil(b, m, "%s", out)
	rate, err := strconv.ParseFloat(string(m[1]), 64)
	require.NoError(b, err)
	return rate
}

// BenchmarkAlone measures one publication at a time: the latency of a quiet channel.
func BenchmarkAlone(b *testing.B) {
	to := open(b, redistest.Start(b).URL(), redisbroker.Options{})
	run(b, to).UntilHealthy(b, true)
	b.ReportAllocs()
	for b.Loop() {
		_, err := broker.PublishWait(b.Context(), to, broker.Publication{Channel: "jobs:1", Event: event200})
		require.NoError(b, err)
	}
}

// count is a sink that counts deliveries.
type count struct {
	n    int
	want int
	done chan struct{}
}

func (c *count) Deliver(string, broker.Entry) {
	if c.n++; c.n == c.want {
		close(c.done)
	}
}
func (*count) Signal(string, []byte)    {}
func (*count) Head(string, broker.Head) {}
func (*count) Health(broker.Health)     {}

// BenchmarkDeliver measures doorbells heard while another client publishes at full speed.
func BenchmarkDeliver(b *testing.B) {
	s := redistest.Start(b)
	to := open(b, s.URL(), redisbroker.Options{})
	sink := &count{want: b.N, done: make(chan struct{})}
	runWith(b, to, sink)
	_, err := to.Subscribe(b.Context(), "jobs:1")
	require.NoError(b, err)
	b.ReportAllocs()
	b.ResetTimer()
	flood(b, to, b.N, namespace.AckStored)
	<-sink.done
	b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "deliveries/s")
}
