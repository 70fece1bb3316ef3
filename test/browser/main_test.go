package browser

import (
	"os"
	"os/exec"
	"testing"

	"github.com/tallywire/tallywire/internal/programtest"
)

// binary is the program under test, built once.
var binary string

func TestMain(m *testing.M) { programtest.Main(m, &binary) }

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
