package main

import (
	"context"
	"io"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/tallywire/tallywire/internal/redistest"
)

// TestToldToEndDuringTheStart: before anything was done, and as soon as it listens, while Redis does not answer.
func TestToldToEndDuringTheStart(t *testing.T) {
	s := redistest.Start(t)
	s.Pause()
	defer s.Continue()
	args := []string{
		"serve", "--insecure", "--redis", s.URL(), "--listen", "127.0.0.1:0", "--admin-listen", "127.0.0.1:0", "--drain-wait", "0s", "--log-format", "json",
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	stderr := &text{}
	began := time.Now()
	require.Equal(t, exitDone, (&Program{}).Run(ctx, args, strings.NewReader(""), io.Discard, stderr), stderr)
	require.Contains(t, stderr.String(), "stopped before it listened")

	g := serve(t, nil, "--insecure", "--redis", s.URL())
	require.Equal(t, exitDone, g.stop(), g.stderr)
	require.Less(t, time.Since(began), 15*time.Second)
}

// TestMissingFiles: what a gateway is told to read and cannot is named, with the setting.
func TestMissingFiles(t *testing.T) {
	for flag, says := range map[string]string{
		"--auth-key": "auth-key: open /nowhere/x", "--schemas": "schemas: ", "--config": "config: open /nowhere/x",
	} {
		o := command(t, nil, "", "serve", "--listen", "127.0.0.1:0", "--admin-listen", "off", "--auth-secret", secret, flag, "/nowhere/x")
		require.NotEqual(t, exitDone, o.status, flag)
		require.Contains(t, o.stderr, says)
		require.NotContains(t, o.stderr, secret)
	}
	for name, c := range map[string]struct {
		args []string
		says string
	}{
		"half of TLS":       {[]string{"--tls-cert", "x"}, "tls-cert: needs its key"},
		"proxies by name":   {[]string{"--trusted-proxies", "proxy.example.com"}, `trusted-proxies: must be networks as 10.0.0.0/8 or addresses, has "proxy.example.com"`},
		"a mapped network":  {[]string{"--trusted-proxies", "::ffff:10.0.0.0/104"}, "trusted-proxies: write a network of IPv4 as one"},
		"whose word":        {[]string{"--proxy-protocol"}, "proxy-protocol: needs trusted-proxies"},
		"a mode of cookies": {[]string{"--cookie-samesite", "some"}, `cookie-samesite: must be strict, lax or none, is "some"`},
		"a body's time":     {[]string{"--body-timeout", "1h"}, "body-timeout: must be between 100ms and 10m0s"},
	} {
		o := command(t, nil, "", append([]string{"serve", "--insecure", "--listen", "127.0.0.1:0", "--admin-listen", "off"}, c.args...)...)
		require.Equal(t, exitUsage, o.status, name)
		require.Contains(t, o.stderr, c.says, name)
	}
}

// TestCookieAndBodySettings: they reach the gateway.
func TestCookieAndBodySettings(t *testing.T) {
	g := serve(t, []string{"TALLYWIRE_AUTH_SECRET=" + secret}, "--cookie-samesite", "none", "--body-timeout", "100ms")
	token := mint(t, "--user", "alice", "--publish", "*")
	post := func(path string, body io.ReadCloser) answer {
		return get(t, g.public+path, func(q *http.Request) {
			q.Method, q.Body = http.MethodPost, body
			q.Header.Set("Authorization", "Bearer "+token)
		})
	}
	require.Contains(t, post("/v1/cookie", nil).header.Get("Set-Cookie"), "SameSite=None; Partitioned")
	body, held := io.Pipe()
	defer func() { _ = held.Close() }()
	require.Equal(t, 408, post("/v1/publish", body).status)
}
