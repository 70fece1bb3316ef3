package redisbroker_test

import (
	"fmt"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"
	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/tallywire/tallywire/broker"
	"github.com/tallywire/tallywire/internal/redistest"
)

// worker calls the functions as a worker of any language does: with a plain client and FCALL.
type worker struct {
	testing.TB
	*redistest.Server
}

// newWorker starts a server with the library as it stands in the file, or as a broker loads it.
func newWorker(t *testing.T, asFile bool) worker {
	t.Helper()
	s := redistest.Start(t)
	if asFile {
		source, err := os.ReadFile("functions/tallywire.lua")
		require.NoError(t, err)
		s.Do("FUNCTION", "LOAD", string(source))
	} else {
		require.NoError(t, open(t, s.URL(), quick(t)).Load(t.Context()))
	}
	return worker{t, s}
}

func (w worker) publish(channel, event string, options ...any) (cursor string, duplicate bool) {
	w.Helper()
	reply := w.Do(append([]any{"FCALL", "tw_publish", 1, key(channel), event}, options...)...)
	list := reply.([]any)
	require.Len(w, list, 2)
	return list[0].(string), list[1].(int64) == 1
}

func (w worker) cursor(channel, event string) broker.Cursor {
	w.Helper()
	text, _ := w.publish(channel, event)
	c, err := broker.ParseCursor(text)
	require.NoError(w, err)
	return c
}

// refused runs a command and returns the text of its error.
func (w worker) refused(args ...any) string {
	w.Helper()
	_, err := w.Admin().Do(w.Context(), args...).Result()
	require.Error(w, err, "%v", args)
	return err.Error()
}

func (w worker) stream(channel string) []redis.XMessage {
	w.Helper()
	m, err := w.Admin().XRange(w.Context(), key(channel), "-", "+").Result()
	require.NoError(w, err)
	return m
}

func TestPublishFunction(t *testing.T) {
	w := newWorker(t, true)
	sub := w.Admin().Subscribe(t.Context(), key("jobs:42"))
	defer sub.Close()
	_, err := sub.Receive(t.Context())
	require.NoError(t, err)

	c := w.cursor("jobs:42", `{"n":1}`)
	d := w.cursor("jobs:42", `{"n":2}`)
	entries := w.stream("jobs:42")
	require.Len(t, entries, 3)
	genesis, err := broker.ParseCursor(entries[0].ID)
	require.NoError(t, err)
	require.Equal(t, map[string]any{"e": "", "p": "0"}, entries[0].Values)
	require.Equal(t, map[string]any{"e": `{"n":1}`, "p": fmt.Sprint(genesis.Stamp)}, entries[1].Values)
	require.Equal(t, map[string]any{"e": `{"n":2}`, "p": fmt.Sprint(c.Stamp)}, entries[2].Values)
	require.Equal(t, []string{c.String(), d.String()}, []string{entries[1].ID, entries[2].ID})
	require.Equal(t, []uint64{1, 2, 3}, []uint64{genesis.Offset, c.Offset, d.Offset})
	require.WithinDuration(t, time.Now(), d.Time(), time.Minute)

	for _, want := range []string{
		fmt.Sprintf(`%s %d {"n":1}`, c, genesis.Stamp), fmt.Sprintf(`%s %d {"n":2}`, d, c.Stamp),
	} {
		m, err := sub.ReceiveMessage(t.Context())
		require.NoError(t, err)
		require.Equal(t, want, m.Payload)
	}
	w.Do("FCALL", "tw_signal", 1, key("jobs:42"), `{"typing":true}`)
	m, err := sub.ReceiveMessage(t.Context())
	require.NoError(t, err)
	require.Equal(t, `~ {"typing":true}`, m.Payload)
	require.Len(t, w.stream("jobs:42"), 3)
}

// Offsets follow the last id that was ever given out, also when trimming has emptied the stream.
func TestOffsetsSurviveTrimming(t *testing.T) {
	w := newWorker(t, false)
	for range 3 {
		w.publish("jobs:1", `{}`)
	}
	w.Do("XTRIM", key("jobs:1"), "MAXLEN", 0)
	require.Equal(t, uint64(5), w.cursor("jobs:1", `{}`).Offset)

	// To delete the newest entry is not part of the contract. Its offset is given out again with another
	// stamp: a fork, which readers that had it are told of.
	kept := w.cursor("jobs:1", `{}`)
	deleted := w.cursor("jobs:1", `{}`)
	w.Do("XDEL", key("jobs:1"), deleted.String())
	next := w.cursor("jobs:1", `{}`)
	require.Equal(t, deleted.Offset, next.Offset)
	require.Greater(t, next.Stamp, deleted.Stamp)
	entries := w.stream("jobs:1")
	require.Equal(t, fmt.Sprint(kept.Stamp), entries[len(entries)-1].Values["p"], "the chain goes on from what is left")

	w.Do("DEL", key("jobs:1"))
	require.Equal(t, uint64(2), w.cursor("jobs:1", `{}`).Offset)
}

