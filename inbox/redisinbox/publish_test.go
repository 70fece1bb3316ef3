package redisinbox_test

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/tallywire/tallywire/events"
	"github.com/tallywire/tallywire/inbox"
	"github.com/tallywire/tallywire/internal/redistest"
)

// What was added before any gateway ran, and what is added while one runs, is published in order.
func TestPublishes(t *testing.T) {
	s := redistest.Start(t)
	for i := 1; i <= 300; i++ {
		add(t, s, "channel", fmt.Sprint("jobs:", i%3), "event", step(i/3+1))
	}
	n := startNode(t, s.URL(), "a", settings{})
	drained(t, s)
	for i := 301; i <= 600; i++ {
		add(t, s, "event", " "+step(i/3+1)+"\n", "channel", fmt.Sprint("jobs:", i%3), "note", "ignored")
	}
	drained(t, s)
	require.Equal(t, upTo(200), log(t, s, "jobs:1")[:200])
	require.Len(t, log(t, s, "jobs:0"), 200)
	require.Len(t, log(t, s, "jobs:2"), 200)
	stats := n.Stats()
	require.EqualValues(t, 600, stats.Taken)
	require.EqualValues(t, 600, stats.Published)
	require.Zero(t, stats.Duplicates)
	require.Zero(t, stats.Claimed)
	require.Zero(t, stats.Refused)
	require.Zero(t, stats.Held)
	require.EqualValues(t, 1, stats.Terms)
	require.True(t, strings.HasPrefix(stats.Holder, "a/"))
	require.Empty(t, letters(t, n))
}

// An event's own id makes a repeated XADD harmless, together with a publish that went another way; without one
// the entry's id only makes repetitions by gateways harmless.
func TestIdempotencyKeys(t *testing.T) {
	s := redistest.Start(t)
	n := startNode(t, s.URL(), "a", settings{})
	add(t, s, "channel", "jobs:1", "event", step(1))
	drained(t, s)
	add(t, s, "channel", "jobs:1", "event", step(1))
	s.Do("FCALL", "tw_publish", 1, "tw:{jobs:1}", step(2), "id=w/2")
	add(t, s, "channel", "jobs:1", "event", step(2))
	add(t, s, "channel", "jobs:1", "event", `{"id":"3","type":"test.step","data":{"n":3}}`)
	add(t, s, "channel", "jobs:1", "event", `{"id":"3","source":"jobs:1","type":"test.step","data":{"n":3}}`)
	without := `{"type":"test.step","data":{"n":4}}`
	id := add(t, s, "channel", "jobs:1", "event", without)
	add(t, s, "channel", "jobs:1", "event", without)
	drained(t, s)
	require.Equal(t, []int{1, 2, 3, 4, 4}, log(t, s, "jobs:1"))
	require.EqualValues(t, 3, n.Stats().Duplicates)
	require.EqualValues(t, 1, s.Do("EXISTS", "tw:{jobs:1}:seen:_inbox/"+id))
	require.EqualValues(t, 1, s.Do("EXISTS", "tw:{jobs:1}:seen:jobs:1/3"))
}

// What cannot be published goes to the dead letters with the reason, and blocks nothing.
func TestMalformed(t *testing.T) {
	s := redistest.Start(t)
	n := startNode(t, s.URL(), "a", settings{})
	large := `{"type":"test.step","data":"` + strings.Repeat("x", events.MaxEventBytes) + `"}`
	for i, c := range []struct {
		fields                []any
		channel, code, reason string
	}{
		{[]any{"event", step(1)}, "_inbox", "invalid_channel", "channel: is required"},
		{[]any{"channel", "", "event", step(1)}, "_inbox", "invalid_channel", "channel: is required"},
		{[]any{"channel", "_inbox", "event", step(1)}, "_inbox", "invalid_channel", "reserved"},
		{[]any{"channel", "_probe.1", "event", step(1)}, "_inbox", "invalid_channel", "reserved"},
		{[]any{"channel", "a b", "event", step(1)}, "_inbox", "invalid_channel", `"a b"`},
		{[]any{"channel", "a}:b{", "event", step(1)}, "_inbox", "invalid_channel", "channel"},
		{[]any{"channel", strings.Repeat("c", 129), "event", step(1)}, "_inbox", "invalid_channel", "channel"},
		{[]any{"channel", strings.Repeat("c", 100_000), "event", step(1)}, "_inbox", "invalid_channel", "channel"},
		{[]any{"channel", "\xff\x00", "event", step(1)}, "_inbox", "invalid_channel", "channel"},
		{[]any{"nothing", "at all"}, "_inbox", "invalid_channel", "channel: is required"},
		{[]any{"channel", "jobs:1"}, "jobs:1", "invalid_event", "event: is required"},
		{[]any{"channel", "jobs:1", "event", ""}, "jobs:1", "invalid_event", "event: is required"},
		{[]any{"channel", "jobs:1", "event", "  \n"}, "jobs:1", "invalid_event", "event: is required"},
		{[]any{"channel", "jobs:1", "event", "null"}, "jobs:1", "invalid_event", ""},
		{[]any{"channel", "jobs:1", "event", "[]"}, "jobs:1", "invalid_event", ""},
		{[]any{"channel", "jobs:1", "event", `{"type":"test.step"`}, "jobs:1", "invalid_event", ""},
		{[]any{"channel", "jobs:1", "event", "\xff\xfe"}, "jobs:1", "invalid_event", "UTF-8"},
		{[]any{"channel", "jobs:1", "event", `{}`}, "jobs:1", "invalid_event", "/type: type"},
		{[]any{"channel", "jobs:1", "event", `{"type":"job.started","data":{"job_id":1}}`}, "jobs:1", "invalid_event", "/data/job_id: "},
		{[]any{"channel", "typed:1", "event", step(1)}, "typed:1", "invalid_event", "/type: type: test.step is not accepted"},
		{[]any{"channel", "jobs:1", "event", large}, "jobs:1", "invalid_event", fmt.Sprint("too large: ", len(large), " bytes")},
		{
			[]any{"channel", "jobs:1", "event", fmt.Sprintf(`{"type":"test.step","id":"%0256d","source":"%0256d"}`, 1, 1)},
			"jobs:1", "invalid_event", "source and id",
		},
	} {
		id := add(t, s, c.fields...)
		add(t, s, "channel", "jobs:1", "event", step(i+1))
		drained(t, s)
		all := letters(t, n)
		require.Len(t, all, i+1, "%v", c.fields)
		letter := all[i]
		require.Equal(t, c.channel, letter.Channel)
		require.Equal(t, c.code, letter.Code)
		require.Contains(t, letter.Reason, "inbox entry "+id+": ")
		require.Contains(t, letter.Reason, c.reason)
		require.Less(t, len(letter.Reason), 700)
		require.LessOrEqual(t, len(letter.Event), events.MaxEventBytes)
		ms, number, _ := strings.Cut(id, "-")
		require.Equal(t, fmt.Sprint(ms, "-", len(number)), fmt.Sprint(letter.Cursor.Offset, "-", len(number)))
		require.False(t, letter.Cursor.IsZero())
		require.Equal(t, upTo(i+1), log(t, s, "jobs:1"), "the one behind it")
	}
	require.EqualValues(t, 22, n.Stats().Refused)
	require.EqualValues(t, 22, n.Stats().Published)
	require.Zero(t, n.Stats().LettersLost)
}

