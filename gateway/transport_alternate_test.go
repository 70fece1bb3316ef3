package gateway_test

import (
	"context"
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/tallywire/tallywire/broker"
	"github.com/tallywire/tallywire/gateway"
	"github.com/tallywire/tallywire/gateway/wire"
)

// A reader changes its transport again and again, in the middle of its streams and without a word, while
// events are published: it gets each of them once, in order.
func TestAlternatesTransports(t *testing.T) {
	t.Parallel()
	r := newRig(t, rigOptions{change: func(o *gateway.Options) { o.RelayMaxEvents = 32 }})
	seed := rand.Uint64()
	t.Logf("seed %d", seed)
	random := rand.New(rand.NewPCG(seed, 0))
	const channels, each = 3, 250
	var asked []wire.StreamChannel
	for i := range channels {
		channel := fmt.Sprintf("jobs:%d", i)
		asked = append(asked, after(channel, r.publish(channel, event(-1))))
	}
	published := make(chan error, 1)
	go func() { published <- publishSlowly(r.broker, asked, each) }()
	at, resume := asked, ""
	got, hops := map[string]int{}, map[string]int{}
	for left := channels * each; left > 0; {
		by := transports[random.IntN(len(transports))]
		f := &feed{user: "alice", token: r.token("alice", nil), asked: at}
		if resume != "" && by.name != "websocket" {
			f.asked, f.resume = []wire.StreamChannel{now("jobs:0"), now("jobs:1"), now("jobs:2")}, resume
		}
		by.readWith(r, f)
		hops[by.name]++
		whole := random.IntN(2) == 0 // it leaves at the end of a message, and goes on by its composite
		for stay := 4 + random.IntN(60); left > 0 && (stay > 0 || whole && len(f.queue) > 0); stay-- {
			x := f.next()
			if x.Type == "subscribed" {
				require.True(t, x.Resumed)
				continue
			}
			require.Equal(t, "event", x.Type, "%s: %+v", by.name, x)
			var e struct{ Data struct{ N int } }
			require.NoError(t, json.Unmarshal(x.Event, &e))
			require.Equal(t, got[x.Channel], e.Data.N, x.Channel)
			got[x.Channel]++
			left--
		}
		f.close()
		at, resume = f.here(), ""
		if len(f.queue) == 0 {
			resume = f.source.composite()
		}
	}
	require.NoError(t, <-published)
	for channel, n := range got {
		require.Equal(t, each, n, channel)
	}
	for _, by := range transports {
		require.Greater(t, hops[by.name], 2, "%v", hops)
	}
	require.Zero(t, r.gateway.Counters().Resets.Load())
	r.eventually("nobody is left", func() bool { return r.gateway.Connections() == 0 })
}

// tryPublish publishes an event past every gateway.
func tryPublish(ctx context.Context, b broker.Broker, channel, event string) error {
	_, err := broker.PublishWait(ctx, b, broker.Publication{Channel: channel, Event: []byte(event)})
	return err
}

// publishSlowly publishes numbered events in channels in turn, one a millisecond.
func publishSlowly(b broker.Broker, channels []wire.StreamChannel, each int) error {
	ctx, cancel := context.WithTimeout(context.Background(), 3*patience)
	defer cancel()
	tick := time.NewTicker(time.Millisecond)
	defer tick.Stop()
	for n := range each {
		for _, c := range channels {
			<-tick.C
			if err := tryPublish(ctx, b, c.Channel, event(n)); err != nil {
				return err
			}
		}
	}
	return nil
}
