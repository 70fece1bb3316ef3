package main

import (
	"bytes"
	"context"
	"net"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

const secret = "0123456789abcdef0123456789abcdef"

// outcome is what a command left behind.
type outcome struct {
	status         int
	stdout, stderr string
}

// command runs a program to its end.
func command(t *testing.T, environ []string, stdin string, args ...string) outcome {
	t.Helper()
	var stdout, stderr bytes.Buffer
	p := Program{Environ: environ}
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
	defer cancel()
	status := p.Run(ctx, args, strings.NewReader(stdin), &stdout, &stderr)
	return outcome{status, stdout.String(), stderr.String()}
}

// text is a writer whose content may be read at any time.
type text struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (x *text) Write(p []byte) (int, error) {
	x.mu.Lock()
	defer x.mu.Unlock()
	return x.b.Write(p)
}

func (x *text) String() string {
	x.mu.Lock()
	defer x.mu.Unlock()
	return x.b.String()
}

// running is a program under way.
type running struct {
	t              *testing.T
	stdout, stderr *text
	cancel         context.CancelFunc
	done           chan int
	public, admin  string // base URLs, of serve only
}

// start runs a program until stop.
func start(t *testing.T, p Program, args ...string) *running {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	r := &running{t: t, stdout: &text{}, stderr: &text{}, cancel: cancel, done: make(chan int, 1)}
	go func() { r.done <- p.Run(ctx, args, strings.NewReader(""), r.stdout, r.stderr) }()
	t.Cleanup(func() { r.stop() })
	return r
}

// serve runs a gateway on free ports and waits until it listens.
func serve(t *testing.T, environ []string, args ...string) *running {
	t.Helper()
	return serveWith(t, Program{Environ: environ}, args...)
}

// serveWith is serve with more of the program's fields.
func serveWith(t *testing.T, p Program, args ...string) *running {
	t.Helper()
	addresses := make(chan [2]net.Addr, 1)
	p.Listening = func(public, admin net.Addr) { addresses <- [2]net.Addr{public, admin} }
	args = append([]string{
		"serve", "--listen", "127.0.0.1:0", "--admin-listen", "127.0.0.1:0", "--drain-wait", "0s", "--drain-window", "300ms", "--log-format", "json",
	}, args...)
	r := start(t, p, args...)
	select {
	case a := <-addresses:
		r.public = "http://" + a[0].String()
		if slices.Contains(args, "--tls-cert") {
			r.public = "https://" + a[0].String()
		}
		if a[1] != nil {
			r.admin = "http://" + a[1].String()
		}
	case status := <-r.done:
		r.done <- status
		require.FailNow(t, "serve ended", "status %d: %s", status, r.stderr)
	case <-time.After(20 * time.Second):
		require.FailNow(t, "serve does not listen", r.stderr)
	}
	return r
}

// wait returns the exit status.
func (r *running) wait() int {
	r.t.Helper()
	select {
	case status := <-r.done:
		r.done <- status
		return status
	case <-time.After(20 * time.Second):
		require.FailNow(r.t, "the program does not end", r.stderr)
		return -1
	}
}

func (r *running) stop() int {
	r.t.Helper()
	r.cancel()
	return r.wait()
}

// sees waits until the output holds a text.
func (r *running) sees(what *text, part string) {
	r.t.Helper()
	require.Eventually(r.t, func() bool { return strings.Contains(what.String(), part) }, 20*time.Second, 5*time.Millisecond,
		"waiting for %q\n%s\n%s", part, r.stdout, r.stderr)
}

func TestWrongUse(t *testing.T) {
	for name, c := range map[string]struct {
		args    []string
		environ []string
		says    string
	}{
		"no such command":        {args: []string{"serv"}, says: `did you mean "serve"?`},
		"no such flag":           {args: []string{"serve", "--lsiten", "x"}, says: `did you mean "--listen"?`},
		"no key":                 {args: []string{"serve"}, says: "auth-secret: no key to verify tokens with"},
		"key and insecure":       {args: []string{"serve", "--insecure", "--auth-secret", secret}, says: "insecure: excludes"},
		"bad listen":             {args: []string{"serve", "--insecure", "--listen", "8080"}, says: "listen: must be host:port"},
		"bad redis":              {args: []string{"serve", "--insecure", "--redis", "http://x"}, says: `redis: invalid redis url: unknown scheme "http"`},
		"bad level":              {args: []string{"serve", "--insecure", "--log-level", "loud"}, says: "log-level: must be debug"},
		"out of range":           {args: []string{"serve", "--insecure", "--max-message", "5"}, says: "max-message: must be between 1024 and"},
		"variable of wrong kind": {args: []string{"serve", "--insecure"}, environ: []string{"TALLYWIRE_PING=soon"}, says: `ping: must be a duration as 1m30s, is "soon" (from TALLYWIRE_PING)`},
		"variable out of range":  {args: []string{"serve", "--insecure"}, environ: []string{"TALLYWIRE_PING=1ms"}, says: "ping: must be between 1s and 10m0s, is 1ms (from TALLYWIRE_PING)"},
		"unknown variable":       {args: []string{"serve", "--insecure"}, environ: []string{"TALLYWIRE_LISTN=:1"}, says: "TALLYWIRE_LISTN: unknown environment variable, did you mean TALLYWIRE_LISTEN?"},
		"no such file":           {args: []string{"serve", "--insecure", "--config", "/nowhere.yaml"}, says: "config: open /nowhere.yaml"},
		"token without user":     {args: []string{"token", "--auth-secret", secret}, says: "missing flags: --user"},
		"token of no secret":     {args: []string{"token", "--user", "a"}, says: "missing flags: --auth-secret"},
		"token of bad pattern":   {args: []string{"token", "--auth-secret", secret, "--user", "a", "--subscribe", "jobs*x"}, says: "subscribe:"},
		"publish without type":   {args: []string{"publish", "jobs:1"}, says: "missing flags: --type"},
		"publish no JSON":        {args: []string{"publish", "jobs:1", "--type", "x", "--data", "{"}, says: "data: must be JSON"},
		"publish bad channel":    {args: []string{"publish", "jobs{1}", "--type", "x"}, says: "channel"},
		"publish both ways":      {args: []string{"publish", "jobs:1", "--type", "x", "--redis", "redis://x", "--url", "http://x"}, says: "redis, url: give one of them"},
		"tail bad cursor":        {args: []string{"tail", "jobs:1", "--cursor", "x"}, says: "cursor: must be"},
		"tail cursor of several": {args: []string{"tail", "jobs:1", "jobs:2", "--cursor", "0"}, says: "cursor: is a place in one channel"},
		"tail bad since":         {args: []string{"tail", "jobs:1", "--since", "yesterday"}, says: "since: must be a time"},
		"tail bad count":         {args: []string{"tail", "jobs:1", "--count", "0"}, says: "count: must be at least 1"},
		"tail bad channel":       {args: []string{"tail", "a b"}, says: "channel"},
		"doctor of nothing":      {args: []string{"doctor"}, says: "redis: give the address"},
	} {
		t.Run(name, func(t *testing.T) {
			o := command(t, c.environ, "", c.args...)
			require.Equal(t, exitUsage, o.status, o.stderr)
			require.Contains(t, o.stderr, c.says)
			require.Contains(t, o.stderr, "--help\" for usage")
			require.Empty(t, o.stdout)
			require.NotContains(t, o.stderr, secret)
		})
	}
}

func TestHelpAndVersion(t *testing.T) {
	for _, args := range [][]string{{}, {"--help"}, {"serve", "--help"}, {"schema", "check", "--help"}} {
		o := command(t, nil, "", args...)
		require.Equal(t, exitDone, o.status)
		require.Contains(t, o.stdout, "Usage: tallywire")
		require.Empty(t, o.stderr)
	}
	o := command(t, []string{"TALLYWIRE_NO_SUCH=1"}, "", "version")
	require.Equal(t, exitDone, o.status)
	require.Regexp(t, `^tallywire \S+ \(commit \S+, go1\.\S+, \w+/\w+\)\n$`, o.stdout)
}

// TestVariablesOfServices: a cluster sets variables for a service that is named tallywire.
func TestVariablesOfServices(t *testing.T) {
	o := command(t, []string{
		"TALLYWIRE_SERVICE_HOST=10.0.0.1", "TALLYWIRE_SERVICE_PORT=8080", "TALLYWIRE_SERVICE_PORT_HTTP=8080", "TALLYWIRE_PORT=tcp://10.0.0.1:8080",
		"TALLYWIRE_PORT_8080_TCP=tcp://10.0.0.1:8080", "TALLYWIRE_PORT_8080_TCP_ADDR=10.0.0.1", "TALLYWIRE_ADMIN_SERVICE_HOST=10.0.0.2",
	}, "", "serve", "--insecure", "--print-config")
	require.Equal(t, exitDone, o.status, o.stderr)
	o = command(t, []string{"TALLYWIRE_PORT=8080"}, "", "serve", "--insecure", "--print-config")
	require.Equal(t, exitUsage, o.status, "meant to be the port to listen on, and would do nothing")
}
