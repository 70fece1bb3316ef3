package client

import (
	"archive/tar"
	"compress/gzip"
	"fmt"
	"io"
	"io/fs"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/tallywire/tallywire/internal/programtest"
)

// codeBlock finds the code blocks of a document that name a file.
var codeBlock = regexp.MustCompile("(?ms)^```[a-z]+ (\\S+)\n(.*?)^```$")

// TestNewcomer follows client/README.md in a fresh project: it installs the package as npm packs it, takes the
// lines of the document as they stand, checks their types, runs their test, builds them, and opens the page
// before a real gateway.
func TestNewcomer(t *testing.T) {
	need(t, []string{"node", "npm"}, []string{root + "/node_modules/tsup", "../browser/node_modules/playwright-core"})
	browser := chromium(t)
	gateway := programtest.FreeAddr(t)
	app := newProject(t, gateway)

	var packed []string
	npm := []string{"--no-audit", "--no-fund", "--prefer-offline", "--loglevel=error"}
	npx := func(args ...string) func(*testing.T) {
		return func(t *testing.T) { run(t, app, "npx", append([]string{"--no-install"}, args...)...) }
	}
	steps := []struct {
		name string
		do   func(*testing.T)
	}{
		{"pack", func(t *testing.T) {
			run(t, root, "npm", "run", "--silent", "build")
			run(t, root, "npm", "pack", "--silent", "--ignore-scripts", "--pack-destination", app)
			var err error
			packed, err = filepath.Glob(filepath.Join(app, "tallywire-client-*.tgz"))
			require.NoError(t, err)
			require.Len(t, packed, 1)
			licence, err := os.ReadFile("../../LICENSE")
			require.NoError(t, err)
			require.Equal(t, string(licence), inTarball(t, packed[0], "package/LICENSE"))
		}},
		{"install", func(t *testing.T) {
			run(t, app, "npm", append([]string{"ci"}, npm...)...)
			before := installed(t, app)
			run(t, app, "npm", append([]string{"install", "--no-save", packed[0]}, npm...)...)
			require.Len(t, installed(t, app), len(before)+1, "nothing else comes with it")
		}},
		{"generate types", npx("tallywire-types", "schemas", "--out", "src/events.ts")},
		{"types are generated", npx("tallywire-types", "schemas", "--out", "src/events.ts", "--check")},
		{"check types", npx("tsc")},
		{"test", npx("vitest", "run")},
		{"build", npx("vite", "build", "--logLevel=warn")},
		{"open", func(t *testing.T) {
			page := httptest.NewServer(http.FileServer(http.Dir(filepath.Join(app, "dist"))))
			t.Cleanup(page.Close)
			serve(t, gateway)
			run(t, ".", "node", "newcomer.mjs", browser, page.URL)
		}},
	}
	for _, step := range steps {
		if !t.Run(step.name, step.do) {
			return // the next ones need it
		}
	}
}

// inTarball returns a file of a package as npm packs it.
func inTarball(t *testing.T, path, name string) string {
	t.Helper()
	file, err := os.Open(path)
	require.NoError(t, err)
	defer func() { require.NoError(t, file.Close()) }()
	text, err := gzip.NewReader(file)
	require.NoError(t, err)
	for files := tar.NewReader(text); ; {
		header, err := files.Next()
		require.NoError(t, err, "%s is not in it", name)
		if header.Name == name {
			content, err := io.ReadAll(files)
			require.NoError(t, err)
			return string(content)
		}
	}
}

// installed returns the packages of a project.
func installed(t *testing.T, app string) []string {
	t.Helper()
	packages, err := filepath.Glob(filepath.Join(app, "node_modules", "*"))
	require.NoError(t, err)
	scoped, err := filepath.Glob(filepath.Join(app, "node_modules", "@*", "*"))
	require.NoError(t, err)
	packages = slices.DeleteFunc(packages, func(p string) bool { return filepath.Base(p)[0] == '@' })
	return append(packages, scoped...)
}

// newProject makes a Vite project, and writes into it the files of the document.
func newProject(t *testing.T, gateway string) string {
	t.Helper()
	app := t.TempDir()
	require.NoError(t, os.CopyFS(app, os.DirFS("app")))
	readme, err := fs.ReadFile(os.DirFS(root), "README.md")
	require.NoError(t, err)
	blocks := codeBlock.FindAllStringSubmatch(string(readme), -1)
	require.GreaterOrEqual(t, len(blocks), 5)
	for _, block := range blocks {
		path := filepath.Join(app, filepath.FromSlash(block[1]))
		require.NoError(t, os.MkdirAll(filepath.Dir(path), 0o755)) //nolint:gosec // in a temporary folder
		code := strings.ReplaceAll(block[2], "127.0.0.1:8080", gateway)
		require.NoError(t, os.WriteFile(path, []byte(code), 0o600))
	}
	return app
}

// serve starts the gateway as the document says.
func serve(t *testing.T, addr string) {
	t.Helper()
	cmd := exec.Command(binary, "serve", "--demo", "--listen", addr, "--admin-listen", "off", "--allowed-origins", "localhost,127.0.0.1")
	log := &programtest.Log{}
	cmd.Stdout, cmd.Stderr = log, log
	require.NoError(t, cmd.Start())
	t.Cleanup(func() {
		_ = cmd.Process.Kill()
		_ = cmd.Wait()
		if t.Failed() {
			t.Log(log)
		}
	})
	client := &http.Client{Timeout: time.Second, Transport: &http.Transport{DisableKeepAlives: true}}
	require.Eventually(t, func() bool {
		a, err := client.Get(fmt.Sprintf("http://%s/readyz", addr))
		if err != nil {
			return false
		}
		_ = a.Body.Close()
		return a.StatusCode == http.StatusOK
	}, 30*time.Second, 20*time.Millisecond, "the gateway is not ready")
}

// chromium returns the browser's path.
func chromium(t *testing.T) string {
	t.Helper()
	for _, name := range []string{"chromium", "google-chrome"} {
		if path, err := exec.LookPath(name); err == nil {
			return path
		}
	}
	need(t, []string{"chromium"}, nil)
	return ""
}