// A stamp ahead of the clock (it was set back) is followed by the next microsecond.
func TestStampsAlwaysIncrease(t *testing.T) {
	w := newWorker(t, false)
	ahead := uint64(time.Now().Add(time.Hour).UnixMicro())
	w.Do("XADD", key("jobs:1"), fmt.Sprintf("41-%d", ahead), "e", `{}`, "p", ahead-1)
	require.Equal(t, broker.Cursor{Offset: 42, Stamp: ahead + 1}, w.cursor("jobs:1", `{}`))
	require.Equal(t, broker.Cursor{Offset: 43, Stamp: ahead + 2}, w.cursor("jobs:1", `{}`))
}

// Large numbers are printed exactly.
func TestNumbersAreExact(t *testing.T) {
	w := newWorker(t, false)
	const offset, stamp = 9007199254740001, 9007199254740011
	w.Do("XADD", key("jobs:1"), fmt.Sprintf("%d-%d", offset, stamp), "e", `{}`, "p", "1")
	require.Equal(t, broker.Cursor{Offset: offset + 1, Stamp: stamp + 1}, w.cursor("jobs:1", `{}`))
	w.Do("XADD", key("jobs:2"), "9007199254740993-5", "e", `{}`, "p", "1")
	require.Contains(t, w.refused("FCALL", "tw_publish", 1, key("jobs:2"), `{}`), "ERR tallywire offset_overflow ")
}

func TestRetentionFunction(t *testing.T) {
	w := newWorker(t, false) // brokertest's table: small retains 8, brief lives 30s
	for range 20 {
		w.publish("small:1", `{}`)
		w.publish("small:deeper:1", `{}`)
		w.publish("smaller:1", `{}`)
		w.publish("jobs:1", `{}`, "maxlen=3", "ttl_ms=5000")
	}
	require.Len(t, w.stream("small:1"), 8)
	require.Len(t, w.stream("small:deeper:1"), 8)
	require.Len(t, w.stream("smaller:1"), 21)
	require.Len(t, w.stream("jobs:1"), 3)
	ttl := func(channel string) time.Duration {
		d, err := w.Admin().PTTL(t.Context(), key(channel)).Result()
		require.NoError(t, err)
		return d
	}
	require.InDelta(t, 5*time.Second, ttl("jobs:1"), float64(4*time.Second))
	require.InDelta(t, 24*time.Hour, ttl("small:1"), float64(10*time.Second))
	w.publish("brief:1", `{}`)
	require.InDelta(t, 30*time.Second, ttl("brief:1"), float64(10*time.Second))

	// The audit keeps a stream alive, and leaves alone what lives long enough or for ever.
	w.Do("FCALL", "tw_open", 1, key("jobs:1"))
	require.InDelta(t, 10*time.Minute, ttl("jobs:1"), float64(10*time.Second))
	w.Do("PERSIST", key("small:1"))
	w.Do("FCALL", "tw_open", 1, key("small:1"))
	require.Negative(t, ttl("small:1"))
}

func TestIdempotencyFunction(t *testing.T) {
	w := newWorker(t, false)
	first, duplicate := w.publish("jobs:1", `{"n":1}`, "id=w/1")
	require.False(t, duplicate)
	again, duplicate := w.publish("jobs:1", `{"n":"other"}`, "id=w/1")
	require.True(t, duplicate)
	require.Equal(t, first, again)
	require.Len(t, w.stream("jobs:1"), 2)
	require.Equal(t, first, w.Do("GET", key("jobs:1")+":seen:w/1"))

	// The memory of an event whose stream is gone must not make a publish vanish.
	w.Do("DEL", key("jobs:1"))
	fresh, duplicate := w.publish("jobs:1", `{"n":1}`, "id=w/1")
	require.False(t, duplicate)
	require.NotEqual(t, first, fresh)
	require.Len(t, w.stream("jobs:1"), 2)
}

