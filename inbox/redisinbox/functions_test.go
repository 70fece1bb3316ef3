package redisinbox_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/tallywire/tallywire/inbox/redisinbox"
	"github.com/tallywire/tallywire/internal/redistest"
)

// functions calls the library as a gateway's bytes on the wire do, at whatever moment they arrive.
type functions struct {
	*testing.T
	server *redistest.Server
}

func loaded(t *testing.T) functions {
	t.Helper()
	s := redistest.Start(t)
	store, err := redisinbox.New(s.Admin(), redisinbox.Options{})
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, store.Close()) })
	require.NoError(t, store.Load(t.Context()))
	return functions{t, s}
}

func (f functions) call(name string, args ...any) any {
	f.Helper()
	reply, err := f.server.Admin().Do(f.Context(), append([]any{"FCALL", "tw_inbox_" + name}, args...)...).Result()
	if err != nil {
		return err.Error()
	}
	return reply
}

func (f functions) hold(token string) []any {
	f.Helper()
	l, ok := f.call("hold", 2, inboxKey, leaseKey, token, 60_000).([]any)
	require.True(f, ok)
	require.Len(f, l, 5)
	return l
}

// take returns the word and the ids of the answer.
func (f functions) take(token, after string, count int) (word string, ids []string) {
	f.Helper()
	l, ok := f.call("take", 2, inboxKey, leaseKey, token, after, count).([]any)
	require.True(f, ok)
	for i := 1; i < len(l); i += 4 {
		ids = append(ids, l[i].(string))
	}
	return l[0].(string), ids
}

// What arrives from a gateway whose lease is over takes nothing and keeps nobody from anything.
func TestFence(t *testing.T) {
	f := loaded(t)
	var ids []string
	for i := range 6 {
		ids = append(ids, add(t, f.server, "channel", "jobs:1", "event", step(i+1)))
	}
	require.EqualValues(t, 1, f.hold("a")[0])
	word, got := f.take("a", "0-0", 2)
	require.Equal(t, "new", word)
	require.Equal(t, ids[:2], got)
	l := f.hold("b")
	require.EqualValues(t, 0, l[0])
	require.Equal(t, "a", l[1])
	require.InDelta(t, 60_000, l[2], 5000)
	require.EqualValues(t, 6, l[3])

	f.server.Do("PEXPIRE", leaseKey, 0)
	word, got = f.take("a", ids[1], 2)
	require.Equal(t, "lost", word, "a lease that has ended is none, also while nobody else has it")
	require.Empty(t, got)
	require.EqualValues(t, 1, f.hold("b")[0])
	word, _ = f.take("a", ids[1], 2)
	require.Equal(t, "lost", word)
	require.EqualValues(t, 0, f.hold("a")[0])
	require.EqualValues(t, 0, f.call("release", 1, leaseKey, "a"))

	word, got = f.take("b", "0-0", 10)
	require.Equal(t, "claimed", word, "what the one before has not finished comes first, by itself")
	require.Equal(t, ids[:2], got)
	require.EqualValues(t, 1, f.call("done", 1, inboxKey, ids[0]), "a late acknowledgement of what was done is welcome")
	word, got = f.take("b", ids[1], 3)
	require.Equal(t, "new", word)
	require.Equal(t, ids[2:5], got)
	word, got = f.take("b", ids[1], 10)
	require.Equal(t, "claimed", word, "an answer that was lost is given again")
	require.Equal(t, ids[2:5], got)
	require.EqualValues(t, 4, f.call("done", 1, inboxKey, ids[1], ids[2], ids[3], ids[4]))
	require.EqualValues(t, 0, f.call("done", 1, inboxKey, ids[1]), "a repetition")
	require.EqualValues(t, 1, f.call("release", 1, leaseKey, "b"))
	require.EqualValues(t, 1, f.hold("a")[0])
	word, got = f.take("a", "0-0", 10)
	require.Equal(t, "new", word)
	require.Equal(t, ids[5:], got)
}

