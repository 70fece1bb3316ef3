package redistest

import (
	"context"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"
)

// wait bounds every wait of this package.
const wait = 20 * time.Second

// Server is one redis-server process. Its methods fail the test when they cannot do what they say;
// they are for the test's own goroutine.
type Server struct {
	t    testing.TB
	dir  string
	port int
	args []string
	kind string

	tls     bool
	tlsPort int
	cluster bool
	busPort int // of a node of a cluster

	cmd    *exec.Cmd
	exited chan struct{}
	admin  *redis.Client
}

// Option configures a server.
type Option func(*Server)

// WithAOF persists every write before it is answered.
func WithAOF() Option { return WithConfig("appendonly", "yes", "appendfsync", "always") }

// WithConfig sets configuration directives: name, value, name, value …
func WithConfig(pairs ...string) Option {
	return func(s *Server) {
		for i := 0; i+1 < len(pairs); i += 2 {
			s.args = append(s.args, "--"+pairs[i])
			s.args = append(s.args, strings.Fields(pairs[i+1])...)
			if pairs[i+1] == "" {
				s.args = append(s.args, "")
			}
		}
	}
}

// WithReplicaOf makes the server a replica.
func WithReplicaOf(primary *Server) Option {
	return WithConfig("replicaof", "127.0.0.1 "+strconv.Itoa(primary.port))
}

// Binary returns the path of redis-server. Without one the test is skipped, or fails where CI is set.
func Binary(t testing.TB) string {
	t.Helper()
	path, err := exec.LookPath("redis-server")
	if err == nil {
		return path
	}
	const hint = "redis-server is not on PATH; install the package redis-server (Debian, Ubuntu) or redis"
	if os.Getenv("CI") != "" {
		t.Fatal(hint)
	}
	t.Skip(hint)
	return ""
}

// Start starts a server without persistence and waits until it answers.
func Start(t testing.TB, options ...Option) *Server {
	t.Helper()
	s := &Server{t: t, dir: t.TempDir(), kind: "redis"}
	s.args = []string{"--bind", "127.0.0.1", "--dir", s.dir, "--save", "", "--daemonize", "no", "--repl-diskless-sync-delay", "0"}
	for _, o := range options {
		o(s)
	}
	s.begin()
	return s
}

// begin tries free ports until the process comes up; another process may take a port first.
func (s *Server) begin() {
	s.t.Helper()
	s.t.Cleanup(s.end)
	for range 5 {
		s.port = freePort(s.t)
		if s.tls {
			s.tlsPort = freePort(s.t)
		}
		if s.cluster {
			s.busPort = freePort(s.t)
		}
		s.run()
		if s.ready() {
			return
		}
		s.Kill()
	}
	s.t.Fatalf("redistest: %s did not come up:\n%s", s.kind, s.log())
}

func freePort(t testing.TB) int {
	t.Helper()
	var lc net.ListenConfig
	l, err := lc.Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatalf("redistest: free port: %v", err)
	}
	defer l.Close()
	return l.Addr().(*net.TCPAddr).Port
}

func (s *Server) run() {
	s.t.Helper()
	args := append([]string{}, s.args...)
	if s.tls {
		args = append(args, "--tls-port", strconv.Itoa(s.tlsPort))
	}
	if s.cluster {
		args = append(args, "--cluster-port", strconv.Itoa(s.busPort))
	}
	if s.kind == "sentinel" {
		args = append(args, "--port", strconv.Itoa(s.port), "--sentinel")
	} else {
		args = append(args, "--port", strconv.Itoa(s.port))
	}
	// The process outlives the test's context on purpose: end stops it after the test's own cleanups.
	s.cmd = exec.CommandContext(context.WithoutCancel(s.t.Context()), Binary(s.t), args...)
	out, err := os.OpenFile(filepath.Join(s.dir, "log"), os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		s.t.Fatalf("redistest: log: %v", err)
	}
	defer func() { _ = out.Close() }() // the process has its own copy
	s.cmd.Stdout, s.cmd.Stderr = out, out
	if err := s.cmd.Start(); err != nil {
		s.t.Fatalf("redistest: start: %v", err)
	}
	exited, cmd := make(chan struct{}), s.cmd
	s.exited = exited
	go func() {
		_ = cmd.Wait()
		close(exited)
	}()
}

func (s *Server) log() string {
	b, _ := os.ReadFile(filepath.Join(s.dir, "log"))
	return string(b)
}

