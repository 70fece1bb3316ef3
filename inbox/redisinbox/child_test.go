package redisinbox_test

import (
	"bufio"
	"fmt"
	"io"
	"os"
	"os/exec"
	"syscall"
	"testing"

	"github.com/stretchr/testify/require"
)

// childURL names the environment variable that makes a test binary a gateway's inbox in a process of its own.
const childURL = "TALLYWIRE_TEST_INBOX_URL"

// child runs until its standard input ends.
func child(url string) int {
	n, err := start(url, "child", brief)
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	fmt.Fprintln(os.Stdout, "running")
	_, _ = io.Copy(io.Discard, os.Stdin)
	n.close()
	fmt.Fprintf(os.Stdout, "%+v\n", n.Stats())
	return 0
}

// process is a gateway's inbox in a process of its own.
type process struct {
	t     *testing.T
	cmd   *exec.Cmd
	stdin io.Closer
	out   *bufio.Reader
}

func startProcess(t *testing.T, url string) *process {
	t.Helper()
	p := &process{t: t, cmd: exec.CommandContext(t.Context(), os.Args[0])} //nolint:gosec // this test binary
	p.cmd.Env = append(os.Environ(), childURL+"="+url)
	stdin, err := p.cmd.StdinPipe()
	require.NoError(t, err)
	out, err := p.cmd.StdoutPipe()
	require.NoError(t, err)
	p.stdin, p.out = stdin, bufio.NewReader(out)
	require.NoError(t, p.cmd.Start())
	line, err := p.out.ReadString('\n')
	require.NoError(t, err)
	require.Equal(t, "running\n", line)
	return p
}

func (p *process) signal(s syscall.Signal) {
	p.t.Helper()
	require.NoError(p.t, p.cmd.Process.Signal(s))
}

// end lets the process end in order, and returns what it says at last.
func (p *process) end() string {
	p.t.Helper()
	require.NoError(p.t, p.stdin.Close())
	line, err := p.out.ReadString('\n')
	require.NoError(p.t, err)
	require.NoError(p.t, p.cmd.Wait())
	return line
}
