package membroker_test

import (
	"context"
	"strconv"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/tallywire/tallywire/broker"
	"github.com/tallywire/tallywire/broker/membroker"
)

// counting is the cheapest possible sink.
type counting struct {
	delivered int
	up        chan struct{}
}

func (c *counting) Deliver(string, broker.Entry) { c.delivered++ }
func (c *counting) Signal(string, []byte)        {}
func (c *counting) Head(string, broker.Head)     {}
func (c *counting) Health(broker.Health)         { close(c.up) }

// subscribed returns a running broker with one sink subscribed to the channels.
func subscribed(tb testing.TB, channels ...string) *membroker.Broker {
	tb.Helper()
	b := membroker.NewStore(membroker.Options{}).Broker()
	ctx, cancel := context.WithCancel(context.Background())
	sink := &counting{up: make(chan struct{})}
	ended := make(chan error, 1)
	go func() { ended <- b.Run(ctx, sink) }()
	<-sink.up
	tb.Cleanup(func() {
		cancel()
		require.NoError(tb, <-ended)
	})
	for _, c := range channels {
		_, err := b.Subscribe(ctx, c)
		require.NoError(tb, err)
	}
	return b
}

func must(tb testing.TB) func(broker.Receipt, error) {
	tb.Helper()
	return func(_ broker.Receipt, err error) {
		if err != nil {
			tb.Error(err)
		}
	}
}

var event = []byte(`{"id":"1","source":"worker-3","type":"job.progress","subject":"job/42","data":{"percent":42}}`)

func BenchmarkPublish(b *testing.B) {
	br, done, ctx := subscribed(b, "jobs:42"), must(b), b.Context()
	b.ReportAllocs()
	for b.Loop() {
		br.Publish(ctx, broker.Publication{Channel: "jobs:42", Event: event}, done)
	}
}

func BenchmarkPublishID(b *testing.B) {
	br, done, ctx := subscribed(b, "jobs:42"), must(b), b.Context()
	b.ReportAllocs()
	for i := 0; b.Loop(); i++ {
		br.Publish(ctx, broker.Publication{Channel: "jobs:42", Event: event, ID: "worker-3/" + strconv.Itoa(i)}, done)
	}
}

func BenchmarkPublishParallel(b *testing.B) {
	var channels [64]string
	for i := range channels {
		channels[i] = "jobs:" + strconv.Itoa(i)
	}
	// Sinks of different channels may be called concurrently, so this one has none.
	br, done, ctx := membroker.NewStore(membroker.Options{}).Broker(), must(b), b.Context()
	b.ReportAllocs()
	b.RunParallel(func(pb *testing.PB) {
		for i := 0; pb.Next(); i++ {
			br.Publish(ctx, broker.Publication{Channel: channels[i%len(channels)], Event: event}, done)
		}
	})
}

func BenchmarkSignal(b *testing.B) {
	br, done, ctx := subscribed(b, "jobs:42"), must(b), b.Context()
	b.ReportAllocs()
	for b.Loop() {
		br.Publish(ctx, broker.Publication{Channel: "jobs:42", Event: event, Ephemeral: true}, done)
	}
}

func BenchmarkReadPage(b *testing.B) {
	br, done, ctx := subscribed(b, "jobs:42"), must(b), b.Context()
	for range 10_000 {
		br.Publish(ctx, broker.Publication{Channel: "jobs:42", Event: event}, done)
	}
	b.ReportAllocs()
	for b.Loop() {
		if p, err := br.Read(ctx, "jobs:42", broker.ReadRequest{From: 5000}); err != nil || len(p.Entries) != 128 {
			b.Fatal(len(p.Entries), err)
		}
	}
}