func TestFunctionErrors(t *testing.T) {
	w := newWorker(t, false)
	w.Do("SET", key("string"), "x")
	w.Do("LPUSH", key("jobs:9")+":seen:w/1", "x")
	long := strings.Repeat("x", 129)
	for _, c := range []struct {
		want string
		args []any
	}{
		{"ERR tallywire invalid_channel ", []any{"tw_publish", 1, "jobs:1", `{}`}},
		{"ERR tallywire invalid_channel ", []any{"tw_publish", 1, "tw:jobs", `{}`}},
		{"ERR tallywire invalid_channel ", []any{"tw_publish", 1, "tw:{}", `{}`}},
		{"ERR tallywire invalid_channel ", []any{"tw_publish", 1, "tw:{a b}", `{}`}},
		{"ERR tallywire invalid_channel ", []any{"tw_publish", 1, "tw:{a}:seen:x", `{}`}},
		{"ERR tallywire invalid_channel ", []any{"tw_publish", 1, "tw:{a}{b}", `{}`}},
		{"ERR tallywire invalid_channel ", []any{"tw_publish", 1, "tw:{" + long + "}", `{}`}},
		{"ERR tallywire invalid_channel ", []any{"tw_publish", 1, "tw:{_reserved}", `{}`}},
		{"ERR tallywire invalid_channel ", []any{"tw_publish", 0, `{}`}},
		{"ERR tallywire invalid_channel ", []any{"tw_publish", 2, key("a"), key("b"), `{}`}},
		{"ERR tallywire invalid_event ", []any{"tw_publish", 1, key("a")}},
		{"ERR tallywire invalid_event ", []any{"tw_publish", 1, key("a"), ``}},
		{"ERR tallywire invalid_event ", []any{"tw_publish", 1, key("a"), `[1]`}},
		{"ERR tallywire invalid_event ", []any{"tw_publish", 1, key("a"), `{"cut":`}},
		{"ERR tallywire event_too_large ", []any{"tw_publish", 1, key("a"), "{" + strings.Repeat(" ", 70_000) + "}"}},
		{"ERR tallywire invalid_option ", []any{"tw_publish", 1, key("a"), `{}`, "max=1"}},
		{"ERR tallywire invalid_option ", []any{"tw_publish", 1, key("a"), `{}`, "maxlen=0"}},
		{"ERR tallywire invalid_option ", []any{"tw_publish", 1, key("a"), `{}`, "maxlen=1e3"}},
		{"ERR tallywire invalid_option ", []any{"tw_publish", 1, key("a"), `{}`, "ttl_ms=-1"}},
		{"ERR tallywire invalid_option ", []any{"tw_publish", 1, key("a"), `{}`, "id="}},
		{"ERR tallywire invalid_option ", []any{"tw_publish", 1, key("a"), `{}`, "w/1"}},
		{"WRONGTYPE ", []any{"tw_publish", 1, key("string"), `{}`}},
		{"WRONGTYPE ", []any{"tw_publish", 1, key("jobs:9"), `{}`, "id=w/1"}},
		{"WRONGTYPE ", []any{"tw_open", 1, key("string")}},
		{"ERR tallywire invalid_channel ", []any{"tw_open", 1, "tw:x"}},
		{"ERR tallywire invalid_option ", []any{"tw_read", 1, key("a"), "from", "-1", 1, 1}},
		{"ERR tallywire invalid_option ", []any{"tw_read", 1, key("a"), "from", 1, 1001, 1}},
		{"ERR tallywire invalid_option ", []any{"tw_read", 1, key("a"), "until", 1, 1, 1}},
		{"ERR tallywire invalid_event ", []any{"tw_signal", 1, key("a"), "x"}},
		{"ERR tallywire invalid_channel ", []any{"tw_dead", 1, "tw:dead", "a", "1-1", "c", "r", "{}", 10}},
		{"ERR tallywire invalid_option ", []any{"tw_dead", 1, "tw:_dead", "a", "1-1"}},
	} {
		require.Contains(t, w.refused(append([]any{"FCALL"}, c.args...)...), c.want, "%.120v", c.args)
	}
	keys, err := w.Admin().Keys(t.Context(), "*").Result()
	require.NoError(t, err)
	require.ElementsMatch(t, []string{key("string"), key("jobs:9") + ":seen:w/1"}, keys, "a refused call has written")
	require.Equal(t, int64(1), w.Do("FCALL_RO", "tw_version", 0))
}

// Any event arrives as it was published, byte for byte.
func TestEventsAreOpaque(t *testing.T) {
	w := newWorker(t, false)
	rapid.Check(t, func(rt *rapid.T) {
		event := "{" + string(rapid.SliceOf(rapid.Byte()).Draw(rt, "bytes")) + "}"
		c := w.cursor("jobs:bytes", event)
		m, err := w.Admin().XRange(t.Context(), key("jobs:bytes"), c.String(), c.String()).Result()
		if err != nil || len(m) != 1 || m[0].Values["e"] != event {
			rt.Fatalf("%q became %v, %v", event, m, err)
		}
	})
}

func TestOutOfMemory(t *testing.T) {
	w := newWorker(t, false)
	w.publish("jobs:1", `{}`)
	w.Do("CONFIG", "SET", "maxmemory", "1")
	require.Contains(t, w.refused("FCALL", "tw_publish", 1, key("jobs:1"), `{}`), "OOM ")
	// Heads, reading and signals go on.
	require.Len(t, w.Do("FCALL", "tw_open", 1, key("jobs:1")), 3)
	require.Len(t, w.Do("FCALL_RO", "tw_read", 1, key("jobs:1"), "from", 1, 10, 1000), 9)
	require.Equal(t, int64(0), w.Do("FCALL", "tw_signal", 1, key("jobs:1"), `{}`))

	b := open(t, w.URL(), quick(t))
	sink := run(t, b)
	sink.Until(t, "a health that names the reason", func() bool {
		h, _ := sink.Healthy()
		return !h.OK && strings.Contains(h.Reason, "OOM")
	})
	_, err := broker.PublishWait(t.Context(), b, broker.Publication{Channel: "jobs:1", Event: []byte(`{}`)})
	require.ErrorIs(t, err, broker.ErrRefused)
	w.Do("CONFIG", "SET", "maxmemory", "0")
	sink.UntilHealthy(t, true)
	require.Zero(t, b.Stats().Reconnects, "a refusal is no reason to reconnect")
}
