package main

import (
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/tallywire/tallywire/internal/redistest"
	"github.com/tallywire/tallywire/internal/tlstest"
)

// TestRedisOverTLS: a Redis that wants a certificate and a user of its clients, for every command that has one.
func TestRedisOverTLS(t *testing.T) {
	const password = `p@ss/w?o#r%d:&= "` //nolint:gosec // invented
	authority, other := tlstest.New(t), tlstest.New(t)
	s := redistest.Start(t, redistest.WithTLS(authority, "yes"))
	s.Do("ACL", "SETUSER", "gateway", "on", ">"+password, "+@all", "~*", "&*")
	pair := authority.Issue(t, tlstest.Leaf{CommonName: "gateway"})
	environ := []string{"TALLYWIRE_REDIS=" + s.TLSURL(), "TALLYWIRE_REDIS_USERNAME=gateway", "TALLYWIRE_REDIS_PASSWORD=" + password}
	files := []string{"--redis-ca-file", authority.File, "--redis-cert-file", pair.CertFile, "--redis-key-file", pair.KeyFile}

	g := serve(t, environ, append([]string{"--insecure"}, files...)...)
	require.Eventually(t, func() bool { return status(t, g.public+"/readyz") == http.StatusOK }, 20*time.Second, 5*time.Millisecond)
	publishOne(t, environ, append([]string{"--data", `{"job_id":"1","percent":5}`}, files...)...)
	o := command(t, nil, "", "tail", "jobs:1", "--url", g.public, "--cursor", "0", "--count", "1")
	require.Equal(t, exitDone, o.status, o.stderr)
	require.Contains(t, o.stdout, `"percent":5`)
	o = command(t, environ, "", append([]string{"doctor", "--load"}, files...)...)
	require.Equal(t, exitDone, o.status, o.stdout+o.stderr)
	o = command(t, environ, "", append([]string{"serve", "--insecure", "--print-config"}, files...)...)
	require.Equal(t, exitDone, o.status, o.stderr)
	require.Contains(t, o.stdout, "redis-password: '[redacted]' # TALLYWIRE_REDIS_PASSWORD")
	require.NotContains(t, o.stdout, password)
	require.Equal(t, exitDone, g.stop())
	require.NotContains(t, g.stderr.String(), password)

	for name, c := range map[string]struct {
		args   []string
		advice string
	}{
		"another authority": {append(files[2:len(files):len(files)], "--redis-ca-file", other.File), "--redis-ca-file"},
		"no certificate":    {files[:2:2], "--redis-cert-file and --redis-key-file"},
		"a wrong password":  {append(files[:len(files):len(files)], "--redis-password", "wrong"), "--redis-username and --redis-password"},
	} {
		t.Run(name, func(t *testing.T) {
			g := serve(t, environ, append([]string{"--insecure"}, c.args...)...)
			g.sees(g.stderr, `"event":"store_away"`)
			require.Contains(t, g.stderr.String(), c.advice)
			a := get(t, g.public+"/readyz", nil)
			require.Equal(t, http.StatusServiceUnavailable, a.status)
			require.Equal(t, exitDone, g.stop())

			o := command(t, environ, "", append([]string{"publish", "jobs:1", "--type", "x"}, c.args...)...)
			require.Equal(t, exitFailed, o.status)
			require.Contains(t, o.stderr, c.advice)
			o = command(t, environ, "", append([]string{"doctor"}, c.args...)...)
			require.Equal(t, exitFailed, o.status)
			require.Contains(t, o.stdout, c.advice)
		})
	}
}

