package membroker_test

import (
	"fmt"
	"runtime"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"github.com/tallywire/tallywire/broker"
	"github.com/tallywire/tallywire/broker/brokertest"
	"github.com/tallywire/tallywire/broker/membroker"
	"github.com/tallywire/tallywire/namespace"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// The sinks of the embedded engine hear every entry once and in log order, whoever publishes.
func TestSinksHearInLogOrder(t *testing.T) {
	store := membroker.NewStore(membroker.Options{})
	a, b := run(t, store.Broker()), run(t, store.Broker())
	a.subscribe(t, "jobs:1")
	b.subscribe(t, "jobs:1")
	var wg sync.WaitGroup
	for p := range 8 {
		n := []*node{a, b}[p%2]
		wg.Go(func() {
			for range 200 {
				n.Publish(t.Context(), broker.Publication{Channel: "jobs:1", Event: []byte(`{}`)}, must(t))
			}
		})
	}
	wg.Wait()
	page, err := a.Read(t.Context(), "jobs:1", broker.ReadRequest{From: 2, Limit: 1000})
	require.NoError(t, err)
	rest, err := a.Read(t.Context(), "jobs:1", broker.ReadRequest{From: 1002, Limit: 1000})
	require.NoError(t, err)
	log := append(page.Entries, rest.Entries...)
	require.Len(t, log, 1600)
	require.Equal(t, log, a.Entries("jobs:1"))
	require.Equal(t, log, b.Entries("jobs:1"))
}

func TestReplicatedIsStored(t *testing.T) {
	n := run(t, membroker.NewStore(membroker.Options{}).Broker())
	r := n.publish(t, broker.Publication{Channel: "jobs:1", Ack: namespace.AckReplicated})
	require.Equal(t, namespace.AckStored, r.Ack, "there is no replica, and the receipt says so")
}

func TestPublishDoesNotAllocate(t *testing.T) {
	if raceEnabled {
		t.Skip("the race detector allocates")
	}
	br, done := subscribed(t, "jobs:42"), func(broker.Receipt, error) {}
	p := broker.Publication{Channel: "jobs:42", Event: event}
	for range namespace.DefaultMaxLen { // the ring has its full size
		br.Publish(t.Context(), p, done)
	}
	ctx := t.Context()
	require.Zero(t, testing.AllocsPerRun(1000, func() { br.Publish(ctx, p, done) }))
	p.Ephemeral = true
	require.Zero(t, testing.AllocsPerRun(1000, func() { br.Publish(ctx, p, done) }))
}

func TestRunsOnce(t *testing.T) {
	n := run(t, membroker.NewStore(membroker.Options{}).Broker())
	require.Error(t, n.Run(t.Context(), &brokertest.Sink{}))
	n.fill(t, "jobs:1", 1) // the first goes on
}

func TestSubscribedBeforeRun(t *testing.T) {
	b := membroker.NewStore(membroker.Options{}).Broker()
	_, err := b.Subscribe(t.Context(), "jobs:1")
	require.NoError(t, err)
	r, err := broker.PublishWait(t.Context(), b, broker.Publication{Channel: "jobs:1", Event: event})
	require.NoError(t, err)
	n := run(t, b)
	n.Until(t, "the head", func() bool { return len(n.Heads("jobs:1")) == 1 })
	require.Equal(t, r.Cursor, n.Heads("jobs:1")[0].Cursor)
	n.fill(t, "jobs:1", 1)
	require.Len(t, n.Entries("jobs:1"), 1)
}

func TestAuditTellsHeads(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		store := membroker.NewStore(membroker.Options{Audit: 5 * time.Second})
		n := run(t, store.Broker())
		n.subscribe(t, "jobs:1")
		synctest.Wait() // what it tells at the start is told
		store.ForTest().Drop("jobs:1", 1)
		c := n.fill(t, "jobs:1", 1)[0]
		require.Empty(t, n.Entries("jobs:1"))
		start := time.Now()
		n.Until(t, "the head of the audit", func() bool { // one may have been told at the start
			return slices.ContainsFunc(n.Heads("jobs:1"), func(h broker.Head) bool { return h.Cursor == c })
		})
		require.InDelta(t, 5, time.Since(start).Seconds(), 1.001)
		n.stop()
	})
}

// A subscribed stream outlives its TTL; without subscribers it goes, and so does its memory.
func TestStreamsLiveAndExpire(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		table, err := namespace.NewTable(map[string]namespace.Options{"brief": {TTL: time.Second, Dedupe: time.Minute}})
		require.NoError(t, err)
		store := membroker.NewStore(membroker.Options{Namespaces: table})
		n := run(t, store.Broker())
		n.subscribe(t, "brief:kept")
		n.fill(t, "brief:kept", 3)
		n.fill(t, "brief:gone", 3)
		n.publish(t, broker.Publication{Channel: "brief:ids", ID: "w/1"})
		n.subscribe(t, "opened")
		n.Unsubscribe("opened")
		require.Equal(t, 4, store.Stats().Channels)

		time.Sleep(30 * time.Second) // the bubble's clock: audits and sweeps run meanwhile
		synctest.Wait()
		stats := store.Stats()
		require.Equal(t, 3, stats.Channels, "kept; ids, for its window; opened, for ten minutes")
		require.Equal(t, 4+1, stats.Entries)
		require.EqualValues(t, 2, stats.Expired)
		require.EqualValues(t, 7, stats.Published)
		page, err := n.Read(t.Context(), "brief:kept", broker.ReadRequest{From: 2})
		require.NoError(t, err)
		require.Len(t, page.Entries, 3)

		n.Unsubscribe("brief:kept")
		require.Equal(t, membroker.KeepLeast, store.ForTest().TTL("brief:kept").Round(time.Second))
		time.Sleep(membroker.GenesisTTL + 10*time.Second)
		synctest.Wait()
		stats = store.Stats()
		require.Zero(t, stats.Channels)
		require.Zero(t, stats.Entries)
		require.Zero(t, stats.Bytes)
		require.EqualValues(t, 7, stats.Published, "counts outlive channels")
		n.stop()
	})
}

