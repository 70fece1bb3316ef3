package test

import (
	"bufio"
	"fmt"
	"math/rand/v2"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/tallywire/tallywire/internal/programtest"
)

// clusterPorts are those of scripts/cluster.sh, counted from PORT.
var clusterPorts = []int{0, 1, 11, 12, 13, 21, 22, 23}

// freePorts returns a PORT for scripts/cluster.sh with nobody on any of its ports. It looks below those that
// systems give to whoever asks for any.
func freePorts(t *testing.T) int {
	t.Helper()
	for range 100 {
		if port := 20000 + rand.IntN(10000); portsFree(port) {
			return port
		}
	}
	t.Fatal("there are no free ports")
	return 0
}

func portsFree(port int) bool {
	for _, more := range clusterPorts {
		l, err := net.Listen("tcp", fmt.Sprintf("127.0.0.1:%d", port+more))
		if err != nil {
			return false
		}
		_ = l.Close()
	}
	return true
}

// cluster is a run of scripts/cluster.sh.
type cluster struct {
	t      *testing.T
	cmd    *exec.Cmd
	port   int
	folder string // for its files
	stderr *programtest.Log
}

func newCluster(t *testing.T, args ...string) *cluster {
	t.Helper()
	c := &cluster{
		t: t, cmd: exec.Command("../scripts/cluster.sh", args...), port: freePorts(t),
		folder: t.TempDir(), stderr: &programtest.Log{},
	}
	c.cmd.Env = append(os.Environ(), "TALLYWIRE="+binary, "PORT="+strconv.Itoa(c.port), "TMPDIR="+c.folder)
	c.cmd.Stderr = c.stderr
	// Should it not end when it is asked to, neither does what it has started.
	c.cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	return c
}

// start starts it and returns once it serves.
func (c *cluster) start() {
	c.t.Helper()
	stdout, err := c.cmd.StdoutPipe()
	require.NoError(c.t, err)
	require.NoError(c.t, c.cmd.Start())
	c.killLater()
	for lines := bufio.NewScanner(stdout); lines.Scan(); {
		if strings.HasSuffix(lines.Text(), "ends it") {
			return
		}
	}
	_ = c.cmd.Wait()
	c.t.Fatalf("it has not started:\n%s", c.stderr)
}

func (c *cluster) killLater() {
	group := -c.cmd.Process.Pid
	c.t.Cleanup(func() { _ = syscall.Kill(group, syscall.SIGKILL) })
}

// ended waits for the end and looks for what was left.
func (c *cluster) ended(status int) {
	c.t.Helper()
	overdue := time.AfterFunc(time.Minute, func() { _ = syscall.Kill(-c.cmd.Process.Pid, syscall.SIGKILL) })
	defer overdue.Stop()
	_ = c.cmd.Wait()
	require.Equal(c.t, status, c.cmd.ProcessState.ExitCode(), c.stderr)
	c.nothingLeft()
}

func (c *cluster) nothingLeft() {
	c.t.Helper()
	require.True(c.t, portsFree(c.port), "somebody still listens")
	files, err := os.ReadDir(c.folder)
	require.NoError(c.t, err)
	require.Empty(c.t, files)
}

// TestCluster is `make cluster-check`: what is published while each of three gateways is replaced arrives through
// HAProxy, once and in order.
func TestCluster(t *testing.T) {
	c := newCluster(t, "--check")
	out := &programtest.Log{}
	c.cmd.Stdout = out
	require.NoError(t, c.cmd.Start())
	c.killLater()
	c.ended(0)
	require.Contains(t, out.String(), "cluster: 9 events through three restarts, each once and in order")
	require.Empty(t, c.stderr.String())
}

// TestClusterEnds by each signal that asks it to, and leaves nothing.
func TestClusterEnds(t *testing.T) {
	for signal, status := range map[syscall.Signal]int{syscall.SIGTERM: 143, syscall.SIGINT: 130} {
		t.Run(signal.String(), func(t *testing.T) {
			c := newCluster(t)
			c.start()
			require.NoError(t, c.cmd.Process.Signal(signal))
			c.ended(status)
			require.Empty(t, c.stderr.String())
		})
	}
}

// TestClusterWithoutRedis: when one of its processes ends by itself, so does the rest, and it says which it was.
func TestClusterWithoutRedis(t *testing.T) {
	c := newCluster(t)
	c.start()
	out, err := exec.CommandContext(t.Context(), "redis-cli", "-p", strconv.Itoa(c.port+1), "shutdown", "nosave").CombinedOutput()
	require.NoError(t, err, string(out))
	c.ended(1)
	require.Contains(t, c.stderr.String(), "cluster: redis has ended by itself\n")
}

// TestClusterRefuses what cannot become one, before it starts anything, and says what to do.
func TestClusterRefuses(t *testing.T) {
	refused := func(t *testing.T, c *cluster, want string) {
		t.Helper()
		require.NoError(t, c.cmd.Start())
		c.killLater()
		_ = c.cmd.Wait()
		require.Equal(t, 1, c.cmd.ProcessState.ExitCode())
		require.Equal(t, "cluster: "+want+"\n", c.stderr.String())
	}
	for name, more := range map[string]int{"front": 0, "redis": 1, "gateway": 12, "admin": 23} {
		t.Run("port of "+name, func(t *testing.T) {
			c := newCluster(t)
			address := fmt.Sprintf("127.0.0.1:%d", c.port+more)
			l, err := net.Listen("tcp", address)
			require.NoError(t, err)
			refused(t, c, "somebody listens on "+address+"; PORT=… chooses other ports")
			require.NoError(t, l.Close())
			c.nothingLeft()
		})
	}
	for _, missing := range []string{"redis-server", "redis-cli", "curl"} {
		t.Run("without "+missing, func(t *testing.T) {
			c := newCluster(t)
			c.cmd.Env = append(c.cmd.Env, "PATH="+without(t, missing))
			refused(t, c, missing+" is missing; make setup installs what is needed")
			c.nothingLeft()
		})
	}
	for name, want := range map[string]string{
		"TALLYWIRE=../nowhere/tallywire": "../nowhere/tallywire is missing; make build builds it",
		"PORT=65530":                     "PORT=65530 is no port from 1 to 65512",
		"PORT=http":                      "PORT=http is no port from 1 to 65512",
	} {
		t.Run(name, func(t *testing.T) {
			c := newCluster(t)
			c.cmd.Env = append(c.cmd.Env, name)
			refused(t, c, want)
		})
	}
	refused(t, newCluster(t, "--chekc"), "unknown argument --chekc; there is --check")
}

// without is a PATH with what the script calls, but for one program.
func without(t *testing.T, missing string) string {
	t.Helper()
	folder := t.TempDir()
	for _, name := range []string{"bash", "dirname", "redis-server", "redis-cli", "curl", "haproxy"} {
		path, err := exec.LookPath(name)
		if err == nil && name != missing {
			require.NoError(t, os.Symlink(path, filepath.Join(folder, name)))
		}
	}
	return folder
}
