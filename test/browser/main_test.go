package browser

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"testing"

	"go.uber.org/goleak"
)

// binary is the program under test, built once.
var binary string

func TestMain(m *testing.M) {
	dir, err := os.MkdirTemp("", "tallywire-browser-")
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	binary = filepath.Join(dir, "tallywire")
	build := exec.Command("go", "build", "-o", binary, "github.com/tallywire/tallywire/cmd/tallywire")
	build.Stdout, build.Stderr = os.Stderr, os.Stderr
	if err := build.Run(); err != nil {
		fmt.Fprintln(os.Stderr, "build tallywire:", err)
		os.Exit(1)
	}
	status := m.Run()
	if status == 0 {
		if err := goleak.Find(); err != nil {
			fmt.Fprintln(os.Stderr, err)
			status = 1
		}
	}
	_ = os.RemoveAll(dir)
	os.Exit(status)
}

// chromium returns the browser's path. Where it or what drives it is missing the test is skipped, or fails
// where CI is set.
func chromium(t *testing.T) string {
	t.Helper()
	missing := func(hint string) string {
		if os.Getenv("CI") != "" {
			t.Fatal(hint)
		}
		t.Skip(hint)
		return ""
	}
	if _, err := exec.LookPath("node"); err != nil {
		return missing("node is not on PATH; scripts/setup.sh installs it")
	}
	if _, err := os.Stat("node_modules/playwright-core"); err != nil {
		return missing("playwright-core is not installed; scripts/setup.sh installs it")
	}
	for _, name := range []string{"chromium", "google-chrome"} {
		if path, err := exec.LookPath(name); err == nil {
			return path
		}
	}
	return missing("chromium is not on PATH; scripts/setup.sh installs it")
}
