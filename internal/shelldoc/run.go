package shelldoc

import (
	"bytes"
	"context"
	"crypto/rand"
	"fmt"
	"os"
	"os/exec"
	"strings"
	"syscall"
	"time"
)

// Result is what a block has printed, on both of its outputs.
type Result struct {
	Block
	Printed string
}

// Run runs blocks in one bash, in dir, with the variables of env ("NAME=value") and no others, until ctx ends.
// It returns the results of the blocks that have succeeded, and an error about the one that has not. Processes
// that they have left are killed.
func Run(ctx context.Context, dir string, env []string, blocks []Block) ([]Result, error) {
	mark := "===== " + rand.Text() + " ====="
	var script strings.Builder
	script.WriteString("set -euo pipefail\nexec 2>&1\n")
	for _, b := range blocks {
		fmt.Fprintf(&script, "%s\nprintf '\\n%%s\\n' '%s'\n", b.Code, mark)
	}
	file, err := os.CreateTemp("", "shelldoc-")
	if err != nil {
		return nil, err
	}
	defer os.Remove(file.Name()) //nolint:errcheck // a temporary file
	if _, err = file.WriteString(script.String()); err == nil {
		err = file.Close()
	}
	if err != nil {
		return nil, err
	}
	cmd := exec.CommandContext(ctx, "bash", "--norc", "--noprofile", file.Name()) //nolint:gosec // for tests
	cmd.Dir, cmd.Env = dir, env
	var out bytes.Buffer
	cmd.Stdout = &out
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	killAll := func() error { return syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL) }
	cmd.Cancel, cmd.WaitDelay = killAll, 5*time.Second
	if err := cmd.Start(); err != nil {
		return nil, err
	}
	err = cmd.Wait()
	_ = killAll() // what runs in the background
	parts := strings.Split(out.String(), "\n"+mark+"\n")
	var results []Result
	for i, printed := range parts[:len(parts)-1] {
		results = append(results, Result{Block: blocks[i], Printed: printed})
	}
	if err == nil && len(results) == len(blocks) {
		return results, nil
	}
	if ctx.Err() != nil {
		err = ctx.Err()
	}
	return results, fmt.Errorf("line %d: %w\n%s\nit printed\n%s", blocks[len(results)].Line, err, blocks[len(results)].Code, parts[len(parts)-1])
}
