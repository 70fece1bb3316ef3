package redisconn_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/redis/go-redis/v9"
	"github.com/stretchr/testify/require"

	"github.com/tallywire/tallywire/internal/redisconn"
	"github.com/tallywire/tallywire/internal/redistest"
)

func TestParse(t *testing.T) {
	for url, want := range map[string]string{ //nolint:gosec // invented passwords
		"redis://localhost":                                            "redis://localhost:6379",
		"redis://127.0.0.1:7000/3":                                     "redis://127.0.0.1:7000?db=3",
		"redis://[::1]:7000":                                           "redis://[::1]:7000",
		"redis://[::1]":                                                "redis://[::1]:6379",
		"redis://:s%40cret@host":                                       "redis://:***@host:6379",
		"redis://al%2Fice:se:c@ret@host:1":                             "redis://al%2Fice:***@host:1",
		"rediss://alice:secret@host:1/2?pool_size=4":                   "rediss://alice:***@host:1?db=2",
		"redis-sentinel://a,b:7,[::1]:8/mymaster?db=2":                 "redis-sentinel://a:26379,b:7,[::1]:8/mymaster?db=2",
		"redis-sentinel://u:secret@a/tw?sentinel_password=secret&db=0": "redis-sentinel://u:***@a:26379/tw",
		"redis-cluster://a:1,b:2?tls=true":                             "redis-cluster://a:1,b:2",
	} {
		target, err := redisconn.Parse(url)
		require.NoError(t, err, url)
		require.Equal(t, want, target.String())
		for _, format := range []string{"%v", "%s", "%#v"} {
			require.NotContains(t, fmt.Sprintf(format, target), "secret")
		}
	}
}

func TestParseRefuses(t *testing.T) {
	for _, url := range []string{
		"", "localhost:6379", "http://secret@host", "redis://", "redis://secret@", "redis://:secret@host:x", "redis://:secret@host:0",
		"redis://:secret@host:99999", "redis://:secret@a,b", "redis://:secret@host/x", "redis://:secret@host/-1", "redis://:%zz@secret",
		"redis://:secret@::1", "redis://:secret@host?retries=3", "redis://:secret@host?db=x", "redis://:secret@host?pool_size=-1",
		"redis-sentinel://:secret@host", "redis-cluster://:secret@host/1", "redis://:secret@host?sentinel_password=secret",
		"redis://:secret@host?%zz", "redis://:secret@host?client_name=a%20b", "redis://:secret@host/%zz",
	} {
		_, err := redisconn.Parse(url)
		require.ErrorIs(t, err, redisconn.ErrInvalidURL, url)
		require.NotContains(t, err.Error(), "secret", url)
	}
}

func TestClientKinds(t *testing.T) {
	for url, want := range map[string]redis.UniversalClient{
		"redis://host":            &redis.Client{},
		"redis-sentinel://host/m": &redis.Client{},
		"redis-cluster://host":    &redis.ClusterClient{},
	} {
		client, _, err := redisconn.Open(url)
		require.NoError(t, err)
		require.IsType(t, want, client, url)
		require.NoError(t, client.Close())
	}
}

func TestClientIsSafe(t *testing.T) {
	s := redistest.Start(t, redistest.WithConfig("databases", "4"))
	client, target, err := redisconn.Open(s.URL() + "/3?client_name=tw-test")
	require.NoError(t, err)
	defer client.Close()
	require.NoError(t, client.Set(t.Context(), "k", "v", 0).Err())
	require.Equal(t, "v", client.Get(t.Context(), "k").Val())
	info := client.Do(t.Context(), "CLIENT", "INFO").Val().(string)
	require.Contains(t, info, " db=3 ")
	require.Contains(t, info, " name=tw-test ")
	require.Contains(t, info, " resp=2")
	require.LessOrEqual(t, client.(*redis.Client).Options().MaxRetries, 0, "commands would be repeated")
	require.Equal(t, redisconn.Standalone, target.Mode)
}

// A reply that is lost makes an error and no second execution.
func TestClientNeverRepeats(t *testing.T) {
	s := redistest.Start(t)
	proxy := redistest.StartProxy(t, s)
	client, _, err := redisconn.Open(proxy.URL())
	require.NoError(t, err)
	defer client.Close()
	proxy.LoseReplies(1, "counter")
	require.Error(t, client.Incr(t.Context(), "counter").Err())
	require.Equal(t, "1", s.Do("GET", "counter"))
	require.Zero(t, proxy.Lost())
}

func TestLogTo(t *testing.T) {
	var lines []string
	redisconn.LogTo(func(line string) { lines = append(lines, line) })
	defer redisconn.LogTo(func(string) {})
	client, _, err := redisconn.Open("redis-sentinel://:secret@127.0.0.1:1/m")
	require.NoError(t, err)
	defer client.Close()
	require.Error(t, client.Ping(t.Context()).Err())
	require.NotEmpty(t, lines)
	require.NotContains(t, strings.Join(lines, "\n"), "secret")
}
