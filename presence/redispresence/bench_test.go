package redispresence_test

import (
	"context"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"golang.org/x/sync/errgroup"

	"github.com/tallywire/tallywire/internal/redistest"
	"github.com/tallywire/tallywire/presence"
	"github.com/tallywire/tallywire/presence/presencetest"
	"github.com/tallywire/tallywire/presence/redispresence"
)

// bench is a Redis with some gateways, without brokers: what is counted is presence's alone.
type bench struct {
	*testing.B
	server   *redistest.Server
	gateways []*redispresence.Tracker
}

func newBench(b *testing.B, gateways int) *bench {
	b.Helper()
	x := &bench{B: b, server: redistest.Start(b)}
	for i := range gateways {
		c := client(b, x.server.URL())
		tracker, err := redispresence.New(c, redispresence.Options{Options: presence.Options{Gateway: fmt.Sprint("gw-", i)}})
		require.NoError(b, err)
		ctx, cancel := context.WithCancel(context.Background())
		ended := make(chan error, 1)
		sink := &presencetest.Sink{}
		go func() { ended <- tracker.Run(ctx, sink) }()
		b.Cleanup(func() {
			cancel()
			require.NoError(b, <-ended)
		})
		sink.Until(b, "the lease", func() bool { return tracker.Stats().Incarnation > 0 })
		x.gateways = append(x.gateways, tracker)
	}
	return x
}

// fill lets so many members enter one channel, spread over the gateways.
func (x *bench) fill(members int) {
	x.Helper()
	var g errgroup.Group
	g.SetLimit(512)
	for i := range members {
		g.Go(func() error {
			return x.gateways[i%len(x.gateways)].Enter(x.Context(), entry("room:1", fmt.Sprintf("user-%05d", i)))
		})
	}
	require.NoError(x, g.Wait())
}

// calls returns how often clients called each command since the last CONFIG RESETSTAT. Gateways at rest
// call functions and HGETALL; what functions call inside is not counted.
func (x *bench) calls() map[string]float64 {
	calls := map[string]float64{}
	for _, name := range []string{"fcall", "fcall_ro", "hgetall"} {
		said := x.server.Info("cmdstat_" + name)
		n, _, _ := strings.Cut(strings.TrimPrefix(said, "calls="), ",")
		var f float64
		_, _ = fmt.Sscan(n, &f) // absent: none
		calls[name] = f
	}
	return calls
}

// BenchmarkIdleCommands counts the commands of three gateways at rest, over two lifetimes of their leases.
// Run it once: go test -run - -bench IdleCommands -benchtime 1x ./presence/redispresence
func BenchmarkIdleCommands(b *testing.B) {
	for _, members := range []int{1, 1000, 10_000} {
		b.Run(fmt.Sprint("members=", members), func(b *testing.B) {
			x := newBench(b, 3)
			x.fill(members)
			for b.Loop() {
				x.server.Do("CONFIG", "RESETSTAT")
				began := time.Now()
				<-time.After(2 * presence.DefaultTTL)
				calls := x.calls()
				for name, n := range calls {
					b.ReportMetric(n/time.Since(began).Seconds()/float64(len(x.gateways)), name+"/s/gateway")
				}
				b.ReportMetric((calls["fcall"]+calls["fcall_ro"]+calls["hgetall"])/time.Since(began).Seconds()/3, "commands/s/gateway")
			}
		})
	}
}

// BenchmarkList reads all of 10,000 members.
func BenchmarkList(b *testing.B) {
	x := newBench(b, 1)
	x.fill(10_000)
	for _, limit := range []int{100, 1000} {
		b.Run(fmt.Sprint("page=", limit), func(b *testing.B) {
			b.ReportAllocs()
			pages := 0
			for b.Loop() {
				n, after := 0, ""
				for {
					p, err := x.gateways[0].Members(b.Context(), "room:1", presence.PageRequest{After: after, Limit: limit})
					if err != nil {
						b.Fatal(err)
					}
					n += len(p.Members)
					pages++
					if after = p.Next; after == "" {
						break
					}
				}
				if n != 10_000 {
					b.Fatalf("%d members", n)
				}
			}
			b.ReportMetric(float64(b.Elapsed().Microseconds())/float64(pages), "µs/page")
		})
	}
}

// BenchmarkEnter is a crowd that comes at once: every operation is one session that joins and leaves.
func BenchmarkEnter(b *testing.B) {
	x := newBench(b, 1)
	var crowd errgroup.Group
	crowd.SetLimit(512)
	i := 0
	for b.Loop() {
		i++
		e := entry(fmt.Sprint("room:", i%100), fmt.Sprintf("user-%d", i))
		crowd.Go(func() error {
			if err := x.gateways[0].Enter(b.Context(), e); err != nil {
				return err
			}
			return x.gateways[0].Leave(b.Context(), presence.Exit{Channel: e.Channel, User: e.User, Session: e.Session, Claim: e.Claim, Now: true})
		})
	}
	require.NoError(b, crowd.Wait())
}

// BenchmarkReap is what a dead gateway with 10,000 members costs Redis: one operation is all the calls that
// end them, one leave each. A call is how long Redis does nothing else.
func BenchmarkReap(b *testing.B) {
	calls := 0
	var total time.Duration
	for b.Loop() {
		b.StopTimer()
		x := newBench(b, 1)
		x.fill(10_000)
		owner := fmt.Sprintf("gw-0/%d", x.gateways[0].Stats().Incarnation)
		b.StartTimer()
		began := time.Now()
		for more := true; more; calls++ {
			reply, ok := x.server.Do("FCALL", "tw_presence_reap", 1, "tw:{room:1}", owner, "gw-1/1", 0, 100).([]any)
			if !ok {
				b.Fatal("no reply")
			}
			more = reply[1] != int64(0)
		}
		total += time.Since(began)
	}
	b.ReportMetric(float64(total.Microseconds())/float64(calls), "µs/call")
}
