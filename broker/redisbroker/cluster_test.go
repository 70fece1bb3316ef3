package redisbroker_test

import (
	"context"
	"fmt"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/tallywire/tallywire/broker"
	"github.com/tallywire/tallywire/broker/brokertest"
	"github.com/tallywire/tallywire/broker/redisbroker"
	"github.com/tallywire/tallywire/internal/redistest"
)

// TestClusterBroker: a Redis Cluster keeps the same contract.
func TestClusterBroker(t *testing.T) {
	c := redistest.StartCluster(t, 3, false)
	brokertest.Run(t, func(t *testing.T) brokertest.Backend {
		t.Helper()
		c.Flush()
		return &clusterBackend{t, c, [2]*redistest.Way{c.Way(t), c.Way(t)}}
	})
}

// clusterBackend is two brokers, each with a way of its own to every node.
type clusterBackend struct {
	t       testing.TB
	cluster *redistest.Cluster
	ways    [2]*redistest.Way
}

func (b *clusterBackend) Brokers() (first, second broker.Broker) { return b.open(0), b.open(1) }

func (b *clusterBackend) open(which int) *redisbroker.Broker {
	b.t.Helper()
	o := quick(b.t)
	o.MaxInFlight = 2048
	got, err := redisbroker.New(b.ways[which].Client(b.t), o)
	require.NoError(b.t, err)
	return got
}

func (b *clusterBackend) Cut(which int)  { b.ways[which].Cut() }
func (b *clusterBackend) Heal(which int) { b.ways[which].Heal() }

func (b *clusterBackend) Stall(string) (release func()) {
	b.ways[0].Stall()
	return b.ways[0].Heal
}

// at is the backend of the node that has a channel.
func (b *clusterBackend) at(channel string) *backend {
	return &backend{t: b.t, server: b.cluster.Primaries[b.cluster.Owner(key(channel))]}
}

func (b *clusterBackend) Fork(channel string, k int)       { b.at(channel).Fork(channel, k) }
func (b *clusterBackend) TTL(channel string) time.Duration { return b.at(channel).TTL(channel) }
func (b *clusterBackend) Expire(channel string)            { b.at(channel).Expire(channel) }

// openCluster returns a broker over a cluster; its client is closed at the end of the test.
func openCluster(t testing.TB, c *redistest.Cluster, o redisbroker.Options) *redisbroker.Broker {
	t.Helper()
	return open(t, c.URL(), o)
}

// pour publishes to a channel in bursts, so that many are under way at any time, until stop. It returns what
// became of them.
func pour(t testing.TB, b *redisbroker.Broker, channel string) (stop func() []error) {
	t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	t.Cleanup(cancel)
	errs := make(chan []error, 1)
	go func() {
		var wg sync.WaitGroup
		var mu sync.Mutex
		var all []error
		tick := time.NewTicker(10 * time.Millisecond)
		defer tick.Stop()
		for ; ctx.Err() == nil; <-tick.C {
			for range 5 {
				wg.Add(1)
				n := len(all)
				mu.Lock()
				all = append(all, nil)
				mu.Unlock()
				b.Publish(context.Background(), broker.Publication{Channel: channel, Event: fmt.Appendf(nil, `{"n":%d}`, n)},
					func(_ broker.Receipt, err error) {
						defer wg.Done()
						mu.Lock()
						defer mu.Unlock()
						all[n] = err
					})
			}
		}
		wg.Wait()
		errs <- all
	}()
	return func() []error {
		cancel()
		return <-errs
	}
}

// logged returns the events of a channel's log.
func logged(t testing.TB, b *redisbroker.Broker, channel string) (events []string) {
	t.Helper()
	for from := uint64(1); ; {
		page, err := b.Read(t.Context(), channel, broker.ReadRequest{From: from, Limit: broker.MaxReadLimit})
		require.NoError(t, err)
		for _, e := range page.Entries {
			if from = e.Cursor.Offset + 1; e.Cursor.Offset > 1 {
				events = append(events, string(e.Event))
			}
		}
		if from > page.Cursor.Offset {
			return events
		}
	}
}

