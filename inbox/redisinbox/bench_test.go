package redisinbox_test

import (
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"
	"github.com/stretchr/testify/require"

	"github.com/tallywire/tallywire/internal/redistest"
)

// BenchmarkLatency measures from before an XADD until the event's doorbell has come, one entry at a time.
func BenchmarkLatency(b *testing.B) {
	s := redistest.Start(b)
	n := startNode(b, s.URL(), "a", settings{})
	active(b, s, n)
	heard := s.Admin().Subscribe(b.Context(), "tw:{jobs:1}")
	defer heard.Close()
	_, err := heard.Receive(b.Context())
	require.NoError(b, err)
	took := make([]time.Duration, 0, b.N)
	b.ResetTimer()
	for i := range b.N {
		begun := time.Now()
		add(b, s, "channel", "jobs:1", "event", step(i+1))
		_, err := heard.ReceiveMessage(b.Context())
		require.NoError(b, err)
		took = append(took, time.Since(begun))
	}
	b.StopTimer()
	slices.Sort(took)
	b.ReportMetric(float64(took[len(took)/2].Microseconds()), "µs-p50")
	b.ReportMetric(float64(took[len(took)*99/100].Microseconds()), "µs-p99")
	b.ReportMetric(float64(took[len(took)-1].Microseconds()), "µs-max")
}

// BenchmarkThroughput measures how fast a backlog is worked off, by the number of its channels.
func BenchmarkThroughput(b *testing.B) {
	for _, channels := range []int{1, 8, 64, 1000} {
		b.Run(fmt.Sprint("channels=", channels), func(b *testing.B) {
			s := redistest.Start(b)
			pipe := func(f func(p redis.Pipeliner)) {
				_, err := s.Admin().Pipelined(b.Context(), func(p redis.Pipeliner) error { f(p); return nil })
				require.NoError(b, err)
			}
			for from := 0; from < b.N; from += 1000 {
				pipe(func(p redis.Pipeliner) {
					for i := from; i < min(from+1000, b.N); i++ {
						p.Do(b.Context(), "XADD", inboxKey, "*", "channel", fmt.Sprint("jobs:", i%channels), "event", step(i+1))
					}
				})
			}
			b.ResetTimer()
			n := startNode(b, s.URL(), "a", settings{})
			drained(b, s)
			b.StopTimer()
			require.EqualValues(b, b.N, n.Stats().Published)
		})
	}
}
