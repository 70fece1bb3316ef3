package redispresence_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/tallywire/tallywire/internal/redistest"
	"github.com/tallywire/tallywire/presence"
	"github.com/tallywire/tallywire/presence/redispresence"
)

// functions calls the library as a gateway's bytes on the wire do, at whatever moment they arrive.
type functions struct {
	*testing.T
	server *redistest.Server
}

func loaded(t *testing.T) functions {
	t.Helper()
	s := redistest.Start(t)
	tracker, err := redispresence.New(client(t, s.URL()), redispresence.Options{Options: presence.Options{Gateway: "loader"}})
	require.NoError(t, err)
	require.NoError(t, tracker.Load(t.Context()))
	return functions{t, s}
}

func (f functions) call(name string, keys []string, args ...any) any {
	f.Helper()
	all := []any{"FCALL", "tw_presence_" + name, len(keys)}
	for _, k := range keys {
		all = append(all, k)
	}
	reply, err := f.server.Admin().Do(f.Context(), append(all, args...)...).Result()
	if err != nil {
		return err.Error()
	}
	return reply
}

var room = []string{"tw:{room:1}"}

func (f functions) enter(owner, claim, user, session string) any {
	f.Helper()
	reply, ok := f.call("enter", room, owner, claim, user, session, user, 1_000_000, "keep", "").([]any)
	require.True(f, ok)
	return reply[0]
}

func (f functions) leave(owner, claim, user, session string) any {
	f.Helper()
	reply, ok := f.call("leave", room, owner, claim, user, session, 0).([]any)
	require.True(f, ok)
	return reply[0]
}

func (f functions) version() string {
	v, _ := f.server.Admin().Get(f.Context(), "tw:{room:1}:members:version").Result()
	return v
}

// What a reaped incarnation has sent and Redis sees late is refused; its successor is not.
func TestFence(t *testing.T) {
	f := loaded(t)
	require.Equal(t, "ok", f.enter("gw/1", "c1", "alice", "s1"))
	require.Equal(t, "ok", f.enter("gw/1", "c2", "bob", "s1"))
	reply := f.call("reap", room, "gw/1", "other/5", 0, 100)
	require.Equal(t, []any{"ok", int64(0), int64(-1)}, reply)
	require.Equal(t, "void", f.enter("gw/1", "c1", "alice", "s1"))
	require.Equal(t, "void", f.enter("gw/1", "c3", "carol", "s1"))
	require.Equal(t, "void", f.leave("gw/1", "c1", "alice", "s1"))
	require.Equal(t, []any{"void", int64(0), int64(-1)}, f.call("reap", room, "other/5", "gw/1", 0, 100))
	require.EqualValues(t, 0, f.server.Do("HLEN", "tw:{room:1}:members"))
	require.Equal(t, "ok", f.enter("gw/2", "c1", "alice", "s1"))
	require.Equal(t, []any{"ok", int64(0), int64(-1)}, f.call("reap", room, "gw/1", "other/5", 0, 100), "reaped twice")
	require.EqualValues(t, 1, f.server.Do("HLEN", "tw:{room:1}:members"))

	list := []string{"tw:{gw/1}:channels", "tw:{gw/1}:closed"}
	require.Equal(t, int64(1), f.call("list", list, 1, "room:1"))
	f.server.Do("SET", list[1], "1")
	require.Equal(t, int64(0), f.call("list", list, 1, "room:2"), "a closed list has grown")
	require.EqualValues(t, 1, f.server.Do("SCARD", list[0]))
}

// A command that is repeated because its answer was lost does nothing the second time, also when the
// session has moved on in between.
func TestRepeats(t *testing.T) {
	f := loaded(t)
	require.Equal(t, "ok", f.enter("a/1", "c1", "alice", "s1"))
	v := f.version()
	require.Equal(t, "ok", f.enter("a/1", "c1", "alice", "s1"))
	require.Equal(t, "ok", f.enter("b/1", "c2", "alice", "s1"))
	require.Equal(t, "moved", f.enter("a/1", "c1", "alice", "s1"))
	require.Equal(t, "ok", f.leave("a/1", "c1", "alice", "s1"))
	require.Equal(t, v, f.version(), "somebody was told of nothing")
	require.Equal(t, "ok", f.leave("b/1", "c2", "alice", "s1"))
	require.NotEqual(t, v, f.version())
	v = f.version()
	require.Equal(t, "ok", f.leave("b/1", "c2", "alice", "s1"))
	require.Equal(t, "moved", f.enter("a/1", "c1", "alice", "s1"), "a session that has left is not brought back by the claim before its last")
	require.Equal(t, v, f.version())
}