// Entries that somebody has deleted under the group's hands cost some calls, and hide nothing behind them.
func TestDeletedWhilePending(t *testing.T) {
	f := loaded(t)
	var ids []string
	for i := range 400 {
		ids = append(ids, add(t, f.server, "channel", "jobs:1", "event", step(i+1)))
	}
	f.hold("a")
	_, got := f.take("a", "0-0", 399)
	require.Len(t, got, 399)
	for _, id := range ids[:398] {
		f.server.Do("XDEL", inboxKey, id)
	}
	again := 0
	word, got := f.take("a", "0-0", 1)
	for ; word == "again"; again++ {
		word, got = f.take("a", "0-0", 1)
	}
	require.Equal(t, "claimed", word)
	require.Equal(t, ids[398:399], got)
	require.Positive(t, again)

	store, err := redisinbox.New(f.server.Admin(), redisinbox.Options{})
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, store.Close()) })
	batch, err := store.Take(t.Context(), "a", ids[398], 10)
	require.NoError(t, err)
	require.False(t, batch.Claimed)
	require.Equal(t, ids[399], batch.Entries[0].ID)
}

// Whatever an entry holds, an answer is bounded.
func TestEntriesAreCut(t *testing.T) {
	f := loaded(t)
	huge := strings.Repeat("x", 5<<20)
	add(t, f.server, "channel", huge, "event", huge, "channel", "second", huge, huge)
	f.hold("a")
	l, ok := f.call("take", 2, inboxKey, leaseKey, "a", "0-0", 10).([]any)
	require.True(t, ok)
	require.Len(t, l, 5)
	require.Len(t, l[2], 256)
	require.Len(t, l[3], 65537)
	require.EqualValues(t, len(huge), l[4])
}

func TestFunctionsRefuse(t *testing.T) {
	f := loaded(t)
	for _, args := range [][]any{
		{"hold", 1, inboxKey, "t", 1},
		{"hold", 2, inboxKey, leaseKey, "", 1},
		{"hold", 2, inboxKey, leaseKey, "t", 0},
		{"hold", 2, inboxKey, leaseKey, "t", "soon"},
		{"release", 0, "t"},
		{"release", 1, leaseKey},
		{"take", 2, inboxKey, leaseKey, "t", "0", 1},
		{"take", 2, inboxKey, leaseKey, "t", "0-0", 0},
		{"take", 2, inboxKey, leaseKey, "t", "0-0", 1001},
		{"take", 1, inboxKey, "t", "0-0", 1},
		{"done", 1, inboxKey},
		{"done", 0, "1-1"},
	} {
		text, ok := f.call(args[0].(string), args[1:]...).(string)
		require.True(t, ok, "%v", args)
		require.Contains(t, text, "ERR tallywire invalid_option", "%v", args)
	}
	require.EqualValues(t, 0, f.server.Do("DBSIZE"))
	f.server.Do("SET", inboxKey, "somebody else's")
	require.Contains(t, fmt.Sprint(f.call("hold", 2, inboxKey, leaseKey, "t", 1000)), "WRONGTYPE")
	require.EqualValues(t, 0, f.server.Do("EXISTS", leaseKey))
}

func TestLibrary(t *testing.T) {
	s := redistest.Start(t)
	store, err := redisinbox.New(s.Admin(), redisinbox.Options{})
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, store.Close()) })
	state, err := store.LibraryState(t.Context())
	require.NoError(t, err)
	require.EqualValues(t, "missing", state)
	require.NoError(t, store.Load(t.Context()))
	state, err = store.LibraryState(t.Context())
	require.NoError(t, err)
	require.EqualValues(t, "same", state)
	require.EqualValues(t, 1, s.Do("FCALL_RO", "tw_inbox_version", 0))
	require.Contains(t, store.Library(), "\n-- tallywire-version: 1\n")
	require.Contains(t, store.Library(), "\nlocal VERSION = 1\n")
	for _, o := range []redisinbox.Options{{Prefix: "tw{"}, {Timeout: -1}} {
		_, err := redisinbox.New(s.Admin(), o)
		require.Error(t, err)
	}
}
