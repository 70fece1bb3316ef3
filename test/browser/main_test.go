package browser

import (
	"fmt"
	"os"
	"os/exec"
	"testing"

	"github.com/tallywire/tallywire/internal/programtest"
)

// binary is the program under test, built once, with the workbench in it where that can be built.
var binary string

func TestMain(m *testing.M) {
	workbench := exec.Command("../../scripts/dashboard.sh") // it says itself why it builds nothing
	workbench.Stdout, workbench.Stderr = os.Stderr, os.Stderr
	if err := workbench.Run(); err != nil {
		fmt.Fprintln(os.Stderr, "build the workbench:", err)
		os.Exit(1)
	}
	programtest.Main(m, &binary)
}

// missing skips the test, or fails it where CI is set.
func missing(t *testing.T, hint string) {
	t.Helper()
	if os.Getenv("CI") != "" {
		t.Fatal(hint)
	}
	t.Skip(hint)
}

// chromium returns the browser's path. Where it or what drives it is missing the test is skipped, or fails
// where CI is set.
func chromium(t *testing.T) string {
	t.Helper()
	if _, err := exec.LookPath("node"); err != nil {
		missing(t, "node is not on PATH; scripts/setup.sh installs it")
	}
	if _, err := os.Stat("node_modules/playwright-core"); err != nil {
		missing(t, "playwright-core is not installed; scripts/setup.sh installs it")
	}
	for _, name := range []string{"chromium", "google-chrome"} {
		if path, err := exec.LookPath(name); err == nil {
			return path
		}
	}
	missing(t, "chromium is not on PATH; scripts/setup.sh installs it")
	return ""
}
