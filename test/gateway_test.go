package test

import (
	"context"
	"io"
	"net"
	"net/http"
	"os/exec"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/tallywire/tallywire/gateway/auth"
	"github.com/tallywire/tallywire/internal/programtest"
)

const secret = "a secret of at least thirty-two bytes"

// patience bounds every wait of a test.
const patience = 30 * time.Second

// poll is how often a condition is looked at.
const poll = 20 * time.Millisecond

// process is a gateway in a process of its own.
type process struct {
	t    testing.TB
	cmd  *exec.Cmd
	addr string
	log  *programtest.Log
	done chan struct{} // closed when the process has ended
}

// startGateway starts a gateway and returns at once.
func startGateway(t testing.TB, id string, args ...string) *process {
	t.Helper()
	return startGatewayAt(t, programtest.FreeAddr(t), id, args...)
}

// startGatewayAt starts a gateway at an address, perhaps that of one that has ended.
func startGatewayAt(t testing.TB, addr, id string, args ...string) *process {
	t.Helper()
	p := &process{t: t, addr: addr, log: &programtest.Log{}, done: make(chan struct{})}
	p.cmd = exec.Command(binary, append([]string{
		"serve", "--listen", p.addr, "--admin-listen", "off", "--gateway-id", id,
		"--auth-secret", secret, "--drain-wait", "0s", "--drain-window", "1s",
	}, args...)...)
	p.cmd.Stderr = p.log
	require.NoError(t, p.cmd.Start())
	go func() {
		defer close(p.done)
		_ = p.cmd.Wait()
	}()
	t.Cleanup(func() {
		p.kill()
		if t.Failed() {
			t.Logf("log of %s:\n%s", id, tail(p.log.String(), 4000))
		}
	})
	return p
}

func tail(s string, n int) string {
	if len(s) > n {
		return "…" + s[len(s)-n:]
	}
	return s
}

// ready asks the gateway's readiness and returns the status and the body.
func (p *process) ready() (int, string) {
	ctx, cancel := context.WithTimeout(context.Background(), time.Second)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+p.addr+"/readyz", nil)
	require.NoError(p.t, err)
	req.Close = true
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return 0, err.Error()
	}
	defer resp.Body.Close()
	body, _ := io.ReadAll(resp.Body)
	return resp.StatusCode, string(body)
}

// troubles is how often the gateway has said that its path through Redis was broken. Readiness may be
// back before anybody has asked; the log keeps it.
func (p *process) troubles() int {
	return strings.Count(p.log.String(), `"event":"broker_health","ok":false`)
}

// awaitReady waits until the gateway is ready.
func (p *process) awaitReady() *process {
	p.t.Helper()
	require.Eventually(p.t, func() bool { status, _ := p.ready(); return status == http.StatusOK },
		patience, 20*time.Millisecond, "gateway is not ready")
	return p
}

// kill ends the gateway with SIGKILL and waits for that.
func (p *process) kill() { p.end(syscall.SIGKILL) }

// stop ends it with SIGTERM, as a deploy does.
func (p *process) stop() { p.end(syscall.SIGTERM) }

func (p *process) end(sig syscall.Signal) {
	_ = p.cmd.Process.Signal(sig)
	select {
	case <-p.done:
	case <-time.After(patience):
		p.t.Errorf("gateway %d did not end after %s", p.cmd.Process.Pid, sig)
	}
}

// token mints a token with all rights.
func token(t testing.TB, user string) string {
	t.Helper()
	all := []string{"*"}
	s, err := auth.Mint([]byte(secret), auth.Claims{
		User:        user,
		Permissions: auth.Permissions{Subscribe: all, Publish: all, Presence: all, History: all, Edit: all},
	}, time.Hour)
	require.NoError(t, err)
	return s
}

// balancer sends each new connection to the next gateway that takes it.
type balancer struct {
	mu    sync.Mutex
	addrs []string
	next  int
}

func (b *balancer) dial(ctx context.Context, network, _ string) (net.Conn, error) {
	b.mu.Lock()
	addrs := append(append([]string(nil), b.addrs[b.next%len(b.addrs):]...), b.addrs[:b.next%len(b.addrs)]...)
	b.next++
	b.mu.Unlock()
	var failure error
	for _, addr := range addrs {
		var d net.Dialer
		c, err := d.DialContext(ctx, network, addr)
		if err == nil {
			return c, nil
		}
		failure = err
	}
	return nil, failure
}

func itoa(n int) string { return strconv.Itoa(n) }
