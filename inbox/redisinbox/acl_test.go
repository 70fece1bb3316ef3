package redisinbox_test

import (
	"testing"

	"github.com/redis/go-redis/v9"
	"github.com/stretchr/testify/require"

	"github.com/tallywire/tallywire/internal/redistest"
)

// contract is where the users of this file's tests are documented.
const contract = "../../docs/redis-contract.md"

// loggedIn returns a client of a documented user.
func loggedIn(t *testing.T, s *redistest.Server, login string) *redis.Client {
	t.Helper()
	o, err := redis.ParseURL("redis://" + login + "@" + s.Addr())
	require.NoError(t, err)
	client := redis.NewClient(o)
	t.Cleanup(func() { require.NoError(t, client.Close()) })
	return client
}

// TestInboxWorkerUser adds as the user that the contract recommends, who may do nothing else.
func TestInboxWorkerUser(t *testing.T) {
	s := redistest.Start(t)
	worker := loggedIn(t, s, s.Users(contract)["inboxworker"])
	do := func(args ...any) error { return worker.Do(t.Context(), args...).Err() }
	n := startNode(t, s.URL(), "a", settings{})
	active(t, s, n)
	require.NoError(t, do("XADD", inboxKey, "*", "channel", "jobs:1", "event", step(1)))
	drained(t, s)
	require.Equal(t, upTo(1), log(t, s, "jobs:1"))
	for _, refused := range [][]any{
		{"FCALL", "tw_publish", 1, "tw:{jobs:1}", step(2)},
		{"FCALL", "tw_inbox_take", 2, inboxKey, leaseKey, "t", "0-0", 1},
		{"FCALL", "tw_inbox_done", 1, inboxKey, "1-1"},
		{"FCALL_RO", "tw_inbox_version", 0},
		{"XADD", "tw:{jobs:1}", "*", "e", "x", "p", "0"},
		{"XADD", "tw:_dead", "*", "channel", "x"},
		{"XADD", "tw:_inbox2", "*", "channel", "x"},
		{"XADD", "other:_inbox", "*", "channel", "x"},
		{"XREAD", "STREAMS", inboxKey, "0"},
		{"XRANGE", inboxKey, "-", "+"},
		{"XLEN", inboxKey},
		{"XREADGROUP", "GROUP", "gateways", "gateway", "STREAMS", inboxKey, ">"},
		{"XACK", inboxKey, "gateways", "1-1"},
		{"XDEL", inboxKey, "1-1"},
		{"XTRIM", inboxKey, "MAXLEN", 0},
		{"XGROUP", "DESTROY", inboxKey, "gateways"},
		{"DEL", inboxKey},
		{"GET", leaseKey},
		{"SET", leaseKey, "mine"},
		{"PUBLISH", "tw:{jobs:1}", "~ {}"},
		{"SUBSCRIBE", "tw:{jobs:1}"},
		{"KEYS", "*"},
		{"INFO"},
		{"EVAL", "return 1", 0},
		{"FLUSHALL"},
	} {
		require.ErrorContains(t, do(refused...), "NOPERM", "%v", refused)
	}
	require.Equal(t, upTo(1), log(t, s, "jobs:1"))
}

// TestGatewayUser takes, publishes, buries and changes hands as the user that the contract recommends, and needs
// everything of what that user may for it.
func TestGatewayUser(t *testing.T) {
	s := redistest.Start(t)
	url := "redis://" + s.Users(contract)["gateway"] + "@" + s.Addr()
	a, b := startNode(t, url, "a", brief), startNode(t, url, "b", brief)
	first := active(t, s, a, b)
	add(t, s, "channel", "jobs:1", "event", step(1))
	add(t, s, "channel", "jobs:1", "event", "no JSON")
	drained(t, s)
	first.stop()
	add(t, s, "channel", "jobs:1", "event", step(2))
	drained(t, s)
	require.Equal(t, upTo(2), log(t, s, "jobs:1"))
	require.Len(t, letters(t, a), 1)
	for _, n := range []*node{a, b} {
		require.Zero(t, n.Stats().Errors)
		require.NoError(t, n.store.Load(t.Context()))
	}
	require.Empty(t, s.Do("ACL", "LOG"), "something was denied")

	gateway := loggedIn(t, s, s.Users(contract)["gateway"])
	for _, refused := range [][]any{
		{"XADD", "other:_inbox", "*", "channel", "x"},
		{"SET", "{tw:_inbox}:other", "x"},
		{"SET", "{tw:_inbox2}:lease", "x"},
		{"XTRIM", inboxKey, "MAXLEN", 0},
		{"XGROUP", "DESTROY", inboxKey, "gateways"},
		{"XGROUP", "SETID", inboxKey, "gateways", "$"},
		{"XSETID", inboxKey, "9-9"},
		{"FLUSHALL"},
		{"CONFIG", "GET", "*"},
		{"KEYS", "*"},
	} {
		require.ErrorContains(t, gateway.Do(t.Context(), refused...).Err(), "NOPERM", "%v", refused)
	}
}

// TestGatewayUserIsTheSmallest takes away the rights that only the inbox needs, one after the other.
func TestGatewayUserIsTheSmallest(t *testing.T) {
	s := redistest.Start(t)
	gateway := loggedIn(t, s, s.Users(contract)["gateway"])
	n := startNode(t, s.URL(), "loader", settings{})
	active(t, s, n)
	n.close()
	do := func(args ...any) error { return gateway.Do(t.Context(), args...).Err() }
	work := func() error {
		s.Do("DEL", inboxKey, leaseKey)
		for _, call := range [][]any{
			{"FCALL", "tw_inbox_hold", 2, inboxKey, leaseKey, "t", 1000},
			{"FCALL", "tw_inbox_take", 2, inboxKey, leaseKey, "t", "0-0", 10},
			{"XREAD", "COUNT", 1, "STREAMS", inboxKey, "0-0"},
			{"FCALL", "tw_inbox_done", 1, inboxKey, "1-1"},
			{"FCALL", "tw_inbox_release", 1, leaseKey, "t"},
		} {
			if err := do(call...); err != nil && err != redis.Nil { //nolint:errorlint // go-redis returns it as it is
				return err
			}
		}
		return nil
	}
	require.NoError(t, work())
	for _, right := range []string{"xread", "xreadgroup", "xautoclaim", "xgroup|create", "xack", "xdel", "xlen", "get", "set", "del", "fcall"} {
		s.Do("ACL", "SETUSER", "gateway", "-"+right)
		require.Regexp(t, "NOPERM|can't run this command", work(), "without +%s", right)
		s.Do("ACL", "SETUSER", "gateway", "+"+right)
	}
	s.Do("ACL", "SETUSER", "gateway", "resetkeys", "~tw:*")
	require.Regexp(t, "NOPERM", work(), "without the key of the lease")
}
