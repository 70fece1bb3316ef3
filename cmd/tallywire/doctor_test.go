package main

import (
	"encoding/json"
	"fmt"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/tallywire/tallywire/cmd/tallywire/internal/doctor"
	"github.com/tallywire/tallywire/internal/redistest"
)

// examine runs doctor and returns its findings by check.
func examine(t *testing.T, wantStatus int, args ...string) map[string]doctor.Finding {
	t.Helper()
	o := command(t, nil, "", append([]string{"doctor", "--json"}, args...)...)
	require.Equal(t, wantStatus, o.status, "%s%s", o.stdout, o.stderr)
	found := map[string]doctor.Finding{}
	for _, text := range lines(o.stdout) {
		var f doctor.Finding
		require.NoError(t, json.Unmarshal([]byte(text), &f), text)
		require.NotContains(t, found, f.Check)
		found[f.Check] = f
		if f.Status == doctor.Fail {
			require.NotEmpty(t, f.Advice, "%v says what to do", f)
		}
	}
	return found
}

// TestDoctorOfACluster: every primary is examined, and whether together they serve all slots.
func TestDoctorOfACluster(t *testing.T) {
	c := redistest.StartCluster(t, 3, true, redistest.WithAOF(), redistest.WithConfig("maxmemory", "200mb", "maxmemory-policy", "noeviction"))
	of := func(wantStatus int, args ...string) map[string][]doctor.Finding {
		o := command(t, nil, "", append([]string{"doctor", "--json", "--redis", c.URL()}, args...)...)
		require.Equal(t, wantStatus, o.status, "%s%s", o.stdout, o.stderr)
		found := map[string][]doctor.Finding{}
		for _, text := range lines(o.stdout) {
			var f doctor.Finding
			require.NoError(t, json.Unmarshal([]byte(text), &f), text)
			found[f.Check] = append(found[f.Check], f)
		}
		return found
	}
	found := of(exitDone, "--load")
	for check, all := range found {
		for _, f := range all {
			require.Equal(t, doctor.OK, f.Status, "%s: %+v", check, f)
		}
	}
	require.Len(t, found["cluster"], 1)
	for _, check := range []string{"connection", "version", "role", "memory", "eviction", "persistence", "pub/sub buffer", "replicas", "clock"} {
		require.Len(t, found[check], 3, check)
	}
	for _, check := range []string{"round trip", "permissions", "functions", "presence", "commands", "inbox", "delivery"} {
		require.Len(t, found[check], 1, check)
	}
	for _, s := range c.Primaries { // on all of them, not on one
		require.Contains(t, fmt.Sprint(s.Do("FUNCTION", "LIST")), "tallywire_presence")
	}

	c.Primaries[1].Do("CONFIG", "SET", "maxmemory-policy", "allkeys-lru")
	c.Primaries[2].Do("CLUSTER", "DELSLOTSRANGE", 16000, 16383)
	found = of(exitFailed)
	require.Equal(t, doctor.Fail, found["cluster"][0].Status)
	wrong := 0
	for _, f := range found["eviction"] {
		if f.Status == doctor.Fail {
			wrong++
			require.Contains(t, f.Detail, c.Primaries[1].Addr())
		}
	}
	require.Equal(t, 1, wrong)

	o := command(t, nil, "", "doctor", "--redis", c.Primaries[0].URL())
	require.Equal(t, exitFailed, o.status)
	require.Contains(t, o.stdout, "redis-cluster://")
}

func TestDoctorOfHealthyRedis(t *testing.T) {
	s := redistest.Start(t, redistest.WithAOF(), redistest.WithConfig("maxmemory", "200mb", "maxmemory-policy", "noeviction"))
	redistest.Start(t, redistest.WithReplicaOf(s))
	s.Eventually("the replica is online", func() bool { return strings.Contains(s.Info("slave0"), "state=online") })
	found := examine(t, exitFailed, "--redis", s.URL())
	require.Equal(t, doctor.Fail, found["functions"].Status)
	require.Contains(t, found["functions"].Advice, "--load")
	require.NotContains(t, found, "delivery")

	found = examine(t, exitDone, "--redis", s.URL(), "--load")
	for check, f := range found {
		require.Equal(t, doctor.OK, f.Status, "%s: %+v", check, f)
	}
	for _, check := range []string{
		"connection", "version", "role", "memory", "eviction", "persistence", "pub/sub buffer", "replicas", "clock", "round trip",
		"permissions", "functions", "delivery",
	} {
		require.Contains(t, found, check)
	}
	keys, err := s.Admin().Keys(t.Context(), "*").Result()
	require.NoError(t, err)
	require.Len(t, keys, 1, "nothing is left but the probe's channel, which expires")
	require.Positive(t, s.Admin().PTTL(t.Context(), keys[0]).Val())

	o := command(t, nil, "", "doctor", "--redis", s.URL())
	require.Equal(t, exitDone, o.status)
	require.Regexp(t, `(?m)^ok    delivery        stored in `, o.stdout)
}

func TestDoctorOfNamespaces(t *testing.T) {
	s := redistest.Start(t)
	path := write(t, filepath.Join(t.TempDir(), "tallywire.yaml"), "listen: :8080\nredis: "+s.URL()+"\nnamespaces:\n  jobs: {maxlen: 5}\n")
	require.Equal(t, doctor.OK, examine(t, exitDone, "--config", path, "--load")["functions"].Status)
	require.Equal(t, doctor.OK, examine(t, exitDone, "--config", path)["functions"].Status)
	f := examine(t, exitDone, "--redis", s.URL())["functions"]
	require.Equal(t, doctor.Warn, f.Status)
	require.Contains(t, f.Advice, "--config")
}

