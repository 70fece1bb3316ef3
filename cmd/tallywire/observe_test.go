package main

import (
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/coder/websocket"
	"github.com/stretchr/testify/require"
	"github.com/tidwall/gjson"

	"github.com/tallywire/tallywire/gateway/auth"
	"github.com/tallywire/tallywire/goclient"
	"github.com/tallywire/tallywire/internal/redistest"
)

// ask makes a request, and returns its answer.
func ask(t *testing.T, method, url, token, content string) answer {
	t.Helper()
	q, err := http.NewRequestWithContext(t.Context(), method, url, strings.NewReader(content))
	require.NoError(t, err)
	if content != "" {
		q.Header.Set("Content-Type", "application/json")
	}
	if token != "" {
		q.Header.Set("Authorization", "Bearer "+token)
	}
	return exchange(t, q)
}

func mintFor(t *testing.T, user, audience string, p auth.Permissions) string {
	t.Helper()
	token, err := auth.Mint([]byte(secret), auth.Claims{User: user, Audience: audience, Permissions: p}, time.Hour)
	require.NoError(t, err)
	return token
}

func everything() auth.Permissions {
	all := []string{"*"}
	return auth.Permissions{Subscribe: all, Publish: all, Presence: all, History: all, Edit: all}
}

// TestMetricsAndProfiles are for those who reach the admin listener, without a token, while the gateway drains
// too; and never for clients.
func TestMetricsAndProfiles(t *testing.T) {
	g := serve(t, nil, "--insecure", "--drain-wait", "4s")
	for _, path := range []string{"/metrics", "/debug/pprof/", "/debug/pprof/heap", "/debug/pprof/profile?seconds=1", "/debug/pprof/trace", "/debug/pprof/cmdline"} {
		require.Equal(t, http.StatusNotFound, status(t, g.public+path), path)
	}
	a := get(t, g.admin+"/metrics", nil)
	require.Equal(t, http.StatusOK, a.status)
	require.Contains(t, a.header.Get("Content-Type"), "text/plain")
	for _, name := range []string{"tallywire_build_info", "tallywire_connections", "go_goroutines", "process_cpu_seconds_total"} {
		require.Contains(t, a.body, "\n"+name)
	}
	require.NotContains(t, a.body, "tallywire_redis_", "there is no Redis")
	elsewhere := get(t, g.admin+"/metrics", func(q *http.Request) { q.Host = "evil.example" })
	require.Equal(t, http.StatusMisdirectedRequest, elsewhere.status)

	g.cancel() // waits for the load balancers
	require.Eventually(t, func() bool {
		return strings.Contains(get(t, g.admin+"/metrics", nil).body, "\ntallywire_draining 1")
	}, 10*time.Second, 5*time.Millisecond)
}

// TestLogLevel: the gateway logs more while it is told to.
func TestLogLevel(t *testing.T) {
	g := serve(t, []string{"TALLYWIRE_AUTH_SECRET=" + secret}, "--log-level", "error")
	operator := mintFor(t, "ops", "tallywire-admin", auth.Permissions{Admin: true})
	require.Equal(t, http.StatusOK, ask(t, http.MethodGet, g.admin+"/admin/v1/whoami", operator, "").status)
	require.Empty(t, g.stderr.String())
	a := ask(t, http.MethodPut, g.admin+"/admin/v1/log-level", operator, `{"level":"debug","for_s":60}`)
	require.Equal(t, http.StatusOK, a.status, a.body)
	g.sees(g.stderr, `"event":"log_level"`)
	require.Equal(t, http.StatusOK, ask(t, http.MethodGet, g.admin+"/admin/v1/whoami", operator, "").status)
	g.sees(g.stderr, `"event":"admin_read"`)
	require.Equal(t, http.StatusUnauthorized, ask(t, http.MethodPut, g.admin+"/admin/v1/log-level", "", `{"level":"debug"}`).status)
	require.Equal(t, http.StatusNotFound, ask(t, http.MethodPut, g.public+"/admin/v1/log-level", operator, `{"level":"debug"}`).status)
}

