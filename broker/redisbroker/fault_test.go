package redisbroker_test

import (
	"fmt"
	"strings"
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

func publish(t testing.TB, b *redisbroker.Broker, channel, event string) broker.Cursor {
	t.Helper()
	r, err := broker.PublishWait(t.Context(), b, broker.Publication{Channel: channel, Event: []byte(event)})
	require.NoError(t, err)
	return r.Cursor
}

func subscribe(t testing.TB, b *redisbroker.Broker, channel string) broker.Head {
	t.Helper()
	h, err := b.Subscribe(t.Context(), channel)
	require.NoError(t, err)
	return h
}

func untilHead(t testing.TB, sink *brokertest.Sink, channel string, want broker.Cursor) {
	t.Helper()
	sink.Until(t, "head "+want.String(), func() bool {
		heads := sink.Heads(channel)
		return len(heads) > 0 && heads[len(heads)-1].Cursor == want
	})
}

// The reply of an executed publish is lost: one entry in any case; without an id the caller hears that
// the outcome is unknown, with one it gets the cursor of the first.
func TestReplyLost(t *testing.T) {
	s := redistest.Start(t)
	proxy := redistest.StartProxy(t, s)
	b := open(t, proxy.URL(), quick(t))
	sink := run(t, b)
	sink.UntilHealthy(t, true)
	publish(t, b, "jobs:1", `{"n":0}`)

	proxy.LoseReplies(1, `"lost"`)
	_, err := broker.PublishWait(t.Context(), b, broker.Publication{Channel: "jobs:1", Event: []byte(`{"n":"lost"}`)})
	require.ErrorIs(t, err, broker.ErrUnavailable)
	require.Zero(t, proxy.Lost())
	p, err := b.Read(t.Context(), "jobs:1", broker.ReadRequest{From: 3})
	require.NoError(t, err)
	require.Len(t, p.Entries, 1, "executed once, whatever the caller heard")
	require.Zero(t, b.Stats().Retried, "a publish without an id was repeated")

	proxy.LoseReplies(1, `"again"`)
	r, err := broker.PublishWait(t.Context(), b, broker.Publication{Channel: "jobs:1", Event: []byte(`{"n":"again"}`), ID: "w/1"})
	require.NoError(t, err)
	require.True(t, r.Duplicate, "the repetition finds the first")
	require.EqualValues(t, 1, b.Stats().Retried)
	p, err = b.Read(t.Context(), "jobs:1", broker.ReadRequest{From: 4})
	require.NoError(t, err)
	require.Len(t, p.Entries, 1)
	require.Equal(t, r.Cursor, p.Entries[0].Cursor)
}

// A killed pub/sub connection is replaced, and every channel's head is told.
func TestPubSubKilled(t *testing.T) {
	s := redistest.Start(t)
	b := open(t, s.URL(), quick(t))
	sink := run(t, b)
	sink.UntilHealthy(t, true)
	const channels = 450 // several chunks
	for i := range channels {
		subscribe(t, b, fmt.Sprintf("jobs:%d", i))
	}
	heads := func(i int) int { return len(sink.Heads(fmt.Sprintf("jobs:%d", i))) }
	before := make([]int, channels)
	for i := range before {
		before[i] = heads(i)
	}
	s.Do("CLIENT", "KILL", "TYPE", "pubsub")
	sink.Until(t, "a new connection", func() bool { return b.Stats().Reconnects == 1 })
	for i := range before {
		sink.Until(t, "a head after the reconnect", func() bool { return heads(i) > before[i] })
	}
	c := publish(t, b, "jobs:7", `{}`)
	sink.Until(t, "an event on the new connection", func() bool {
		got := sink.Entries("jobs:7")
		return len(got) > 0 && got[len(got)-1].Cursor == c
	})
	require.Equal(t, channels, b.Stats().Subscribed)
}

// A frozen server is noticed by the missing probe, and what was published meanwhile is caught up.
func TestFrozen(t *testing.T) {
	s := redistest.Start(t)
	o := quick(t)
	o.ProbeTimeout = 500 * time.Millisecond
	b := open(t, s.URL(), o)
	sink := run(t, b)
	sink.UntilHealthy(t, true)
	subscribe(t, b, "jobs:1")
	s.Pause()
	sink.UntilHealthy(t, false)
	h, _ := sink.Healthy()
	require.NotEmpty(t, h.Reason)
	require.NotZero(t, b.Stats().ProbesLost)
	require.GreaterOrEqual(t, time.Since(b.Stats().Probed), o.ProbeTimeout, "the last one that returned")
	start := time.Now()
	_, err := broker.PublishWait(t.Context(), b, broker.Publication{Channel: "jobs:1", Event: []byte(`{}`)})
	require.ErrorIs(t, err, broker.ErrUnavailable)
	require.Less(t, time.Since(start), 2*redisbroker.DefaultTimeout, "a frozen server holds callers up")
	s.Continue()
	sink.UntilHealthy(t, true)
	c := publish(t, b, "jobs:1", `{}`)
	sink.Until(t, "an event after the thaw", func() bool {
		got := sink.Entries("jobs:1")
		return len(got) > 0 && got[len(got)-1].Cursor == c
	})
}

// After FLUSHALL everything subscribed has a new stream, and the sink hears its head.
func TestFlushAll(t *testing.T) {
	s := redistest.Start(t)
	b := open(t, s.URL(), quick(t))
	sink := run(t, b)
	sink.UntilHealthy(t, true)
	subscribe(t, b, "jobs:1")
	for range 5 {
		publish(t, b, "jobs:1", `{}`)
	}
	old := publish(t, b, "jobs:1", `{}`)
	untilHead(t, sink, "jobs:1", old)
	s.Do("FLUSHALL")
	s.Do("FUNCTION", "FLUSH")
	sink.Until(t, "a head of the new stream", func() bool {
		heads := sink.Heads("jobs:1")
		h := heads[len(heads)-1]
		return h.Cursor.Offset == 1 && h.Cursor.Stamp > old.Stamp
	})
	p, err := b.Read(t.Context(), "jobs:1", broker.ReadRequest{From: old.Offset + 1})
	require.NoError(t, err)
	require.Equal(t, broker.Expired, p.Check(old))
}

// A restart with its append-only file goes on where it was.
func TestRestartWithAOF(t *testing.T) {
	s := redistest.Start(t, redistest.WithAOF())
	b := open(t, s.URL(), quick(t))
	sink := run(t, b)
	sink.UntilHealthy(t, true)
	subscribe(t, b, "jobs:1")
	old := publish(t, b, "jobs:1", `{}`)
	s.Kill()
	sink.UntilHealthy(t, false)
	s.Restart()
	sink.UntilHealthy(t, true)
	untilHead(t, sink, "jobs:1", old)
	c := publish(t, b, "jobs:1", `{}`)
	require.Equal(t, old.Offset+1, c.Offset)
	sink.Until(t, "an event after the restart", func() bool { return len(sink.After("jobs:1", old.Offset)) == 1 })
	require.Equal(t, old.Stamp, sink.After("jobs:1", old.Offset)[0].Prev)
}

// Run starts while Redis is away, says so, and works once it is there.
func TestAwayAtStart(t *testing.T) {
	s := redistest.Start(t)
	proxy := redistest.StartProxy(t, s)
	proxy.Cut()
	b := open(t, proxy.URL(), quick(t))
	sink := run(t, b)
	sink.Until(t, "a reason", func() bool {
		h, _ := sink.Healthy()
		return !h.OK && h.Reason != "" && h.Reason != "starting"
	})
	_, err := b.Read(t.Context(), "jobs:1", broker.ReadRequest{})
	require.ErrorIs(t, err, broker.ErrUnavailable)
	proxy.Heal()
	sink.UntilHealthy(t, true)
	subscribe(t, b, "jobs:1")
}

// A doorbell that tw_publish did not ring is counted and ignored.
func TestMalformedDoorbells(t *testing.T) {
	s := redistest.Start(t)
	b := open(t, s.URL(), quick(t))
	sink := run(t, b)
	sink.UntilHealthy(t, true)
	subscribe(t, b, "jobs:1")
	bad := []string{
		"", "x", "{}", "2-5 {}", "2-5 x {}", "2 4 {}", "1-5 0 {}", "2-5 5 {}", "2-5 4 x", "~", "~ ", "~ x",
		"99999999999999999999999-5 4 {}", "2-99999999999999999999 4 {}", "-2-5 4 {}",
	}
	for _, payload := range bad {
		s.Do("PUBLISH", key("jobs:1"), payload)
	}
	s.Do("PUBLISH", key("jobs:1"), fmt.Sprintf("%2000000d", 1))
	c := publish(t, b, "jobs:1", `{}`)
	sink.Until(t, "the good one behind them", func() bool { return len(sink.Entries("jobs:1")) > 0 })
	require.Equal(t, c, sink.Entries("jobs:1")[0].Cursor)
	require.Len(t, sink.Entries("jobs:1"), 1)
	require.EqualValues(t, len(bad)+1, b.Stats().Malformed)
	require.Zero(t, b.Stats().Reconnects)
}

func TestDeadLetters(t *testing.T) {
	s := redistest.Start(t)
	a, b := open(t, s.URL(), redisbroker.Options{}), open(t, s.URL(), redisbroker.Options{})
	for i := range 5 {
		l := broker.DeadLetter{
			Channel: "jobs:1", Cursor: broker.Cursor{Offset: uint64(i) + 2, Stamp: 77},
			Code: "invalid_event", Reason: "data.percent: must be <= 100", Event: []byte(`{"bad":` + "\x00\xff"),
		}
		require.NoError(t, a.Bury(t.Context(), l))
		require.NoError(t, b.Bury(t.Context(), l), "the second gateway's letter")
	}
	first, next, err := a.List(t.Context(), "", 3)
	require.NoError(t, err)
	rest, end, err := b.List(t.Context(), next, 10)
	require.NoError(t, err)
	letters := append(first, rest...)
	require.Len(t, letters, 5, "several gateways have buried the same event")
	for i, l := range letters {
		require.Equal(t, broker.Cursor{Offset: uint64(i) + 2, Stamp: 77}, l.Cursor)
		require.Equal(t, `{"bad":`+"\x00\xff", string(l.Event))
		require.WithinDuration(t, time.Now(), l.Time, time.Minute)
	}
	require.Equal(t, "data.percent: must be <= 100", letters[0].Reason)
	none, same, err := a.List(t.Context(), end, 10)
	require.NoError(t, err)
	require.Empty(t, none)
	require.Equal(t, end, same)
}

// With a password and a user of its own the broker works, and wrong ones are told without repeating them.
func TestCredentials(t *testing.T) {
	s := redistest.Start(t)
	s.Do("ACL", "SETUSER", "gateway", "on", ">pass-word", "~tw:*", "&tw:*", "+@all", "-@dangerous", "+@scripting", "+info")
	url := "redis://gateway:pass-word@" + s.Addr()
	b := open(t, url, quick(t))
	sink := run(t, b)
	sink.UntilHealthy(t, true)
	subscribe(t, b, "jobs:1")
	publish(t, b, "jobs:1", `{}`)

	wrong := open(t, "redis://gateway:wrong-word@"+s.Addr(), quick(t))
	told := run(t, wrong)
	told.Until(t, "a reason", func() bool {
		h, _ := told.Healthy()
		return !h.OK && strings.Contains(h.Reason, "WRONGPASS")
	})
	_, err := broker.PublishWait(t.Context(), wrong, broker.Publication{Channel: "jobs:1", Event: []byte(`{}`)})
	require.ErrorIs(t, err, broker.ErrRefused)
	h, _ := told.Healthy()
	require.NotContains(t, err.Error()+h.Reason, "wrong-word")
}

func TestNewRefuses(t *testing.T) {
	ring := redis.NewRing(&redis.RingOptions{})
	defer func() { _ = ring.Close() }()
	_, err := redisbroker.New(ring, redisbroker.Options{})
	require.ErrorContains(t, err, "*redis.Ring")

	repeating := redis.NewClient(&redis.Options{Addr: "127.0.0.1:1"})
	defer repeating.Close()
	_, err = redisbroker.New(repeating, redisbroker.Options{})
	require.ErrorContains(t, err, "MaxRetries")

	safe, _, err := redisconn.Open("redis://127.0.0.1:1")
	require.NoError(t, err)
	defer safe.Close()
	for _, o := range []redisbroker.Options{
		{Prefix: "a{b"},
		{MaxInFlight: -1},
		{Timeout: -1},
		{ReplicaTimeout: time.Microsecond},
		{ReplicaTimeout: time.Minute},
		{DeadMaxLen: -1},
	} {
		_, err = redisbroker.New(safe, o)
		require.Error(t, err, "%+v", o)
	}
}

// Connections break again and again under a steady stream of publications with ids: every one of them
// that was acknowledged is in the log once, and one publisher's are in its order.
func TestPublishThroughBreaks(t *testing.T) {
	s := redistest.Start(t)
	proxy := redistest.StartProxy(t, s)
	b := open(t, proxy.URL(), quick(t))
	run(t, b).UntilHealthy(t, true)
	const rounds, each = 10, 200
	acked := map[string]broker.Cursor{}
	for round := range rounds {
		type answer struct {
			id  string
			r   broker.Receipt
			err error
		}
		answers := make(chan answer, each)
		proxy.LoseReplies(1, fmt.Sprintf(`{"n":%d}`, round*each+each/2))
		for i := range each {
			n := round*each + i
			id := fmt.Sprintf("w/%d", n)
			p := broker.Publication{Channel: "jobs:1", Event: fmt.Appendf(nil, `{"n":%d}`, n), ID: id}
			b.Publish(t.Context(), p, func(r broker.Receipt, err error) { answers <- answer{id, r, err} })
		}
		for range each {
			if a := <-answers; a.err == nil {
				acked[a.id] = a.r.Cursor
			} else {
				require.ErrorIs(t, a.err, broker.ErrUnavailable)
			}
		}
	}
	require.NotZero(t, b.Stats().Retried)
	entries, err := s.Admin().XRange(t.Context(), key("jobs:1"), "-", "+").Result()
	require.NoError(t, err)
	seen, last := map[string]string{}, -1
	for _, e := range entries[1:] {
		var n int
		_, err := fmt.Sscanf(e.Values["e"].(string), `{"n":%d}`, &n)
		require.NoError(t, err)
		require.Greater(t, n, last, "doubled, or out of order")
		last = n
		seen[fmt.Sprintf("w/%d", n)] = e.ID
	}
	for id, cursor := range acked {
		require.Equal(t, seen[id], cursor.String(), id)
	}
	require.Greater(t, len(acked), rounds*each*9/10, "one lost reply is answered by the repetition")
}