// TestWrongRedisSettings: what cannot be is told before anything is dialled, by the name of the setting.
func TestWrongRedisSettings(t *testing.T) {
	authority := tlstest.New(t)
	pair := authority.Issue(t, tlstest.Leaf{})
	none := filepath.Join(t.TempDir(), "none.pem")
	for name, c := range map[string]struct {
		environ, args []string
		status        int
		says          string
	}{
		"no Redis":        {[]string{"TALLYWIRE_REDIS_PASSWORD=x"}, nil, exitUsage, "redis-password: there is no Redis"},
		"port":            {nil, []string{"--redis", "redis://h:99999"}, exitUsage, `redis: invalid redis url: port of "h": must be 1 to 65535`},
		"password":        {nil, []string{"--redis", "redis://u:se/cret@h"}, exitUsage, "redis: invalid redis url: user or password: / ? # % in it must be percent-encoded"},
		"database":        {nil, []string{"--redis", "redis://h/one"}, exitUsage, "redis: invalid redis url: database: must be a number"},
		"twice":           {nil, []string{"--redis", "redis://:a@h", "--redis-password", "b"}, exitUsage, "redis-password: the URL says it too"},
		"files, no TLS":   {nil, []string{"--redis", "redis://h", "--redis-ca-file", authority.File}, exitUsage, "redis-ca-file: the URL is one without TLS"},
		"half of a pair":  {nil, []string{"--redis", "rediss://h", "--redis-cert-file", pair.CertFile}, exitUsage, "redis-cert-file: needs its key"},
		"no such file":    {nil, []string{"--redis", "rediss://h", "--redis-ca-file", none}, exitFailed, "redis-ca-file: open " + none},
		"no sentinels":    {nil, []string{"--redis", "redis://h", "--redis-sentinel-password", "x"}, exitUsage, "redis-sentinel-password: the URL has no sentinels"},
		"with its source": {[]string{"TALLYWIRE_REDIS=redis://h/x"}, nil, exitUsage, "(from TALLYWIRE_REDIS)"},
	} {
		t.Run(name, func(t *testing.T) {
			args := append([]string{"serve", "--insecure", "--listen", "127.0.0.1:0", "--admin-listen", "off"}, c.args...)
			o := command(t, c.environ, "", args...)
			require.Equal(t, c.status, o.status, o.stderr)
			require.Contains(t, o.stderr, c.says)
			require.NotContains(t, o.stderr, "cret@")
		})
	}
}

func TestHealthcheck(t *testing.T) {
	g := serve(t, nil, "--insecure")
	admin := strings.TrimPrefix(g.admin, "http://")
	require.Eventually(t, func() bool { return status(t, g.public+"/readyz") == http.StatusOK }, 10*time.Second, 5*time.Millisecond)
	check := func(environ []string, args ...string) outcome {
		return command(t, environ, "", append([]string{"healthcheck"}, args...)...)
	}
	_, port, _ := strings.Cut(admin, ":")
	config := write(t, filepath.Join(t.TempDir(), "tallywire.yaml"), "insecure: true\nadmin-listen: "+admin+"\n")
	for _, args := range [][]string{
		{"--admin-listen", admin},
		{"--admin-listen", ":" + port, "--live"},
		{"--admin-listen", "0.0.0.0:" + port},
		{"--config", config},
		{"--admin-listen", "off", "--listen", strings.TrimPrefix(g.public, "http://")},
		{"--health-url", g.public},
	} {
		o := check(nil, args...)
		require.Equal(t, exitDone, o.status, "%v: %s", args, o.stderr)
		require.Equal(t, "ok\n", o.stdout)
	}
	require.Equal(t, exitDone, check([]string{"TALLYWIRE_ADMIN_LISTEN=" + admin}).status)

	for name, c := range map[string]struct {
		args   []string
		status int
		says   string
	}{
		"address": {[]string{"--admin-listen", "nowhere"}, exitUsage, "admin-listen: must be host:port"},
		"URL":     {[]string{"--health-url", "127.0.0.1"}, exitUsage, "health-url: must be as"},
		"path":    {[]string{"--health-url", g.public + "/elsewhere"}, exitFailed, "answered 404"},
	} {
		o := check(nil, c.args...)
		require.Equal(t, c.status, o.status, name)
		require.Contains(t, o.stderr, c.says, name)
	}
	require.Equal(t, exitDone, g.stop())
	o := check(nil, "--admin-listen", admin)
	require.Equal(t, exitFailed, o.status)
	require.Contains(t, o.stderr, "connection refused")
}

// TestHealthcheckOfTrouble: alive and not ready are two things.
func TestHealthcheckOfTrouble(t *testing.T) {
	s := redistest.Start(t)
	s.Kill()
	g := serve(t, nil, "--insecure", "--redis", s.URL())
	o := command(t, nil, "", "healthcheck", "--health-url", g.admin, "--live")
	require.Equal(t, exitDone, o.status, o.stderr)
	o = command(t, nil, "", "healthcheck", "--health-url", g.admin)
	require.Equal(t, exitFailed, o.status)
	require.Contains(t, o.stderr, "not_ready: ")
}

// TestHealthcheckOverTLS asks a gateway without an admin listener, whose certificate is of another name.
func TestHealthcheckOverTLS(t *testing.T) {
	g := serveTLS(t, tlstest.Leaf{Names: []string{"events.example.com"}}, "--admin-listen", "off")
	o := command(t, nil, "", "healthcheck", "--admin-listen", "off", "--listen", g.address(), "--tls-cert", g.pair.CertFile, "--live")
	require.Equal(t, exitDone, o.status, o.stderr)
	require.NoError(t, os.Remove(g.pair.CertFile)) // it is not even read
	o = command(t, nil, "", "healthcheck", "--admin-listen", "off", "--listen", g.address(), "--tls-cert", g.pair.CertFile, "--live")
	require.Equal(t, exitDone, o.status, o.stderr)
}
