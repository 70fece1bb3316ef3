package client

import (
	"bytes"
	"os"
	"os/exec"
	"testing"

	"github.com/tallywire/tallywire/internal/programtest"
)

// root is the folder of the package under test.
const root = "../../client"

// binary is the gateway, built once.
var binary string

func TestMain(m *testing.M) { programtest.Main(m, &binary) }

// need skips the test where a program or a folder that scripts/setup.sh installs is missing, or fails it
// where CI is set.
func need(t *testing.T, programs, files []string) {
	t.Helper()
	missing := ""
	for _, name := range programs {
		if _, err := exec.LookPath(name); err != nil {
			missing = name
		}
	}
	for _, name := range files {
		if _, err := os.Stat(name); err != nil {
			missing = name
		}
	}
	switch {
	case missing == "":
	case os.Getenv("CI") != "":
		t.Fatalf("%s is missing; scripts/setup.sh installs it", missing)
	default:
		t.Skipf("%s is missing; scripts/setup.sh installs it", missing)
	}
}

// run runs a command in a folder, and fails the test with its output when it fails.
func run(t *testing.T, dir, name string, args ...string) {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), name, args...)
	cmd.Dir = dir
	var out bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &out
	if err := cmd.Run(); err != nil {
		t.Fatalf("%s %q: %v\n%s", name, args, err, out.String())
	}
}
