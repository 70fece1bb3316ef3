package membroker_test

import (
	"context"
	"fmt"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/tallywire/tallywire/broker"
	"github.com/tallywire/tallywire/broker/brokertest"
	"github.com/tallywire/tallywire/broker/membroker"
)

// node is a running broker with a recording sink.
type node struct {
	*membroker.Broker
	*brokertest.Sink
	stop func()
}

func run(t testing.TB, b *membroker.Broker) *node {
	t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	n := &node{Broker: b, Sink: &brokertest.Sink{}}
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		if err := b.Run(ctx, n.Sink); err != nil {
			t.Errorf("Run: %v", err)
		}
	}()
	n.stop = func() {
		cancel()
		<-ended
	}
	t.Cleanup(func() {
		n.stop()
		require.Empty(t, n.Violations())
	})
	n.UntilHealthy(t, true)
	return n
}

func (n *node) subscribe(t testing.TB, channel string) broker.Head {
	t.Helper()
	h, err := n.Subscribe(t.Context(), channel)
	require.NoError(t, err)
	return h
}

func (n *node) publish(t testing.TB, p broker.Publication) broker.Receipt {
	t.Helper()
	if p.Event == nil {
		p.Event = []byte(`{}`)
	}
	r, err := broker.PublishWait(t.Context(), n, p)
	require.NoError(t, err)
	return r
}

// fill publishes count events and returns their cursors.
func (n *node) fill(t testing.TB, channel string, count int) (out []broker.Cursor) {
	t.Helper()
	for i := range count {
		r := n.publish(t, broker.Publication{Channel: channel, Event: fmt.Appendf(nil, `{"n":%d}`, i)})
		out = append(out, r.Cursor)
	}
	return out
}

func cursors(entries []broker.Entry) (out []broker.Cursor) {
	for _, e := range entries {
		out = append(out, e.Cursor)
	}
	return out
}