// An empty channel leaves nothing behind but what expires.
func TestEverythingExpires(t *testing.T) {
	f := loaded(t)
	for i := range 50 {
		user := fmt.Sprint("u", i%20)
		require.Equal(t, "ok", f.enter("a/1", fmt.Sprint("c", i), user, fmt.Sprint("s", i)))
		require.Equal(t, "ok", f.enter("b/1", fmt.Sprint("d", i), user, fmt.Sprint("s", i)))
	}
	for i := range 25 {
		require.Equal(t, "ok", f.leave("b/1", fmt.Sprint("d", i), fmt.Sprint("u", i%20), fmt.Sprint("s", i)))
	}
	require.EqualValues(t, int64(-1), f.server.Do("PTTL", "tw:{room:1}:members:version"), "the version may not go before the members")
	for more := true; more; {
		reply, ok := f.call("reap", room, "b/1", "c/1", 0, 7).([]any)
		require.True(t, ok)
		more = reply[1] != int64(0)
	}
	keys, err := f.server.Admin().Keys(t.Context(), "*").Result()
	require.NoError(t, err)
	require.NotEmpty(t, keys)
	for _, k := range keys {
		require.True(t, strings.HasPrefix(k, "tw:{room:1}:members:"), k)
		require.NotEqual(t, int64(-1), f.server.Do("PTTL", k), "%s stays for ever", k)
	}
}

// Whatever the arguments, a call that is refused has changed nothing.
func TestRefusals(t *testing.T) {
	f := loaded(t)
	for _, c := range []struct {
		name string
		keys []string
		args []any
	}{
		{"enter", []string{"tw:room:1"}, []any{"a/1", "c", "u", "s", "n", 0, "set", ""}},
		{"enter", []string{"tw:{_gateways}"}, []any{"a/1", "c", "u", "s", "n", 0, "set", ""}},
		{"enter", []string{"tw:{a}", "tw:{a}"}, []any{"a/1", "c", "u", "s", "n", 0, "set", ""}},
		{"enter", room, []any{"a/1", "c", "u", "s", "n", 0, "take", ""}},
		{"enter", room, []any{"a/1", "c", "u", "s", "n", "soon", "set", ""}},
		{"enter", room, []any{"a/1"}},
		{"leave", room, []any{"a/1", "c", "u", "s", "soon"}},
		{"leave", []string{"tw:{a b}"}, []any{"a/1", "c", "u", "s", 0}},
		{"expire", room, []any{}},
		{"reap", room, []any{"a/1", "a/1", 0, 10}},
		{"members", room, []any{"", "many", 1}},
		{"list", []string{"tw:{a/1}:channels"}, []any{1, "c"}},
		{"acquire", []string{}, []any{1, "{}"}},
		{"refresh", []string{"tw:gateway:a"}, []any{1, "soon", "{}"}},
		{"release", []string{"tw:gateway:a"}, []any{}},
		{"lease", []string{}, []any{}},
		{"session", []string{"tw:user:u"}, []any{"s", "a/1", "c", 1, "soon", "{}"}},
		{"unsession", []string{"tw:user:u"}, []any{"s"}},
	} {
		text, ok := f.call(c.name, c.keys, c.args...).(string)
		require.True(t, ok, "%s %v", c.name, c.args)
		require.Regexp(t, `^ERR tallywire (invalid_channel|invalid_option) `, text)
	}
	require.EqualValues(t, 0, f.server.Do("DBSIZE"))
}

func TestLibraryVersion(t *testing.T) {
	f := loaded(t)
	require.Equal(t, int64(1), f.server.Do("FCALL_RO", "tw_presence_version", 0))
	tracker, err := redispresence.New(client(t, f.server.URL()), redispresence.Options{Options: presence.Options{Gateway: "g"}})
	require.NoError(t, err)
	require.Contains(t, tracker.Library(), "\n-- tallywire-version: 1\n")
	require.Contains(t, tracker.Library(), "\nlocal VERSION = 1\n")
	state, err := tracker.LibraryState(t.Context())
	require.NoError(t, err)
	require.EqualValues(t, "same", state)
}

func TestOptionsAreChecked(t *testing.T) {
	for _, o := range []redispresence.Options{
		{},
		{Options: presence.Options{Gateway: "a/b"}},
		{Options: presence.Options{Gateway: "a{b}"}},
		{Options: presence.Options{Gateway: "a", TTL: 1}},
		{Options: presence.Options{Gateway: "a", Timeout: -1}},
		{Options: presence.Options{Gateway: "a", MaxEntries: -1}},
		{Options: presence.Options{Gateway: "a", SessionTTL: 1}},
		{Options: presence.Options{Gateway: "a"}, Prefix: "tw{"},
	} {
		_, err := redispresence.New(nil, o)
		require.Error(t, err, "%+v", o)
	}
}