func TestDoctorFindsWhatIsWrong(t *testing.T) {
	t.Run("eviction", func(t *testing.T) {
		s := redistest.Start(t, redistest.WithConfig("maxmemory", "100mb", "maxmemory-policy", "allkeys-lru"))
		f := examine(t, exitFailed, "--redis", s.URL(), "--load")["eviction"]
		require.Equal(t, doctor.Fail, f.Status)
		require.Contains(t, f.Advice, "noeviction")
	})
	t.Run("full", func(t *testing.T) {
		s := redistest.Start(t)
		s.Do("CONFIG", "SET", "maxmemory", "1mb")
		require.Equal(t, doctor.Fail, examine(t, exitFailed, "--redis", s.URL())["memory"].Status)
	})
	t.Run("replica", func(t *testing.T) {
		s := redistest.Start(t)
		r := redistest.Start(t, redistest.WithReplicaOf(s))
		require.Equal(t, doctor.Fail, examine(t, exitFailed, "--redis", r.URL())["role"].Status)
	})
	t.Run("small buffer", func(t *testing.T) {
		s := redistest.Start(t)
		s.Do("CONFIG", "SET", "client-output-buffer-limit", "pubsub 65536 65536 10")
		require.Equal(t, doctor.Warn, examine(t, exitDone, "--redis", s.URL(), "--load")["pub/sub buffer"].Status)
	})
	t.Run("away", func(t *testing.T) {
		s := redistest.Start(t)
		s.Kill()
		found := examine(t, exitFailed, "--redis", s.URL())
		require.Len(t, found, 1)
		require.Contains(t, found["connection"].Detail, "connection refused")
	})
	t.Run("password", func(t *testing.T) {
		s := redistest.Start(t)
		s.Do("CONFIG", "SET", "requirepass", "hush-hush")
		o := command(t, nil, "", "doctor", "--redis", "redis://:wrong-one@"+s.Addr())
		require.Equal(t, exitFailed, o.status)
		require.Contains(t, o.stdout, "WRONGPASS")
		require.NotContains(t, o.stdout+o.stderr, "wrong-one")
		require.Equal(t, exitDone, command(t, nil, "", "doctor", "--load", "--redis", "redis://:hush-hush@"+s.Addr()).status)
	})
}

func TestDoctorOfRestrictedUsers(t *testing.T) {
	s := redistest.Start(t)
	examine(t, exitDone, "--redis", s.URL(), "--load")
	url := func(user string, rules ...any) string {
		s.Do(append([]any{"ACL", "SETUSER", user, "reset", "on", ">pw"}, rules...)...)
		return "redis://" + user + ":pw@" + s.Addr()
	}
	// Everything that is needed, and nothing more, is enough.
	all := []any{
		"~tw:*", "~{tw:_inbox}:lease", "&tw:*", "+info", "+time", "+ping", "+acl|whoami", "+fcall", "+fcall_ro", "+xinfo|stream", "+xadd", "+xrange", "+xrevrange",
		"+pexpire", "+pexpireat", "+pttl", "+get", "+set", "+publish", "+subscribe", "+wait", "+function|list", "+function|load", "+eval", "+evalsha",
		"+zscore", "+zrange", "+zcount", "+zadd", "+zrem",
		"+hset", "+hget", "+hmget", "+hdel", "+hlen", "+hgetall", "+exists", "+del", "+zrangebylex", "+zrangebyscore",
		"+srem", "+scard", "+srandmember", "+sscan", "+lpos", "+ltrim",
		"+xread", "+xreadgroup", "+xautoclaim", "+xgroup|create", "+xack", "+xdel", "+xlen",
	}
	before := s.Do("DBSIZE")
	found := examine(t, exitDone, "--redis", url("gateway", all...))
	require.Equal(t, doctor.OK, found["permissions"].Status, found["permissions"].Detail)
	require.Equal(t, doctor.OK, found["delivery"].Status)
	require.Equal(t, doctor.OK, found["inbox"].Status)
	require.Equal(t, doctor.OK, found["commands"].Status)
	require.EqualValues(t, before.(int64)+1, s.Do("DBSIZE"), "beside its probe, it changes nothing")

	found = examine(t, exitFailed, "--redis", url("tied", append(all, "resetkeys", "~tw:*", "-xack")...))
	require.Contains(t, found["permissions"].Detail, "tied lacks +xack ~{tw:_inbox}:lease (gateways, unless they run with --no-inbox)")

	found = examine(t, exitFailed, "--redis", url("worker", append(all, "-function|load", "-pexpire")...))
	require.Contains(t, found["permissions"].Detail, "worker lacks +pexpire (workers and gateways), +function|load (gateways, unless")
	require.Equal(t, doctor.Fail, found["delivery"].Status, "a function may only do what its caller may")

	found = examine(t, exitFailed, "--redis", url("elsewhere", append(all, "resetkeys", "~other:*")...))
	require.Contains(t, found["permissions"].Detail, "on the keys ~tw:*")

	found = examine(t, exitFailed, "--redis", url("deaf", append(all, "resetchannels")...))
	require.Contains(t, found["permissions"].Detail, "publish on the channels &tw:*")

	found = examine(t, exitFailed, "--redis", url("blind", "+ping"))
	require.Equal(t, doctor.Warn, found["connection"].Status)
}
