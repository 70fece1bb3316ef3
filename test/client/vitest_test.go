package client

import (
	"bytes"
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// report is what vitest's JSON reporter writes.
type report struct {
	Files []struct {
		Name    string `json:"name"`
		Status  string `json:"status"`
		Message string `json:"message"`
		Tests   []struct {
			Name     string   `json:"fullName"`
			Status   string   `json:"status"`
			Failures []string `json:"failureMessages"`
		} `json:"assertionResults"`
	} `json:"testResults"`
}

// TestUnit runs the client against its gateway in memory, and checks its types.
func TestUnit(t *testing.T) {
	vitest(t, root)
}

// TestWorkbench runs what the workbench in examples/dashboard tests of itself.
func TestWorkbench(t *testing.T) {
	vitest(t, "../../examples/dashboard")
}

// TestGateway runs the client against real gateways.
func TestGateway(t *testing.T) {
	vitest(t, root, "--config", "vitest.gateway.config.ts")
}

// vitest runs the tests of a folder, those that a configuration names, and makes a subtest of each.
func vitest(t *testing.T, folder string, args ...string) {
	t.Helper()
	need(t, []string{"node"}, []string{folder + "/node_modules/vitest"})
	dir, err := filepath.Abs(folder)
	require.NoError(t, err)
	out := filepath.Join(t.TempDir(), "report.json")
	cmd := exec.CommandContext(t.Context(), "node", append([]string{
		"node_modules/vitest/vitest.mjs", "run", "--reporter=json", "--outputFile=" + out,
	}, args...)...)
	cmd.Dir = dir
	cmd.Env = append(os.Environ(), "CI=true") // CI: nothing is written that a test compares with
	var log bytes.Buffer
	cmd.Stdout, cmd.Stderr = &log, &log
	failed := cmd.Run()
	text, err := os.ReadFile(out)
	require.NoError(t, err, "%v\n%s", failed, &log)
	var r report
	require.NoError(t, json.Unmarshal(text, &r))
	require.NotEmpty(t, r.Files, "%v\n%s", failed, &log)
	bad := false
	for _, file := range r.Files {
		name := strings.TrimPrefix(file.Name, dir+"/test/")
		t.Run(name, func(t *testing.T) {
			if file.Status != "passed" && len(file.Tests) == 0 {
				t.Error(file.Message)
			}
			for _, one := range file.Tests {
				t.Run(one.Name, func(t *testing.T) {
					switch one.Status {
					case "passed":
					case "failed":
						t.Error(strings.Join(one.Failures, "\n"))
					default:
						t.Skip(one.Status)
					}
				})
			}
			bad = bad || t.Failed()
		})
	}
	if failed != nil && !bad { // an error outside of tests, as in a type that no test mentions
		t.Errorf("%v\n%s", failed, &log)
	}
}