// A channel that Redis refuses to write to holds up nobody else, and its entries go to the dead letters.
func TestRefusedByRedis(t *testing.T) {
	s := redistest.Start(t)
	n := startNode(t, s.URL(), "a", settings{Options: inbox.Options{Patience: 300 * time.Millisecond}})
	s.Do("SET", "tw:{broken:1}", "somebody else's")
	for i := range 3 {
		add(t, s, "channel", "broken:1", "event", step(i+1))
		add(t, s, "channel", "jobs:1", "event", step(i+1))
	}
	s.Eventually("the others", func() bool { return n.Stats().Published == 3 })
	require.Zero(t, n.Stats().Refused, "tried again for a while")
	drained(t, s)
	require.Equal(t, upTo(3), log(t, s, "jobs:1"))
	all := letters(t, n)
	require.Len(t, all, 3)
	for i, letter := range all {
		require.Equal(t, "broken:1", letter.Channel)
		require.Equal(t, "refused", letter.Code)
		require.Contains(t, letter.Reason, "WRONGTYPE")
		require.Equal(t, step(i+1), string(letter.Event))
	}
	require.NotZero(t, n.Stats().Retried)

	// Where not even the letter is taken, the log has it, and the inbox goes on.
	s.Do("SET", "tw:_dead", "somebody else's")
	add(t, s, "channel", "jobs:1", "event", "no JSON")
	add(t, s, "channel", "jobs:1", "event", step(4))
	drained(t, s)
	require.Equal(t, upTo(4), log(t, s, "jobs:1"))
	require.EqualValues(t, 1, n.Stats().LettersLost)
}

// While memory is short nothing is lost and nothing is refused.
func TestOutOfMemory(t *testing.T) {
	s := redistest.Start(t)
	n := startNode(t, s.URL(), "a", settings{Options: inbox.Options{Patience: time.Millisecond}})
	active(t, s, n)
	add(t, s, "channel", "jobs:1", "event", step(1))
	drained(t, s)
	pipe := s.Admin().TxPipeline() // at once, or the entries are published before
	for i := 2; i <= 20; i++ {
		pipe.Do(t.Context(), "XADD", inboxKey, "*", "channel", "jobs:1", "event", step(i))
	}
	pipe.Do(t.Context(), "XADD", inboxKey, "*", "channel", "jobs:2", "event", "no JSON")
	pipe.ConfigSet(t.Context(), "maxmemory", "1mb")
	_, err := pipe.Exec(t.Context())
	require.NoError(t, err)
	s.Eventually("many tries", func() bool { return n.Stats().Retried >= 6 })
	require.Equal(t, upTo(1), log(t, s, "jobs:1"))
	require.Zero(t, n.Stats().Refused)
	s.Do("CONFIG", "SET", "maxmemory", "0")
	drained(t, s)
	require.Equal(t, upTo(20), log(t, s, "jobs:1"))
	require.Len(t, letters(t, n), 1)
}

// What is taken and not done is bounded, however much waits.
func TestWindow(t *testing.T) {
	s := redistest.Start(t)
	for i := 1; i <= 500; i++ {
		add(t, s, "channel", "jobs:1", "event", step(i))
	}
	s.Do("SET", "tw:{broken:1}", "somebody else's")
	for i := 1; i <= 500; i++ {
		add(t, s, "channel", "broken:1", "event", step(i))
	}
	n := startNode(t, s.URL(), "a", settings{Options: inbox.Options{Patience: time.Hour, MaxEntries: 64}})
	s.Eventually("the first channel", func() bool { return n.Stats().Published == 500 })
	s.Eventually("a full window", func() bool { return n.Stats().Held == 64 })
	require.EqualValues(t, 564, n.Stats().Taken)
	s.Eventually("a count of what waits", func() bool { return n.Stats().Waiting == 500 })
	require.Positive(t, n.Stats().Oldest)
	s.Do("DEL", "tw:{broken:1}")
	drained(t, s)
	require.Equal(t, upTo(500), log(t, s, "jobs:1"))
	require.Equal(t, upTo(500), log(t, s, "broken:1"))
}
