package browser

import (
	"bufio"
	"context"
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"
)

// request is what a script asks for: Do says what, the others with what.
type request struct {
	Do       string          `json:"do"`
	User     string          `json:"user"`
	Channel  string          `json:"channel"`
	Channels []string        `json:"channels"`
	Gateway  int             `json:"gateway"`
	Event    json.RawMessage `json:"event"`
	Paths    []string        `json:"paths"`
	By       int64           `json:"by"`
	Account  account         `json:"account"`
}

// drive runs a script of this folder, and does what it asks for.
func drive(ctx context.Context, t *testing.T, name string, do func(context.Context, request) (map[string]any, error)) {
	t.Helper()
	script := exec.CommandContext(ctx, "node", name)
	script.Stderr = os.Stderr
	in, err := script.StdinPipe()
	require.NoError(t, err)
	out, err := script.StdoutPipe()
	require.NoError(t, err)
	require.NoError(t, script.Start())
	answers := json.NewEncoder(in)
	lines := bufio.NewScanner(out)
	lines.Buffer(nil, 1<<20)
	for lines.Scan() {
		var q request
		require.NoError(t, json.Unmarshal(lines.Bytes(), &q), "%s", lines.Text())
		answer, err := do(ctx, q)
		if err != nil {
			answer = map[string]any{"error": err.Error()}
		}
		require.NoError(t, answers.Encode(answer))
	}
	require.NoError(t, lines.Err())
	require.NoError(t, script.Wait(), "what went wrong is above")
}

// drive runs a script, which asks for its config first, and does what else it asks for.
func (c *cluster) drive(ctx context.Context, name string, config map[string]any) {
	c.t.Helper()
	drive(ctx, c.t, name, func(ctx context.Context, q request) (map[string]any, error) { return c.do(ctx, q, config) })
}

// shots is the folder for pictures that an environment variable names; empty where there shall be none.
func shots(t *testing.T, variable string) string {
	t.Helper()
	folder := os.Getenv(variable)
	if folder == "" {
		return ""
	}
	folder, err := filepath.Abs(folder)
	require.NoError(t, err)
	return folder
}
