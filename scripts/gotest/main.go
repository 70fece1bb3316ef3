// Gotest runs `go test -json` with the arguments it is given (-C first, for the tests of another module) and prints what a person wants to read: one
// line a package, the whole output of what failed, the names of skipped tests, and in the end
//
//	N passed, N failed, N skipped
//
// Tests that skip themselves because of the race detector are run once more without it. Where CI=true,
// cached results are not used, and a skipped test fails the run unless scripts/allowed-skips.txt names it
// with a reason.
//
// Main path: [main] → [run] → [goTest] → [tally.add] for each event → [tally.report].
package main

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"os/signal"
	"slices"
	"strings"
	"syscall"
	"time"
)

const allowedSkipsFile = "scripts/allowed-skips.txt"

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	ok, err := run(ctx, os.Args[1:], os.Getenv("CI") == "true", os.Stdout)
	stop()
	if err != nil {
		fmt.Fprintln(os.Stderr, "gotest:", err)
	}
	if err != nil || !ok {
		os.Exit(1)
	}
}

// run reports whether the tests passed; an error means that they could not be run.
func run(ctx context.Context, args []string, ci bool, out io.Writer) (ok bool, err error) {
	allowed, err := readAllowedSkips(allowedSkipsFile)
	if err != nil {
		return false, err
	}
	command := []string{"test"}
	if len(args) > 1 && args[0] == "-C" { // where go wants it
		command, args = append(command, args[:2]...), args[2:]
	}
	command = append(command, "-json")
	once := append(slices.Clone(command), "-count=1")
	if ci {
		command = once
	}
	t := &tally{out: out, verbose: slices.Contains(args, "-v"), allowed: allowed, strict: ci}
	testErr := goTest(ctx, append(slices.Clone(command), args...), t)
	if exit := (*exec.ExitError)(nil); testErr != nil && !errors.As(testErr, &exit) {
		return false, fmt.Errorf("go test: %w", testErr)
	}
	commandOK := testErr == nil
	if slices.Contains(args, "-race") {
		if packages, pattern := t.takeRaceSkips(); len(packages) > 0 {
			again := append(append(once, "-run", pattern), packages...)
			commandOK = goTest(ctx, again, t) == nil && commandOK
		}
	}
	return t.report(commandOK), nil
}

// goTest runs the go command and feeds its events to t.
func goTest(ctx context.Context, args []string, t *tally) error {
	cmd := exec.CommandContext(ctx, "go", args...) //nolint:gosec // the arguments are the caller's own
	cmd.Cancel = func() error { return cmd.Process.Signal(os.Interrupt) }
	cmd.WaitDelay = 10 * time.Second
	cmd.Stderr = os.Stderr
	stdout, err := cmd.StdoutPipe()
	if err != nil {
		return fmt.Errorf("pipe: %w", err)
	}
	if err := cmd.Start(); err != nil {
		return fmt.Errorf("start: %w", err)
	}
	readErr := readEvents(stdout, t)
	if readErr != nil {
		_ = cmd.Process.Signal(os.Interrupt) // without a reader it would block on a full pipe
	}
	return errors.Join(readErr, cmd.Wait())
}

// readEvents reads one JSON event a line, of any length; a line that is none is printed as it is.
func readEvents(r io.Reader, t *tally) error {
	lines := bufio.NewReaderSize(r, 64<<10)
	for {
		line, err := lines.ReadString('\n')
		if strings.TrimSpace(line) != "" {
			var e event
			if json.Unmarshal([]byte(line), &e) == nil && e.Action != "" {
				t.add(e)
			} else {
				fmt.Fprint(t.out, line)
			}
		}
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return fmt.Errorf("read events: %w", err)
		}
	}
}