// TestClusterSlotsMove: the slot of a channel goes from node to node under what is published and heard. Nothing is
// lost, doubled or out of order, and whoever listens hears on.
func TestClusterSlotsMove(t *testing.T) {
	c := redistest.StartCluster(t, 3, false)
	brokers := []*redisbroker.Broker{openCluster(t, c, quick(t)), openCluster(t, c, quick(t))}
	var sinks []*brokertest.Sink
	for _, b := range brokers {
		sink := run(t, b)
		sink.UntilHealthy(t, true)
		for _, channel := range []string{"jobs:1", "jobs:2", "jobs:3"} {
			_, err := b.Subscribe(t.Context(), channel)
			require.NoError(t, err)
		}
		sinks = append(sinks, sink)
	}
	stop := pour(t, brokers[0], "jobs:1")
	for i := range 6 {
		c.Move(key("jobs:1"), (c.Owner(key("jobs:1"))+1)%3)
		for _, sink := range sinks {
			before := len(sink.Entries("jobs:1"))
			sink.Until(t, fmt.Sprintf("doorbells after move %d", i+1), func() bool { return len(sink.Entries("jobs:1")) > before+20 })
		}
	}
	outcomes := stop()
	want := make([]string, len(outcomes))
	for n, err := range outcomes {
		require.NoError(t, err, "publication %d of %d", n, len(outcomes))
		want[n] = fmt.Sprintf(`{"n":%d}`, n)
	}
	got := logged(t, brokers[1], "jobs:1")
	for n := range min(len(got), len(want)) {
		require.Equal(t, want[n], got[n], "of %d", len(want))
	}
	require.Len(t, got, len(want))
	for _, sink := range sinks {
		require.Empty(t, sink.Violations())
	}
	// Who has left hears nothing more, wherever the slot was then.
	brokers[0].Unsubscribe("jobs:1")
	_, err := broker.PublishWait(t.Context(), brokers[0], broker.Publication{Channel: "jobs:1", Event: []byte(`{"last":1}`)})
	require.NoError(t, err)
	sinks[1].Until(t, "the last", func() bool {
		entries := sinks[1].Entries("jobs:1")
		return string(entries[len(entries)-1].Event) == `{"last":1}`
	})
}

// TestClusterFailover: while a primary is away and its replica takes over, the channels of the others go on. When
// it has, so do those of the one that died, and what was published meanwhile is told.
func TestClusterFailover(t *testing.T) {
	c := redistest.StartCluster(t, 3, true)
	b, other := openCluster(t, c, quick(t)), openCluster(t, c, quick(t))
	sink := run(t, b)
	run(t, other).UntilHealthy(t, true)
	sink.UntilHealthy(t, true)
	channels := map[int]string{} // by the place of the primary
	for i := 0; len(channels) < 3; i++ {
		name := fmt.Sprintf("jobs:%d", i)
		if place := c.Owner(key(name)); channels[place] == "" {
			channels[place] = name
		}
	}
	publish := func(by *redisbroker.Broker, channel, event string) error {
		ctx, cancel := context.WithTimeout(t.Context(), 5*time.Second)
		defer cancel()
		_, err := broker.PublishWait(ctx, by, broker.Publication{Channel: channel, Event: []byte(event)})
		return err
	}
	heard := func(channel, event string) {
		t.Helper()
		sink.Until(t, event, func() bool {
			return slices.ContainsFunc(sink.Entries(channel), func(e broker.Entry) bool { return string(e.Event) == event })
		})
	}
	for _, channel := range channels {
		_, err := b.Subscribe(t.Context(), channel)
		require.NoError(t, err)
		require.NoError(t, publish(b, channel, `{"before":1}`))
		heard(channel, `{"before":1}`)
	}
	dead, others := channels[0], []string{channels[1], channels[2]}
	c.Primaries[0].Pause() // a frozen one accepts connections and answers nothing
	for i := range 20 {
		for _, channel := range others {
			event := fmt.Sprintf(`{"meanwhile":%d}`, i)
			require.NoError(t, publish(b, channel, event))
			heard(channel, event)
		}
	}
	c.FailOver(0)
	require.Eventually(t, func() bool { return publish(other, dead, `{"after":1}`) == nil }, 15*time.Second, 50*time.Millisecond)
	sink.Until(t, "the head, or the event", func() bool {
		head := slices.ContainsFunc(sink.Heads(dead), func(h broker.Head) bool { return h.Cursor.Offset >= 3 })
		return head || len(sink.Entries(dead)) > 1
	})
	sink.UntilHealthy(t, true)
	require.NoError(t, publish(other, dead, `{"after":2}`))
	heard(dead, `{"after":2}`)
	require.Empty(t, sink.Violations())
}
