package main

import (
	"encoding/json"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/tallywire/tallywire/internal/redistest"
)

// mint returns a token by the command.
func mint(t *testing.T, args ...string) string {
	t.Helper()
	o := command(t, []string{"TALLYWIRE_AUTH_SECRET=" + secret}, "", append([]string{"token"}, args...)...)
	require.Equal(t, exitDone, o.status, o.stderr)
	return strings.TrimSpace(o.stdout)
}

// publishOne publishes and returns what was printed.
func publishOne(t *testing.T, environ []string, args ...string) (out published) {
	t.Helper()
	o := command(t, environ, `{"job_id":"1","percent":7}`, append([]string{"publish", "jobs:1", "--type", "job.progress"}, args...)...)
	require.Equal(t, exitDone, o.status, o.stderr)
	require.NoError(t, json.Unmarshal([]byte(o.stdout), &out))
	require.Equal(t, "jobs:1", out.Channel)
	return out
}

// lineOf parses a line of tail.
func lineOf(t *testing.T, text string) (l line) {
	t.Helper()
	require.NoError(t, json.Unmarshal([]byte(text), &l), text)
	return l
}

func lines(out string) []string { return strings.Split(strings.TrimSpace(out), "\n") }

func TestPublishAndTail(t *testing.T) {
	g := serve(t, []string{"TALLYWIRE_AUTH_SECRET=" + secret})
	token := mint(t, "--user", "alice", "--subscribe", "jobs:*", "--publish", "jobs:*")
	environ := []string{"TALLYWIRE_TOKEN=" + token, "TALLYWIRE_URL=" + g.public}

	first := publishOne(t, environ, "--data", `{"job_id":"1","percent":5}`)
	require.False(t, first.Duplicate)
	second := publishOne(t, environ, "--data", "-", "--id", "a", "--source", "w", "--subject", "job/1")
	again := publishOne(t, environ, "--data", "-", "--id", "a", "--source", "w", "--subject", "job/1")
	require.True(t, again.Duplicate)
	require.Equal(t, second.Cursor, again.Cursor)

	o := command(t, environ, "", "tail", "jobs:1", "--since", "1h", "--count", "2")
	require.Equal(t, exitDone, o.status, o.stderr)
	o = command(t, environ, "", "tail", "jobs:1", "--cursor", first.Cursor, "--count", "1")
	require.Equal(t, exitDone, o.status, o.stderr)
	require.Len(t, lines(o.stdout), 1)
	l := lineOf(t, o.stdout)
	require.Equal(t, "event", l.Type)
	require.Equal(t, second.Cursor, l.Cursor.String())
	require.Contains(t, string(l.Event), `"percent":7`)
	require.NotNil(t, l.Time)

	// A tail follows, and goes on where it was when it is started again with its last cursor.
	follow := start(t, Program{Environ: environ}, "tail", "jobs:1", "--cursor", l.Cursor.String())
	third := publishOne(t, environ, "--data", `{"job_id":"1","percent":8}`)
	follow.sees(follow.stdout, third.Cursor)
	require.Equal(t, exitDone, follow.stop(), "an interrupt is how a tail ends")
	require.Len(t, lines(follow.stdout.String()), 1)

	// A cursor that never was is a reset, not an error.
	o = command(t, environ, "", "tail", "jobs:1", "--cursor", "4000-5", "--count", "1")
	require.Equal(t, exitDone, o.status, o.stderr)
	require.Equal(t, "reset", lineOf(t, lines(o.stdout)[0]).Type)

	for name, c := range map[string]struct {
		args []string
		says string
	}{
		"invalid event":     {[]string{"publish", "jobs:1", "--type", "job.progress", "--data", `{"job_id":"1","percent":101}`}, "invalid_event: data.percent: must be <= 100 (at /data/percent)"},
		"forbidden publish": {[]string{"publish", "matches:1", "--type", "x"}, "forbidden"},
		"forbidden tail":    {[]string{"tail", "matches:1"}, "forbidden"},
		"bad token":         {[]string{"tail", "jobs:1", "--token", "bad"}, "unauthorized"},
		"bad token publish": {[]string{"publish", "jobs:1", "--type", "x", "--token", "bad"}, "unauthorized"},
	} {
		t.Run(name, func(t *testing.T) {
			o := command(t, environ, "", c.args...)
			require.Equal(t, exitFailed, o.status)
			require.Contains(t, o.stderr, c.says)
			require.NotContains(t, o.stderr, token)
		})
	}
}

// TestTailSurvivesTheGateway ends the gateway under a tail and starts another on the same Redis.
func TestTailSurvivesTheGateway(t *testing.T) {
	s := redistest.Start(t)
	g := serve(t, nil, "--insecure", "--redis", s.URL())
	address := strings.TrimPrefix(g.public, "http://")
	environ := []string{"TALLYWIRE_URL=" + g.public}
	first := publishOne(t, environ, "--data", "-")
	follow := start(t, Program{Environ: environ}, "tail", "jobs:1", "--cursor", "0")
	follow.sees(follow.stdout, first.Cursor)
	require.Equal(t, exitDone, g.stop())

	// While no gateway runs, a worker publishes.
	second := publishOne(t, []string{"TALLYWIRE_REDIS=" + s.URL()}, "--data", "-")
	g = serve(t, nil, "--insecure", "--redis", s.URL(), "--listen", address)
	follow.sees(follow.stdout, second.Cursor)
	third := publishOne(t, environ, "--data", "-")
	follow.sees(follow.stdout, third.Cursor)
	require.Equal(t, exitDone, follow.stop())
	var cursors []string
	for _, text := range lines(follow.stdout.String()) {
		l := lineOf(t, text)
		require.Equal(t, "event", l.Type)
		cursors = append(cursors, l.Cursor.String())
	}
	require.Equal(t, []string{first.Cursor, second.Cursor, third.Cursor}, cursors, "every event once, in order")
	require.Equal(t, exitDone, g.stop())
}

func TestPublishToRedis(t *testing.T) {
	s := redistest.Start(t)
	o := command(t, nil, "", "publish", "jobs:1", "--type", "x", "--redis", s.URL(), "--timeout", "1500ms")
	require.Equal(t, exitFailed, o.status)
	require.Contains(t, o.stderr, "doctor --load")
	require.Equal(t, exitDone, command(t, nil, "", "doctor", "--load", "--redis", s.URL()).status)
	require.Equal(t, "stored", publishOne(t, nil, "--redis", s.URL(), "--data", "-").Ack)
	o = command(t, nil, "", "publish", "jobs:1", "--type", "job.progress", "--redis", s.URL(), "--data", `{"percent":1}`)
	require.Equal(t, exitFailed, o.status, "checked before it is in the log")
	require.Contains(t, o.stderr, "job_id")
	// A flag goes before a variable.
	require.Equal(t, "stored", publishOne(t, []string{"TALLYWIRE_URL=http://127.0.0.1:1"}, "--redis", s.URL(), "--data", "-").Ack)
}
