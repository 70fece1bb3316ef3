package main

import (
	"context"
	"encoding/json"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/tallywire/tallywire/goclient"
	"github.com/tallywire/tallywire/internal/redistest"
)

// answer is what a request brought.
type answer struct {
	status int
	header http.Header
	body   string
}

func get(t *testing.T, url string, change func(*http.Request)) answer {
	t.Helper()
	q, err := http.NewRequestWithContext(t.Context(), http.MethodGet, url, nil)
	require.NoError(t, err)
	if change != nil {
		change(q)
	}
	return exchange(t, q)
}

// exchange sends a request on a connection of its own, and returns what it brought.
func exchange(t *testing.T, q *http.Request) answer {
	t.Helper()
	client := &http.Client{Transport: &http.Transport{DisableKeepAlives: true}}
	a, err := client.Do(q)
	require.NoError(t, err)
	defer a.Body.Close()
	body, err := io.ReadAll(a.Body)
	require.NoError(t, err)
	return answer{a.StatusCode, a.Header, string(body)}
}

func status(t *testing.T, url string) int {
	t.Helper()
	return get(t, url, nil).status
}

func TestServeInsecure(t *testing.T) {
	g := serve(t, nil, "--insecure")
	require.Contains(t, g.stderr.String(), "NO KEY IS CONFIGURED")
	require.Contains(t, g.stderr.String(), `"event":"insecure"`)
	require.Equal(t, http.StatusOK, status(t, g.public+"/healthz"))
	require.Eventually(t, func() bool { return status(t, g.public+"/readyz") == http.StatusOK }, 10*time.Second, 5*time.Millisecond)
	require.Equal(t, http.StatusNotFound, status(t, g.public+"/"), "the page is for demonstrations only")
	require.Equal(t, http.StatusNotFound, status(t, g.public+"/debug/pprof/"), "profiles are not public")

	require.Equal(t, http.StatusOK, status(t, g.admin+"/healthz"))
	require.Equal(t, http.StatusOK, status(t, g.admin+"/readyz"))
	require.Equal(t, http.StatusOK, status(t, g.admin+"/debug/pprof/"))
	require.Equal(t, http.StatusUpgradeRequired, status(t, g.admin+"/v1/ws"), "the console follows channels")
	require.Equal(t, http.StatusNotFound, status(t, g.admin+"/v1/channels/jobs:1/events"), "and nothing else of the clients' side")
	require.Equal(t, http.StatusOK, status(t, g.admin+"/"), "the console")
	require.Equal(t, http.StatusUnauthorized, status(t, g.admin+"/admin/v1/gateways"))
	token := regexp.MustCompile(`(?m)^\s+(ey\S+)$`).FindStringSubmatch(g.stderr.String())
	require.Len(t, token, 2, "a gateway without keys prints the token of its console")
	asOperator := get(t, g.admin+"/admin/v1/gateways", func(q *http.Request) { q.Header.Set("Authorization", "Bearer "+token[1]) })
	require.Equal(t, http.StatusOK, asOperator.status, asOperator.body)
	a := get(t, g.admin+"/debug/pprof/", func(q *http.Request) { q.Host = "evil.example" })
	require.Equal(t, http.StatusMisdirectedRequest, a.status)
	require.Contains(t, a.body, "host_not_allowed")

	require.Equal(t, exitDone, g.stop())
	require.Contains(t, g.stderr.String(), `"event":"stopped"`)
}

func TestServeWithKeySaysNothingLoudly(t *testing.T) {
	g := serve(t, []string{"TALLYWIRE_AUTH_SECRET=" + secret}, "--admin-listen", "off")
	require.Empty(t, g.admin)
	require.Equal(t, exitDone, g.stop())
	require.NotContains(t, g.stderr.String(), "NO KEY")
	require.NotContains(t, g.stderr.String(), secret)
	for line := range strings.Lines(g.stderr.String()) {
		require.True(t, json.Valid([]byte(line)), "every line of the log is JSON: %s", line)
	}
}

func TestWeakSecret(t *testing.T) {
	g := serve(t, nil, "--auth-secret", "short")
	require.Equal(t, exitDone, g.stop())
	require.Contains(t, g.stderr.String(), "WEAK SECRET")
	require.Contains(t, g.stderr.String(), `"event":"weak_secret"`)
	o := command(t, nil, "", "token", "--auth-secret", "short", "--user", "a")
	require.Equal(t, exitDone, o.status)
	require.Contains(t, o.stderr, "the secret is weak")
	require.Equal(t, 2, strings.Count(o.stdout, "."), "the token alone is on standard output")
}

