package deploy_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"os"
	"os/exec"
	"path"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/moby/buildkit/frontend/dockerfile/instructions"
	"github.com/moby/buildkit/frontend/dockerfile/parser"
	"github.com/moby/patternmatcher"
	"github.com/moby/patternmatcher/ignorefile"
	"github.com/stretchr/testify/require"
)

// copied is a COPY of a stage.
type copied struct {
	stage, from string
	sources     []string
	target      string
}

// copies returns every COPY of the Dockerfile.
func copies(t *testing.T) []copied {
	t.Helper()
	parsed, err := parser.Parse(strings.NewReader(read(t, "Dockerfile")))
	require.NoError(t, err)
	stages, _, err := instructions.Parse(parsed.AST, nil)
	require.NoError(t, err)
	var out []copied
	for _, stage := range stages {
		for _, command := range stage.Commands {
			if c, ok := command.(*instructions.CopyCommand); ok {
				out = append(out, copied{stage.Name, c.From, c.SourcePaths, path.Clean(c.DestPath)})
			}
		}
	}
	return out
}

// ignored says which paths the context of a build does not have. A folder that is left out takes its files with it,
// unless a pattern lets them in again.
func ignored(t *testing.T, text string) func(path string) bool {
	t.Helper()
	patterns, err := ignorefile.ReadAll(strings.NewReader(text))
	require.NoError(t, err)
	matcher, err := patternmatcher.New(patterns)
	require.NoError(t, err)
	return func(path string) bool {
		out, err := matcher.MatchesOrParentMatches(path)
		require.NoError(t, err)
		return out
	}
}

// tracked are the files that a clean clone has, or will have once what is new is committed.
func tracked(t *testing.T, under ...string) []string {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), need(t, "git", "git"), append([]string{"ls-files", "-z", "--cached", "--others", "--exclude-standard", "--"}, under...)...)
	cmd.Dir = root
	out, err := cmd.Output()
	require.NoError(t, err)
	return strings.Split(strings.TrimRight(string(out), "\x00"), "\x00")
}

// TestDockerignore: what is copied from the context exists in a clean clone and is part of the context.
func TestDockerignore(t *testing.T) {
	leftOut := ignored(t, read(t, ".dockerignore"))
	sources := 0
	for _, c := range copies(t) {
		if c.from != "" {
			continue
		}
		for _, source := range c.sources {
			sources++
			files := tracked(t, source)
			require.NotEqual(t, []string{""}, files, "%s: COPY %s: there is no such file", c.stage, source)
			require.True(t, slices.ContainsFunc(files, func(f string) bool { return !leftOut(f) }), "%s: COPY %s: .dockerignore leaves it out", c.stage, source)
		}
	}
	require.Positive(t, sources)
	for _, file := range []string{".git/config", "bin/tallywire", "client/node_modules/react/index.js", "examples/dashboard/dist/index.html", "docs/protocol.md"} {
		require.True(t, leftOut(file), file)
	}
}

// TestContextHasTheProgram: each file that `go build ./cmd/tallywire` reads, embedded ones too, is in the
// context, or comes from another stage.
func TestContextHasTheProgram(t *testing.T) {
	files := sources(t)
	made := func(file string) bool {
		return slices.ContainsFunc(copies(t), func(c copied) bool {
			return c.stage == "build" && c.from != "" && strings.HasPrefix(file, c.target+"/")
		})
	}
	missing := func(ignore string) (out []string) {
		leftOut := ignored(t, ignore)
		for _, file := range files {
			if leftOut(file) && !made(file) {
				out = append(out, file)
			}
		}
		return out
	}
	text := read(t, ".dockerignore")
	require.Empty(t, missing(text))
	require.Contains(t, missing(text+"\n**/*.lua\n"), "broker/redisbroker/functions/tallywire.lua")
	require.Contains(t, missing(text+"\nevents/types\n"), "events/types/job.started.json")
	require.NotContains(t, missing(text+"\nevents\n!events/types/*\n"), "events/types/job.started.json")

	known := tracked(t)
	for _, file := range append(files, "go.mod", "go.sum") {
		require.True(t, made(file) || slices.Contains(known, file), "%s is not in the repository, and a clean clone has it not", file)
	}
}

// sources are the files of this module that the program for Linux is made of.
func sources(t *testing.T) []string {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), "go", "list", "-deps", "-json=ImportPath,Dir,Module,GoFiles,OtherFiles,EmbedFiles", "./cmd/tallywire")
	cmd.Dir = root
	cmd.Env = append(os.Environ(), "GOOS=linux", "CGO_ENABLED=0")
	out, err := cmd.Output()
	require.NoError(t, err)
	top, err := filepath.Abs(root)
	require.NoError(t, err)
	var files []string
	for decoder := json.NewDecoder(bytes.NewReader(out)); ; {
		var p struct {
			Dir                             string
			Module                          *struct{ Main bool }
			GoFiles, OtherFiles, EmbedFiles []string
		}
		err := decoder.Decode(&p)
		if errors.Is(err, io.EOF) {
			break
		}
		require.NoError(t, err)
		if p.Module == nil || !p.Module.Main {
			continue
		}
		folder, err := filepath.Rel(top, p.Dir)
		require.NoError(t, err)
		for _, name := range slices.Concat(p.GoFiles, p.OtherFiles, p.EmbedFiles) {
			files = append(files, path.Join(filepath.ToSlash(folder), name))
		}
	}
	require.Contains(t, files, "cmd/tallywire/main.go")
	return files
}

// TestWorkbench: what the workbench is built from is there before it is built, its lock file before `npm ci`.
func TestWorkbench(t *testing.T) {
	var got []string
	for _, c := range copies(t) {
		if c.stage == "workbench" {
			got = append(got, c.sources...)
		}
	}
	require.Subset(t, got, []string{"examples/dashboard/package-lock.json", "client", "examples/dashboard"})
	vite := read(t, "examples/dashboard/vite.config.ts")
	require.Contains(t, vite, "../../client/src/", "what else it needs has to be copied too")
}
