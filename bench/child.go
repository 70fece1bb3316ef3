package bench

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"os"
	"os/exec"
	"strings"
	"sync"
	"syscall"
	"time"
)

// child is a process that was started for a scenario.
type child struct {
	cmd    *exec.Cmd
	output *tail
	exited chan struct{} // closed after err is set
	err    error
}

// startChild starts a program on one CPU. It is told to use one thread for Go code, as a server on a
// core of its own would.
func startChild(ctx context.Context, cpu int, args []string) (*child, error) {
	c := &child{output: &tail{}, exited: make(chan struct{})}
	// It outlives ctx on purpose: stop ends it.
	c.cmd = exec.CommandContext(context.WithoutCancel(ctx), args[0], args[1:]...) //nolint:gosec // what the caller asked for
	c.cmd.Env = append(os.Environ(), "GOMAXPROCS=1")
	c.cmd.Stdout, c.cmd.Stderr = c.output, c.output
	if err := onCPU(cpu, c.cmd.Start); err != nil {
		return nil, fmt.Errorf("start %s: %w", args[0], err)
	}
	go func() {
		c.err = c.cmd.Wait()
		close(c.exited)
	}()
	return c, nil
}

func (c *child) pid() int { return c.cmd.Process.Pid }

// stopWithin is how long a process may take to end by itself.
const stopWithin = 10 * time.Second

// stop ends the process and waits for it.
func (c *child) stop() {
	_ = c.cmd.Process.Signal(syscall.SIGTERM)
	timer := time.NewTimer(stopWithin)
	defer timer.Stop()
	select {
	case <-c.exited:
	case <-timer.C:
		_ = c.cmd.Process.Kill()
		<-c.exited
	}
}

// startWithin is how long a process may take to answer.
const startWithin = 20 * time.Second

// await tries until probe succeeds, and says what the process wrote when it does not.
func (c *child) await(ctx context.Context, probe func(context.Context) error) error {
	ctx, cancel := context.WithTimeout(ctx, startWithin)
	defer cancel()
	tick := time.NewTicker(10 * time.Millisecond)
	defer tick.Stop()
	for {
		err := probe(ctx)
		if err == nil {
			return nil
		}
		select {
		case <-c.exited:
			return fmt.Errorf("%s ended (%w): %s", c.cmd.Path, errors.Join(c.err, errEnded), c.output)
		case <-ctx.Done():
			return fmt.Errorf("%s does not answer: %w: %s", c.cmd.Path, err, c.output)
		case <-tick.C:
		}
	}
}

var errEnded = errors.New("the process is gone")

// tail keeps the last bytes of a process's output. It is safe for concurrent use.
type tail struct {
	mu sync.Mutex
	b  []byte // guarded by mu
}

const tailBytes = 4096

func (t *tail) Write(p []byte) (int, error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.b = append(t.b, p...)
	if n := len(t.b) - tailBytes; n > 0 {
		t.b = append(t.b[:0], t.b[n:]...)
	}
	return len(p), nil
}

func (t *tail) String() string {
	t.mu.Lock()
	defer t.mu.Unlock()
	return string(bytes.TrimSpace(t.b))
}

// freeAddr returns a loopback address that nobody listened on a moment ago.
func freeAddr(ctx context.Context) (netip.AddrPort, error) {
	var lc net.ListenConfig
	l, err := lc.Listen(ctx, "tcp", "127.0.0.1:0")
	if err != nil {
		return netip.AddrPort{}, fmt.Errorf("free port: %w", err)
	}
	defer l.Close()
	addr, err := netip.ParseAddrPort(l.Addr().String())
	if err != nil {
		return netip.AddrPort{}, fmt.Errorf("free port: %w", err)
	}
	return addr, nil
}

// fill replaces the placeholders of a command.
func fill(words []string, listen, redis string) []string {
	var out []string
	for _, w := range words {
		if strings.Contains(w, "{redis}") && redis == "" {
			continue
		}
		w = strings.ReplaceAll(w, "{listen}", listen)
		out = append(out, strings.ReplaceAll(w, "{redis}", redis))
	}
	return out
}

// cpus says which CPU is whose; -1 means any.
type cpus struct {
	server, redis, load int
}

// assign gives the server under measure a CPU of its own where there is more than one.
func assign(allowed []int) cpus {
	c := cpus{-1, -1, -1}
	if len(allowed) < 2 {
		return c
	}
	for i, cpu := range allowed {
		switch i {
		case 0:
			c.server = cpu
		case 1:
			c.redis, c.load = cpu, cpu
		case 2:
			c.load = cpu
		}
	}
	return c
}