func TestPortInUse(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	defer l.Close()
	for _, flag := range []string{"--listen", "--admin-listen"} {
		args := []string{"serve", "--insecure", "--listen", "127.0.0.1:0", "--admin-listen", "127.0.0.1:0", flag, l.Addr().String()}
		o := command(t, nil, "", args...)
		require.Equal(t, exitFailed, o.status)
		require.Contains(t, o.stderr, strings.TrimPrefix(flag, "--")+": "+l.Addr().String()+" is in use by another program")
		require.Contains(t, o.stderr, flag+" 127.0.0.1:0")
	}
}

// TestDrain ends a gateway while a client is connected that does not move by itself.
func TestDrain(t *testing.T) {
	g := serve(t, nil, "--insecure")
	// A client that comes before the store has said that it is well is told so first.
	require.Eventually(t, func() bool { return status(t, g.public+"/readyz") == http.StatusOK }, 10*time.Second, 5*time.Millisecond)
	conn, err := goclient.Dial(t.Context(), g.public, "alice")
	require.NoError(t, err)
	defer conn.CloseNow()
	g.cancel()
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()
	frames, err := conn.Receive(ctx)
	require.NoError(t, err)
	require.Equal(t, "moving", string(frames[0].Type))
	require.Equal(t, http.StatusServiceUnavailable, status(t, g.public+"/readyz"), "not ready while it drains")
	require.Equal(t, http.StatusOK, status(t, g.public+"/healthz"), "but alive")
	_, err = conn.Receive(ctx)
	require.Error(t, err, "closed at the end of the window")
	require.Equal(t, exitDone, g.wait())
}

func TestDemo(t *testing.T) {
	g := serve(t, nil, "--demo")
	require.Contains(t, g.stderr.String(), "open "+g.public+"/ in a browser")
	for path, kind := range map[string]string{
		"/": "text/html", "/small": "text/html", "/app.js": "text/javascript", "/client.js": "text/javascript", "/model.js": "text/javascript",
		"/view.js": "text/javascript", "/style.css": "text/css",
	} {
		a := get(t, g.public+path, nil)
		require.Equal(t, http.StatusOK, a.status, path)
		require.Contains(t, a.header.Get("Content-Type"), kind)
		require.NotEmpty(t, a.body)
		policy := a.header.Get("Content-Security-Policy")
		require.Contains(t, policy, "default-src 'none'")
		require.NotContains(t, policy, "unsafe")
		require.NotRegexp(t, `(src|href)="(https?:)?//`, a.body, "nothing comes from elsewhere")
		require.NotRegexp(t, `<script>| on[a-z]+="| style="|innerHTML`, a.body, "the policy refuses it")
	}
	// The worker's events go through the gateway as everybody's do.
	o := command(t, nil, "", "tail", "jobs:recon-0001", "--url", g.public, "--cursor", "0", "--count", "3")
	require.Equal(t, exitDone, o.status, o.stderr)
	require.Contains(t, o.stdout, `"type":"job.started"`)
	require.Equal(t, exitDone, g.stop())
}

func TestServeFromFile(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "tallywire.yaml")
	require.NoError(t, os.WriteFile(path, []byte("insecure: true\nnamespaces:\n  jobs: {maxlen: 2}\n"), 0o600))
	g := serve(t, nil, "--config", path)
	for range 4 {
		o := command(t, nil, "", "publish", "jobs:1", "--type", "x", "--url", g.public)
		require.Equal(t, exitDone, o.status, o.stderr)
	}
	o := command(t, nil, "", "tail", "jobs:1", "--url", g.public, "--cursor", "0", "--count", "2")
	require.Equal(t, exitDone, o.status, o.stderr)
	lines := strings.Split(strings.TrimSpace(o.stdout), "\n")
	require.Len(t, lines, 3)
	require.Contains(t, lines[0], `"type":"reset"`)
	require.Contains(t, lines[0], `"reason":"trimmed"`)
}

// TestRedisAway starts a gateway without its Redis: it is alive and not ready, and recovers.
func TestRedisAway(t *testing.T) {
	s := redistest.Start(t)
	s.Kill()
	g := serve(t, nil, "--insecure", "--redis", s.URL())
	require.Equal(t, http.StatusOK, status(t, g.public+"/healthz"))
	a := get(t, g.public+"/readyz", nil)
	require.Equal(t, http.StatusServiceUnavailable, a.status)
	require.Contains(t, a.body, `"reason":"`)
	s.Restart()
	require.Eventually(t, func() bool { return status(t, g.public+"/readyz") == http.StatusOK }, 20*time.Second, 10*time.Millisecond)
	o := command(t, nil, "", "publish", "jobs:1", "--type", "x", "--url", g.public)
	require.Equal(t, exitDone, o.status, o.stderr)
	require.Equal(t, exitDone, g.stop())
}
