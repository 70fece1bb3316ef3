package redisbroker_test

import (
	"os"
	"strings"
	"testing"

	"github.com/redis/go-redis/v9"
	"github.com/stretchr/testify/require"

	"github.com/tallywire/tallywire/broker"
	"github.com/tallywire/tallywire/broker/brokertest"
	"github.com/tallywire/tallywire/internal/redistest"
)

// contract is where the users of this file's tests are documented.
const contract = "../../docs/redis-contract.md"

// aclBackend logs its brokers in as the documented user of gateways.
type aclBackend struct {
	*backend
	login string
}

func (b aclBackend) Brokers() (first, second broker.Broker) {
	o := quick(b.t)
	o.MaxInFlight = 2048
	url := func(which int) string { return "redis://" + b.login + "@" + b.proxies[which].Addr() }
	return open(b.t, url(0), o), open(b.t, url(1), o)
}

// TestGatewayUser passes the suite of brokers as the user that the contract recommends for gateways.
func TestGatewayUser(t *testing.T) {
	brokertest.Run(t, func(t *testing.T) brokertest.Backend {
		t.Helper()
		s := redistest.Start(t)
		return aclBackend{newBackend(t, s), s.Users(contract)["gateway"]}
	})
}

// loggedIn returns a client of a documented user, as go-redis makes it without any settings of ours.
func loggedIn(t *testing.T, s *redistest.Server, login string) *redis.Client {
	t.Helper()
	o, err := redis.ParseURL("redis://" + login + "@" + s.Addr())
	require.NoError(t, err)
	client := redis.NewClient(o)
	t.Cleanup(func() { require.NoError(t, client.Close()) })
	return client
}

// TestGatewayUserBuriesAndLists covers what the suite of brokers does not ask for.
func TestGatewayUserBuriesAndLists(t *testing.T) {
	s := redistest.Start(t)
	b := open(t, "redis://"+s.Users(contract)["gateway"]+"@"+s.Addr(), quick(t))
	run(t, b).UntilHealthy(t, true)
	letter := broker.DeadLetter{Channel: "jobs:1", Code: "invalid_event", Reason: "because", Event: []byte(`{}`)}
	require.NoError(t, b.Bury(t.Context(), letter))
	letters, _, err := b.List(t.Context(), "", 10)
	require.NoError(t, err)
	require.Len(t, letters, 1)
	require.Equal(t, "because", letters[0].Reason)
	require.NoError(t, b.Load(t.Context()))
}

func TestWorkerUser(t *testing.T) {
	s := redistest.Start(t)
	users := s.Users(contract)
	source, err := os.ReadFile("functions/tallywire.lua")
	require.NoError(t, err)
	s.Do("FUNCTION", "LOAD", string(source))
	worker := loggedIn(t, s, users["worker"])
	do := func(args ...any) error { return worker.Do(t.Context(), args...).Err() }
	mine, other := key("jobs:42"), key("rates:eur")

	heard := s.Admin().Subscribe(t.Context(), mine)
	defer heard.Close()
	_, err = heard.Receive(t.Context())
	require.NoError(t, err)
	for range 2 { // a repetition too
		require.NoError(t, do("FCALL", "tw_publish", 1, mine, `{"type":"job.started"}`, "id=w/1", "maxlen=5", "ttl_ms=60000"))
	}
	require.NoError(t, do("WAIT", 0, 1), "it may ask for replicas")
	m, err := heard.ReceiveMessage(t.Context())
	require.NoError(t, err)
	require.Contains(t, m.Payload, `{"type":"job.started"}`)
	require.Len(t, s.Do("XRANGE", mine, "-", "+").([]any), 2)

	for _, refused := range [][]any{
		{"FCALL", "tw_publish", 1, other, `{"type":"job.started"}`},
		{"FCALL", "tw_publish", 1, "other:{jobs:42}", `{"type":"job.started"}`},
		{"FCALL", "tw_publish", 1, key("_probe.1"), `{"type":"job.started"}`},
		{"FCALL", "tw_signal", 1, other, `{"type":"x"}`},
		{"FCALL", "tw_open", 1, other},
		{"FCALL", "tw_dead", 1, "tw:_dead", "jobs:42", "2-2", "c", "r", `{}`, 10},
		{"FCALL_RO", "tw_read", 1, mine, "from", 0, 10, 1000},
		{"XRANGE", mine, "-", "+"},
		{"XREAD", "STREAMS", mine, "0"},
		{"XDEL", mine, "2-2"},
		{"XTRIM", mine, "MAXLEN", 0},
		{"DEL", mine},
		{"KEYS", "*"},
		{"SUBSCRIBE", mine},
		{"PUBLISH", other, "~ {}"},
		{"FUNCTION", "LIST"},
		{"FUNCTION", "FLUSH"},
		{"EVAL", "return 1", 0},
		{"CONFIG", "GET", "*"},
		{"ACL", "LIST"},
		{"INFO"},
		{"FLUSHALL"},
	} {
		require.ErrorContains(t, do(refused...), "NOPERM", "%v", refused)
	}
	require.Empty(t, s.Do("KEYS", "*rates*"))
	require.Len(t, s.Do("XRANGE", mine, "-", "+").([]any), 2, "nothing was done behind a refusal")
}

// TestWorkerUserIsTheSmallest takes away one right after the other.
func TestWorkerUserIsTheSmallest(t *testing.T) {
	s := redistest.Start(t)
	worker := loggedIn(t, s, s.Users(contract)["worker"])
	require.NoError(t, open(t, s.URL(), quick(t)).Load(t.Context()))
	publish := func() error {
		_, err := worker.Pipelined(t.Context(), func(p redis.Pipeliner) error {
			for range 2 { // the repetition renews the window
				p.Do(t.Context(), "FCALL", "tw_publish", 1, key("jobs:42"), `{"type":"job.started"}`, "id=w/1")
			}
			p.Do(t.Context(), "WAIT", 0, 1)
			return nil
		})
		return err
	}
	require.NoError(t, publish())
	rights := strings.Fields(aclOf(t, s, "worker"))
	taken := 0
	for _, right := range rights {
		name, ok := strings.CutPrefix(right, "+")
		if !ok {
			continue
		}
		s.Do("ACL", "SETUSER", "worker", "-"+name)
		s.Do("DEL", key("jobs:42"), key("jobs:42")+":seen:w/1")
		// Redis 7.0 has other words for what a function may not do.
		require.Regexp(t, "NOPERM|can't run this command|no_permission", publish(), "without +%s", name)
		if name != "wait" { // the functions look before they write
			require.EqualValues(t, 0, s.Do("EXISTS", key("jobs:42")), "without +%s nothing is appended", name)
		}
		s.Do("ACL", "SETUSER", "worker", "+"+name)
		taken++
	}
	require.Equal(t, 10, taken)
	require.NoError(t, publish())
}

// aclOf returns the commands of a user as Redis lists them.
func aclOf(t *testing.T, s *redistest.Server, user string) string {
	t.Helper()
	fields := s.Do("ACL", "GETUSER", user).([]any)
	for i := 0; i+1 < len(fields); i += 2 {
		if fields[i] == "commands" {
			return fields[i+1].(string)
		}
	}
	t.Fatalf("no commands of %s in %v", user, fields)
	return ""
}
