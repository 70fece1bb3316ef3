package redisbroker_test

import (
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/tallywire/tallywire/broker"
	"github.com/tallywire/tallywire/broker/redisbroker"
	"github.com/tallywire/tallywire/internal/redistest"
	"github.com/tallywire/tallywire/namespace"
)

func replicated(t *testing.T, b *redisbroker.Broker, id string) broker.Receipt {
	t.Helper()
	r, err := broker.PublishWait(t.Context(), b, broker.Publication{
		Channel: "jobs:1", Event: []byte(`{}`), ID: id, Ack: namespace.AckReplicated,
	})
	require.NoError(t, err)
	return r
}

// The receipt claims no more than is true.
func TestReplicatedAck(t *testing.T) {
	primary, replica := redistest.StartPair(t)
	o := quick(t)
	o.ReplicaTimeout = 300 * time.Millisecond
	b := open(t, primary.URL(), o)
	run(t, b).UntilHealthy(t, true)

	r := replicated(t, b, "w/1")
	require.Equal(t, namespace.AckReplicated, r.Ack)
	require.Equal(t, r.Cursor.String(), replica.Do("GET", key("jobs:1")+":seen:w/1"), "acknowledged and not on the replica")
	require.Equal(t, namespace.AckStored, func() namespace.Ack {
		r, err := broker.PublishWait(t.Context(), b, broker.Publication{Channel: "jobs:1", Event: []byte(`{}`)})
		require.NoError(t, err)
		return r.Ack
	}())

	replica.Pause()
	stored := replicated(t, b, "w/2")
	require.Equal(t, namespace.AckStored, stored.Ack)
	require.EqualValues(t, 1, b.Stats().Unreplicated)
	again := replicated(t, b, "w/2")
	require.True(t, again.Duplicate)
	require.Equal(t, namespace.AckStored, again.Ack, "a duplicate claims what its first could not")

	replica.Continue()
	replica.Eventually("replication of the rest", func() bool {
		v, err := replica.Admin().Get(t.Context(), key("jobs:1")+":seen:w/2").Result()
		return err == nil && v == stored.Cursor.String()
	})
	again = replicated(t, b, "w/2")
	require.Equal(t, stored.Cursor, again.Cursor)
	require.Equal(t, namespace.AckReplicated, again.Ack, "asking again by id finds it replicated")
}

func TestReplicatedAcksInBulk(t *testing.T) {
	primary, _ := redistest.StartPair(t)
	b := open(t, primary.URL(), quick(t))
	run(t, b).UntilHealthy(t, true)
	const count = 2000
	var wg sync.WaitGroup
	for i := range count {
		wg.Add(1)
		b.Publish(t.Context(), broker.Publication{Channel: "jobs:1", Event: []byte(`{}`), Ack: namespace.AckReplicated},
			func(r broker.Receipt, err error) {
				defer wg.Done()
				if err != nil || r.Ack != namespace.AckReplicated || r.Cursor.Offset != uint64(i)+2 {
					t.Errorf("%d: %+v, %v", i, r, err)
				}
			})
	}
	wg.Wait()
	require.Less(t, b.Stats().Batches, uint64(count/4), "one WAIT covers a batch")
}

// The primary is lost with entries that no replica had. The gateway follows the sentinels, and the sink
// hears a head of the other lineage.
func TestFailover(t *testing.T) {
	set := redistest.StartSentinel(t, 3)
	replica := set.Replicas[0]
	b := open(t, set.URL(), quick(t))
	sink := run(t, b)
	sink.UntilHealthy(t, true)
	subscribe(t, b, "jobs:1")
	kept := replicated(t, b, "w/1").Cursor

	replica.Pause() // and its link is cut, so that what follows does not even reach its socket
	set.Primary.Do("CLIENT", "KILL", "TYPE", "replica")
	publish(t, b, "jobs:1", `{"lost":1}`)
	lost := publish(t, b, "jobs:1", `{"lost":2}`)
	untilHead(t, sink, "jobs:1", lost)
	set.Primary.Kill()
	replica.Continue()
	set.AwaitPromotion(replica)
	promoted := time.Now()

	sink.Until(t, "the head of the promoted replica", func() bool {
		heads := sink.Heads("jobs:1")
		h := heads[len(heads)-1]
		return h.Cursor == kept
	})
	sink.UntilHealthy(t, true)
	require.Less(t, time.Since(promoted), 5*time.Second, "recovery after the promotion")
	fresh := publish(t, b, "jobs:1", `{"fresh":1}`)
	require.Equal(t, kept.Offset+1, fresh.Offset, "the offset is given out again")
	require.NotEqual(t, lost.Stamp, fresh.Stamp)
	p, err := b.Read(t.Context(), "jobs:1", broker.ReadRequest{From: lost.Offset + 1})
	require.NoError(t, err)
	require.Equal(t, broker.Forked, p.Check(lost))
	p, err = b.Read(t.Context(), "jobs:1", broker.ReadRequest{From: kept.Offset + 1})
	require.NoError(t, err)
	require.Equal(t, broker.Valid, p.Check(kept), "what was acknowledged as replicated has survived")
}

// A frozen primary is the worst case: its sockets stay open. Probes notice, sentinels promote, and the
// pooled connections that lead to it hold nothing up for long.
func TestFailoverFromFrozenPrimary(t *testing.T) {
	set := redistest.StartSentinel(t, 3)
	replica := set.Replicas[0]
	b := open(t, set.URL(), quick(t))
	sink := run(t, b)
	sink.UntilHealthy(t, true)
	subscribe(t, b, "jobs:1")
	kept := replicated(t, b, "w/1").Cursor
	set.Primary.Pause()
	sink.UntilHealthy(t, false)
	set.AwaitPromotion(replica)
	promoted := time.Now()
	sink.UntilHealthy(t, true)
	require.Less(t, time.Since(promoted), 5*time.Second, "recovery after the promotion")
	c := publish(t, b, "jobs:1", `{}`)
	require.Equal(t, kept.Offset+1, c.Offset)
	sink.Until(t, "an event of the new primary", func() bool { return len(sink.After("jobs:1", kept.Offset)) == 1 })
}
