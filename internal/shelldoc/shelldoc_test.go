package shelldoc_test

import (
	"context"
	"io"
	"os"
	"path/filepath"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/tallywire/tallywire/internal/shelldoc"
)

func write(t *testing.T, text string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "doc.md")
	require.NoError(t, os.WriteFile(path, []byte(text), 0o600))
	return path
}

var env = []string{"PATH=" + os.Getenv("PATH"), "WHO=you"}

func TestBlocksShareAShell(t *testing.T) {
	blocks, err := shelldoc.Read(write(t, "# A\n\n```sh\nX=\"hello $WHO\"\n```\n\nand\n\n```sh\necho \"$X\"; echo err >&2\n```\n\n```text\nhello …\nerr\n```\n"+
		"<!-- not run: it never ends -->\n```sh\nsleep 1000\n```\n\n```text\nnot the output of anything\n```\n\n```go\nfunc main() {}\n```\n"))
	require.NoError(t, err)
	require.Len(t, blocks, 2)
	require.Equal(t, 3, blocks[0].Line)
	require.False(t, blocks[0].HasOutput)
	require.Equal(t, "hello …\nerr", blocks[1].Output)
	results, err := shelldoc.Run(t.Context(), t.TempDir(), env, blocks)
	require.NoError(t, err)
	require.Len(t, results, 2)
	require.Empty(t, results[0].Printed)
	require.Equal(t, "hello you\nerr\n", results[1].Printed)
	require.Empty(t, results[1].Check(results[1].Printed))
}

func TestOutputThatIsNotAsPrinted(t *testing.T) {
	b := shelldoc.Block{Output: "a … (c)\n", HasOutput: true}
	for _, good := range []string{"a b (c)", "a b (c)  \n\n", "a 1\n2 (c)"} {
		require.Empty(t, b.Check(good), good)
	}
	for _, bad := range []string{"", "a b c", "a b (c) d", "x a b (c)"} {
		require.NotEmpty(t, b.Check(bad), bad)
	}
	require.Empty(t, shelldoc.Block{}.Check("anything"))
	require.NotEmpty(t, shelldoc.Block{HasOutput: true}.Check("anything"))
}

func TestOutputStandsDirectlyBelow(t *testing.T) {
	blocks, err := shelldoc.Read(write(t, "```sh\ntrue\n```\nprose\n```json\n{}\n```\n"))
	require.NoError(t, err)
	require.False(t, blocks[0].HasOutput)
	_, err = shelldoc.Read(write(t, "```sh\ntrue\n"))
	require.ErrorContains(t, err, "no end")
}

func TestTheFirstFailureEnds(t *testing.T) {
	blocks := []shelldoc.Block{{Line: 1, Code: "echo one"}, {Line: 5, Code: "echo two; false"}, {Line: 9, Code: "echo three"}}
	for name, code := range map[string]string{
		"a command": "echo two; false", "in a pipe": "echo two; false | cat", "a variable that is not set": "echo two; echo $NONE",
		"a quote without end": "echo two\necho '",
	} {
		t.Run(name, func(t *testing.T) {
			blocks[1].Code = code
			results, err := shelldoc.Run(t.Context(), t.TempDir(), env, blocks)
			require.ErrorContains(t, err, "line 5")
			require.ErrorContains(t, err, "two")
			require.Len(t, results, 1)
		})
	}
}

func TestNothingIsLeftRunning(t *testing.T) {
	fifo := filepath.Join(t.TempDir(), "fifo")
	require.NoError(t, syscall.Mkfifo(fifo, 0o600))
	held, err := os.OpenFile(fifo, os.O_RDONLY|syscall.O_NONBLOCK, 0)
	require.NoError(t, err)
	defer held.Close() //nolint:errcheck // only read from
	_, err = shelldoc.Run(t.Context(), t.TempDir(), env, []shelldoc.Block{{Code: "exec 3>" + fifo + "\ntail -f /dev/null >/dev/null 2>&1 &"}})
	require.NoError(t, err)
	require.NoError(t, held.SetReadDeadline(time.Now().Add(5*time.Second)))
	_, err = held.Read(make([]byte, 1))
	require.ErrorIs(t, err, io.EOF, "nobody has it open for writing")

	ctx, cancel := context.WithTimeout(t.Context(), 100*time.Millisecond)
	defer cancel()
	_, err = shelldoc.Run(ctx, t.TempDir(), env, []shelldoc.Block{{Line: 7, Code: "echo begun; tail -f /dev/null"}})
	require.ErrorIs(t, err, context.DeadlineExceeded)
	require.ErrorContains(t, err, "line 7")
}

func TestBlocksReadNothingOfEachOther(t *testing.T) {
	results, err := shelldoc.Run(t.Context(), t.TempDir(), env, []shelldoc.Block{{Code: "cat"}, {Code: "echo two"}})
	require.NoError(t, err)
	require.Empty(t, results[0].Printed)
	require.Equal(t, "two\n", results[1].Printed)
}