// TestLogsKeepSecrets drives everything that handles tokens and events, well and badly, with a log that says all
// that it can: no token, secret or payload is in it.
func TestLogsKeepSecrets(t *testing.T) {
	redis := redistest.Start(t)
	g := serve(t, []string{"TALLYWIRE_AUTH_SECRET=" + secret}, "--log-level", "debug", "--redis", redis.URL(), "--drain-window", "10ms")
	require.Eventually(t, func() bool { return status(t, g.public+"/readyz") == http.StatusOK }, 20*time.Second, 10*time.Millisecond)
	const marker = "payload-that-nobody-logs"
	good := mintFor(t, "alice", "tallywire", everything())
	operator := mintFor(t, "ops", "tallywire-admin", auth.Permissions{Admin: true})
	bad := good[:len(good)-6] + "AAAAAA"
	tokens := []string{good, bad, operator}

	c, err := goclient.Dial(t.Context(), g.public, good)
	require.NoError(t, err)
	defer c.CloseNow()
	event := `{"type":"x.test","data":{"text":"` + marker + `"}}`
	for _, frame := range []string{
		`{"type":"subscribe","channel":"jobs:1"}`,
		`{"type":"publish","id":1,"channel":"jobs:1","event":` + event + `}`,
		`{"type":"signal","id":2,"channel":"jobs:1","event":` + event + `}`,
		`{"type":"publish","id":3,"channel":"jobs:1","event":{"type":"job.started","data":{"job_id":["` + marker + `"]}}}`,
		`{"type":"presence","id":4,"channel":"jobs:1","status":{"text":"` + marker + `"}}`,
		`{"type":"refresh","id":5,"token":"` + bad + `"}`, `{"type":"refresh","id":6,"token":"` + good + `"}`,
		`{"` + marker + `"`, `{"type":"` + marker + `"}`,
	} {
		require.NoError(t, c.SendRaw(t.Context(), []byte(frame)))
	}
	publish := `{"channel":"jobs:1","event":` + event + `}`
	for _, token := range []string{good, bad, operator, ""} {
		ask(t, http.MethodPost, g.public+"/v1/publish", token, publish)
		ask(t, http.MethodGet, g.public+"/v1/poll?wait_ms=0&channel=jobs:1@0", token, "")
		ask(t, http.MethodGet, g.public+"/v1/channels/jobs:1/events?token="+token, token, "")
		ask(t, http.MethodPost, g.public+"/v1/cookie", token, "")
		ask(t, http.MethodGet, g.admin+"/admin/v1/whoami", token, "")
		ask(t, http.MethodPost, g.admin+"/admin/v1/publish", token, publish)
		ask(t, http.MethodGet, g.admin+"/admin/v1/dead-letters", token, "")
		ask(t, http.MethodPost, g.admin+"/admin/v1/tail-token", token, `{"channel":"jobs:1"}`)
		_, err := goclient.Dial(t.Context(), g.public, token+"x")
		require.Error(t, err)
	}
	ask(t, http.MethodPost, g.public+"/v1/publish", good, `{"channel":"jobs:1","event":{"type":"job.started","data":{"job_id":["`+marker+`"]}}}`)
	ask(t, http.MethodPost, g.admin+"/admin/v1/revocations", operator, `{"user":"mallory"}`)
	ws, _, err := websocket.Dial(t.Context(), g.public+"/v1/ws", &websocket.DialOptions{ //nolint:bodyclose // none where it succeeds
		HTTPHeader: http.Header{"Authorization": {"Bearer " + good}},
	})
	require.NoError(t, err)
	defer ws.CloseNow()
	// A worker, who may put anything into the log: what is not valid goes to the dead letters.
	redis.Do("FCALL", "tw_publish", "1", "tw:{jobs:1}", `{"type":"job.started","data":{"job_id":["`+marker+`"]}}`)
	redis.Do("XADD", "tw:inbox", "*", "channel", "jobs:1", "event", `{"type":"job.started","data":{"job_id":["`+marker+`"]}}`)
	require.Eventually(t, func() bool {
		a := ask(t, http.MethodGet, g.admin+"/admin/v1/dead-letters", operator, "")
		return len(gjson.Get(a.body, "letters").Array()) > 0
	}, 20*time.Second, 10*time.Millisecond, "the dead letter")
	redis.Pause()
	require.Eventually(t, func() bool { return strings.Contains(g.stderr.String(), `"ok":false`) }, 20*time.Second, 10*time.Millisecond)
	ask(t, http.MethodPost, g.public+"/v1/publish", good, publish)
	redis.Continue()
	require.Equal(t, exitDone, g.stop())

	log := g.stderr.String()
	for _, event := range []string{"connected", "disconnected", "admin_refused", "admin_action", "broker_health", "drain_started", "stopped"} {
		require.Contains(t, log, `"event":"`+event+`"`)
	}
	for _, token := range tokens {
		parts := strings.Split(token, ".")
		require.NotContains(t, log, parts[1], "the claims of a token")
		require.NotContains(t, log, parts[2], "the signature of a token")
	}
	require.NotContains(t, log, secret)
	require.NotContains(t, log, marker)
	for line := range strings.Lines(log) {
		require.NotEmpty(t, gjson.Get(line, "event").Str, "a line without its event: %s", line)
	}
}