// ready waits until the server answers PING, or has exited.
func (s *Server) ready() bool {
	s.t.Helper()
	deadline := time.Now().Add(wait)
	for time.Now().Before(deadline) {
		select {
		case <-s.exited:
			return false
		default:
		}
		c := redis.NewClient(s.options())
		err := c.Ping(context.WithoutCancel(s.t.Context())).Err()
		_ = c.Close()
		if err == nil {
			return true
		}
		s.pause()
	}
	return false
}

// pause waits a moment between two looks at a state.
func (s *Server) pause() {
	timer := time.NewTimer(5 * time.Millisecond)
	defer timer.Stop()
	<-timer.C
}

func (s *Server) options() *redis.Options {
	return &redis.Options{
		Addr: s.Addr(), Protocol: 2, MaxRetries: -1, DialerRetries: 1, DisableIdentity: true,
		DialTimeout: time.Second, ReadTimeout: 5 * time.Second, PoolSize: 4,
	}
}

// Addr returns host:port.
func (s *Server) Addr() string { return "127.0.0.1:" + strconv.Itoa(s.port) }

// URL returns the server's redis:// URL.
func (s *Server) URL() string { return "redis://" + s.Addr() }

// Port returns the port, the same over restarts.
func (s *Server) Port() int { return s.port }

// Admin returns a client for the test's own commands; it is closed with the server.
func (s *Server) Admin() *redis.Client {
	if s.admin == nil {
		s.admin = redis.NewClient(s.options())
	}
	return s.admin
}

// Do runs one command and returns its reply; an error fails the test.
func (s *Server) Do(args ...any) any {
	s.t.Helper()
	v, err := s.Admin().Do(s.t.Context(), args...).Result()
	if err != nil {
		s.t.Fatalf("redistest: %v: %v", args[0], err)
	}
	return v
}

// Info returns one field of INFO.
func (s *Server) Info(name string) string {
	s.t.Helper()
	text, err := s.Admin().Info(s.t.Context(), "everything").Result()
	if err != nil {
		return ""
	}
	for line := range strings.Lines(text) {
		if v, ok := strings.CutPrefix(line, name+":"); ok {
			return strings.TrimSpace(v)
		}
	}
	return ""
}

// Eventually waits until ok returns true.
func (s *Server) Eventually(what string, ok func() bool) {
	s.t.Helper()
	deadline := time.Now().Add(wait)
	for !ok() {
		if time.Now().After(deadline) {
			s.t.Fatalf("redistest: %s: not within %s", what, wait)
		}
		s.pause()
	}
}

// Kill ends the process at once, as a crash does.
func (s *Server) Kill() { s.signal(syscall.SIGKILL, true) }

// Stop ends the process in order.
func (s *Server) Stop() { s.signal(syscall.SIGTERM, true) }

// Pause freezes the process: its sockets stay open and nothing answers.
func (s *Server) Pause() { s.signal(syscall.SIGSTOP, false) }

// Continue ends a Pause.
func (s *Server) Continue() { s.signal(syscall.SIGCONT, false) }

func (s *Server) signal(sig syscall.Signal, awaitExit bool) {
	s.t.Helper()
	select {
	case <-s.exited:
		return
	default:
	}
	if err := s.cmd.Process.Signal(sig); err != nil && sig != syscall.SIGKILL {
		s.t.Logf("redistest: %s: %v", sig, err)
	}
	if !awaitExit {
		return
	}
	timer := time.NewTimer(wait)
	defer timer.Stop()
	select {
	case <-s.exited:
	case <-timer.C:
		s.t.Errorf("redistest: %s did not exit after %s", s.kind, sig)
	}
}

// Restart starts the process again on the same port and directory, and waits until it answers.
func (s *Server) Restart() {
	s.t.Helper()
	s.Stop()
	s.run()
	if !s.ready() {
		s.t.Fatalf("redistest: restart on port %d:\n%s", s.port, s.log())
	}
}

// end is the cleanup: it may find the process frozen or gone.
func (s *Server) end() {
	if s.admin != nil {
		_ = s.admin.Close()
	}
	if s.cmd != nil && s.exited != nil {
		s.Continue()
		s.Kill()
	}
	if s.t.Failed() {
		s.t.Logf("redistest: log of %s %d:\n%s", s.kind, s.port, tail(s.log(), 2000))
	}
}

func tail(s string, n int) string {
	if len(s) <= n {
		return s
	}
	return fmt.Sprintf("… %s", s[len(s)-n:])
}