func TestDedupeWindow(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		store := membroker.NewStore(membroker.Options{MaxSeen: 3})
		n := run(t, store.Broker())
		duplicate := func(id string) bool {
			return n.publish(t, broker.Publication{Channel: "jobs:1", ID: id}).Duplicate
		}
		require.False(t, duplicate("w/1"))
		time.Sleep(namespace.DefaultDedupe - time.Second)
		require.True(t, duplicate("w/1"))
		time.Sleep(2 * time.Second)
		require.False(t, duplicate("w/1"), "the window has passed")
		require.False(t, duplicate("w/2"))
		require.False(t, duplicate("w/3"))
		require.True(t, duplicate("w/1"))
		require.Equal(t, 3, store.Stats().IDs)
		require.False(t, duplicate("w/4"))
		require.Equal(t, 3, store.Stats().IDs, "bounded")
		require.EqualValues(t, 1, store.Stats().ForgottenIDs)
		require.False(t, duplicate("w/1"), "forgotten for w/4")
		time.Sleep(namespace.DefaultDedupe + 10*time.Second)
		synctest.Wait()
		require.Zero(t, store.Stats().IDs, "the sweep forgets without a publish")
		n.stop()
	})
}

// An id that comes again after its stream was wiped gets a window of its own.
func TestDedupeAfterWipe(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		store := membroker.NewStore(membroker.Options{})
		n := run(t, store.Broker())
		p := broker.Publication{Channel: "jobs:1", ID: "w/1"}
		n.publish(t, p)
		store.ForTest().Delete("jobs:1")
		time.Sleep(namespace.DefaultDedupe / 2)
		second := n.publish(t, p)
		require.False(t, second.Duplicate)
		time.Sleep(namespace.DefaultDedupe/2 + time.Second)
		again := n.publish(t, p)
		require.True(t, again.Duplicate)
		require.Equal(t, second.Cursor, again.Cursor)
		n.stop()
	})
}

func TestLimits(t *testing.T) {
	store := membroker.NewStore(membroker.Options{MaxChannels: 2, MaxBytes: 1000})
	n := run(t, store.Broker())
	n.subscribe(t, "a")
	n.fill(t, "b", 1)
	_, err := n.Subscribe(t.Context(), "c")
	require.ErrorIs(t, err, broker.ErrRefused)
	_, err = broker.PublishWait(t.Context(), n, broker.Publication{Channel: "c", Event: event})
	require.ErrorIs(t, err, broker.ErrRefused)
	_, err = broker.PublishWait(t.Context(), n, broker.Publication{Channel: "b"})
	require.ErrorIs(t, err, broker.ErrRefused, "an empty event would look like a genesis entry")

	_, err = broker.PublishWait(t.Context(), n, broker.Publication{Channel: "b", Event: make([]byte, 1000)})
	require.ErrorIs(t, err, broker.ErrRefused)
	before := store.Stats()
	require.LessOrEqual(t, before.Bytes, int64(1000))
	require.Equal(t, 3, before.Entries)
	store.ForTest().Delete("b")
	require.Less(t, store.Stats().Bytes, before.Bytes, "memory of a deleted log is free again")
	n.fill(t, "b", 1)
}

// Publishing, subscribing and sweeping the same channels at once loses nothing that was accepted.
func TestSweepRacesPublish(t *testing.T) {
	var clock struct {
		sync.Mutex
		now time.Time
	}
	clock.now = time.Unix(1_700_000_000, 0)
	store := membroker.NewStore(membroker.Options{Clock: func() time.Time {
		clock.Lock()
		defer clock.Unlock()
		return clock.now
	}})
	n := run(t, store.Broker())
	stop := make(chan struct{})
	var sweeping sync.WaitGroup
	sweeping.Go(func() {
		for {
			select {
			case <-stop:
				return
			default:
			}
			clock.Lock()
			clock.now = clock.now.Add(25 * time.Hour)
			clock.Unlock()
			store.ForTest().Sweep()
			runtime.Gosched()
		}
	})
	const workers, rounds = 4, 300
	var wg sync.WaitGroup
	for w := range workers {
		channel := fmt.Sprintf("jobs:%d", w)
		wg.Go(func() {
			for i := range rounds {
				h, err := n.Subscribe(t.Context(), channel)
				if err != nil {
					t.Errorf("subscribe: %v", err)
					return
				}
				r, err := broker.PublishWait(t.Context(), n, broker.Publication{Channel: channel, Event: event})
				if err != nil || r.Cursor.Offset != h.Cursor.Offset+1 {
					t.Errorf("published at %s after head %s: %v", r.Cursor, h.Cursor, err)
					return
				}
				if got := n.Entries(channel); len(got) != i+1 || got[i].Cursor != r.Cursor {
					t.Errorf("round %d: %s was not delivered", i, r.Cursor)
					return
				}
				n.Unsubscribe(channel)
			}
		})
	}
	wg.Wait()
	close(stop)
	sweeping.Wait()
	require.EqualValues(t, workers*rounds, store.Stats().Published)
}
