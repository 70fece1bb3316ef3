package deploy_test

import (
	"os"
	"os/exec"
	"path/filepath"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"
)

const root = "../.."

var built struct {
	once sync.Once
	path string
	out  []byte
	err  error
}

// TestMain removes the program that was built.
func TestMain(m *testing.M) {
	status := m.Run()
	if built.path != "" {
		_ = os.RemoveAll(filepath.Dir(built.path))
	}
	os.Exit(status)
}

// program builds tallywire, once, and returns where it is.
func program(t *testing.T) string {
	t.Helper()
	built.once.Do(func() {
		var folder string
		folder, built.err = os.MkdirTemp("", "tallywire-deploy-") //nolint:usetesting // it outlives the first test; TestMain removes it
		if built.err != nil {
			return
		}
		built.path = filepath.Join(folder, "tallywire")
		cmd := exec.Command("go", "build", "-o", built.path, "./cmd/tallywire")
		cmd.Dir = root
		built.out, built.err = cmd.CombinedOutput()
	})
	require.NoError(t, built.err, string(built.out))
	return built.path
}

// run runs a command with just these variables beside PATH and HOME, and returns all that it says.
func run(t *testing.T, env []string, name string, args ...string) (string, error) {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), name, args...)
	cmd.Env = append([]string{"PATH=" + os.Getenv("PATH"), "HOME=" + t.TempDir()}, env...)
	out, err := cmd.CombinedOutput()
	return string(out), err
}

// need finds a program that the tests run others' files with.
func need(t *testing.T, name, debian string, elsewhere ...string) string {
	t.Helper()
	for _, candidate := range append([]string{name}, elsewhere...) {
		if path, err := exec.LookPath(candidate); err == nil {
			return path
		}
	}
	t.Skipf("%s is not installed (Debian, Ubuntu: apt-get install %s)", name, debian)
	return ""
}

func read(t *testing.T, path string) string {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(root, path))
	require.NoError(t, err)
	return string(text)
}
