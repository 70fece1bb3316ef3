package test

import (
	"context"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/tallywire/tallywire/gateway/auth"
	"github.com/tallywire/tallywire/internal/shelldoc"
)

// The lines that the documents print do what is printed below them, against a gateway of their own.
func TestLinesOfTheDocuments(t *testing.T) {
	requireCurl(t)
	for _, document := range []string{"http.md", "transports.md"} {
		t.Run(document, func(t *testing.T) {
			path, err := filepath.Abs(filepath.Join("..", "docs", document))
			require.NoError(t, err)
			blocks, err := shelldoc.Read(path)
			require.NoError(t, err)
			require.NotEmpty(t, blocks)
			g := startGateway(t, "docs").awaitReady()
			all := []string{"*"}
			token, err := auth.Mint([]byte(secret), auth.Claims{
				User: "alice", Permissions: auth.Permissions{Subscribe: all, Publish: all, Presence: all},
			}, time.Hour)
			require.NoError(t, err)
			dir := t.TempDir()
			ctx, cancel := context.WithTimeout(t.Context(), 2*patience)
			defer cancel()
			results, err := shelldoc.Run(ctx, dir, []string{
				"URL=http://" + g.addr, "TOKEN=" + token, "TALLYWIRE_AUTH_SECRET=" + secret,
				"HOME=" + dir, "LC_ALL=C.UTF-8", "PATH=" + filepath.Dir(binary) + ":" + os.Getenv("PATH"),
			}, blocks)
			for _, r := range results {
				if problem := r.Check(r.Printed); problem != "" {
					t.Errorf("%s:%d: %s", document, r.Line, problem)
				}
			}
			if err != nil {
				t.Errorf("%s, %s", document, strings.ReplaceAll(err.Error(), token, "$TOKEN"))
			}
		})
	}
}

func requireCurl(t *testing.T) {
	t.Helper()
	if _, err := exec.LookPath("curl"); err == nil {
		return
	}
	const hint = "curl is not on PATH; install the package curl"
	if os.Getenv("CI") != "" {
		t.Fatal(hint)
	}
	t.Skip(hint)
}
