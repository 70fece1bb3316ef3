package browser

import (
	"fmt"
	"net/http"
	"os/exec"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/tallywire/tallywire/internal/programtest"
)

const (
	secret   = "a secret of at least thirty-two bytes"
	patience = 30 * time.Second
)

// gateway is a gateway in a process of its own, on addresses that it keeps when it is started again.
type gateway struct {
	t             testing.TB
	id            string
	public, admin string // base URLs
	args          []string

	cmd  *exec.Cmd
	log  *programtest.Log
	done chan struct{} // closed when the process has ended
}

// newGateway starts a gateway with further arguments and waits until it is ready. Without Redis it has the embedded engine.
func newGateway(t testing.TB, id, redis string, args ...string) *gateway {
	t.Helper()
	public, admin := programtest.FreeAddr(t), programtest.FreeAddr(t)
	g := &gateway{
		t: t, id: id, public: "http://" + public, admin: "http://" + admin, log: &programtest.Log{},
		args: append([]string{
			"serve", "--listen", public, "--admin-listen", admin, "--gateway-id", id, "--lease-ttl", "3s",
		}, args...),
	}
	if redis != "" {
		g.args = append(g.args, "--redis", redis)
	}
	t.Cleanup(func() {
		g.kill()
		if t.Failed() {
			t.Logf("log of %s:\n%s", id, g.log)
		}
	})
	g.start()
	return g
}

// start runs the gateway and waits until it is ready.
func (g *gateway) start() {
	g.t.Helper()
	g.cmd, g.done = exec.Command(binary, g.args...), make(chan struct{})
	g.cmd.Stderr = g.log
	require.NoError(g.t, g.cmd.Start())
	cmd, done := g.cmd, g.done
	go func() {
		defer close(done)
		_ = cmd.Wait()
	}()
	client := &http.Client{Timeout: time.Second, Transport: &http.Transport{DisableKeepAlives: true}}
	require.Eventually(g.t, func() bool {
		a, err := client.Get(g.public + "/readyz")
		if err != nil {
			return false
		}
		a.Body.Close()
		return a.StatusCode == http.StatusOK
	}, patience, 20*time.Millisecond, "%s is not ready", g.id)
}

// kill ends the gateway as a crash does, and waits for that.
func (g *gateway) kill() {
	_ = g.cmd.Process.Kill()
	<-g.done
}

// stop ends the gateway as a deploy does, and waits for that.
func (g *gateway) stop() error {
	if err := g.cmd.Process.Signal(syscall.SIGTERM); err != nil {
		return err
	}
	select {
	case <-g.done:
		return nil
	case <-time.After(patience):
		return fmt.Errorf("%s does not end", g.id)
	}
}

// addr is where the gateway listens.
func (g *gateway) addr() string { return strings.TrimPrefix(g.public, "http://") }
