// Package workers_test runs the example workers against a real Redis.
package workers_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"os"
	"os/exec"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/tallywire/tallywire/events"
	"github.com/tallywire/tallywire/internal/redistest"
)

const library = "../../broker/redisbroker/functions/tallywire.lua"

type worker struct {
	source  string
	command []string
}

// missing says that a worker cannot run here: a skip for developers, a failure where CI is set.
func missing(t *testing.T, what string) {
	t.Helper()
	if os.Getenv("CI") != "" {
		t.Fatal(what)
	}
	t.Skip(what)
}

func workers() map[string]func(*testing.T) worker {
	return map[string]func(*testing.T) worker{
		"python": func(t *testing.T) worker {
			t.Helper()
			for _, python := range []string{"python3", "/usr/bin/python3"} { // the second is where a distribution's package goes
				if exec.CommandContext(t.Context(), python, "-c", "import redis").Run() == nil {
					return worker{"python-worker", []string{python, "python/worker.py"}}
				}
			}
			missing(t, "no python3 with the redis client: apt install python3-redis")
			return worker{}
		},
		"node": func(t *testing.T) worker {
			t.Helper()
			if _, err := exec.LookPath("node"); err != nil {
				missing(t, "no node: apt install nodejs")
			}
			if _, err := os.Stat("node/node_modules/redis"); err != nil {
				missing(t, "no redis client for node: run npm ci in examples/workers/node")
			}
			return worker{"node-worker", []string{"node", "node/worker.mjs"}}
		},
		"shell": func(t *testing.T) worker {
			t.Helper()
			if _, err := exec.LookPath("redis-cli"); err != nil {
				missing(t, "no redis-cli: apt install redis-tools")
			}
			return worker{"shell-worker", []string{"sh", "shell/worker.sh"}}
		},
	}
}

// run runs a worker and returns what it wrote and its exit status.
func (w worker) run(t *testing.T, args ...string) (stdout, stderr string, status int) {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), w.command[0], append(w.command[1:len(w.command):len(w.command)], args...)...)
	var out, errs bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &errs
	err := cmd.Run()
	var exit *exec.ExitError
	if err != nil && !errors.As(err, &exit) {
		require.NoError(t, err)
	}
	return out.String(), errs.String(), cmd.ProcessState.ExitCode()
}

func TestWorkers(t *testing.T) {
	server := redistest.Start(t)
	// They get by with what the contract gives a worker.
	url := "redis://" + server.Users("../../docs/redis-contract.md")["worker"] + "@" + server.Addr()
	for name, find := range workers() {
		t.Run(name, func(t *testing.T) {
			w := find(t)
			server.Do("FUNCTION", "FLUSH")
			_, stderr, status := w.run(t, url, name)
			require.Equal(t, 1, status, "the function library is not loaded")
			require.Contains(t, stderr, "Function not found")

			source, err := os.ReadFile(library)
			require.NoError(t, err)
			server.Do("FUNCTION", "LOAD", "REPLACE", string(source))
			first, stderr, status := w.run(t, url, name)
			require.Zero(t, status, stderr)
			require.Equal(t, published(t, server, w, name), first)

			again, stderr, status := w.run(t, url, name)
			require.Zero(t, status, stderr)
			require.Equal(t, strings.ReplaceAll(first, "\n", " (duplicate)\n"), again, "a repetition gets the same cursors")
			require.Equal(t, first, published(t, server, w, name), "and appends nothing")

			next, stderr, status := w.run(t, url, name, "2")
			require.Zero(t, status, stderr)
			require.NotContains(t, next, "duplicate", "another attempt is something new")
		})
	}
}

// published reads a job's log as a worker should have printed it, and checks every event.
func published(t *testing.T, server *redistest.Server, w worker, job string) string {
	t.Helper()
	registry, err := events.NewRegistry(events.Options{Strict: true})
	require.NoError(t, err)
	entries, err := server.Admin().XRange(t.Context(), "tw:{jobs:"+job+"}", "-", "+").Result()
	require.NoError(t, err)
	var out strings.Builder
	var types []string
	for _, e := range entries[1:] { // the first opens the stream
		raw, ok := e.Values["e"].(string)
		require.True(t, ok)
		env, err := events.Scan([]byte(raw))
		require.NoError(t, err)
		require.NoError(t, registry.Check(env, []byte(raw)), raw)
		require.Equal(t, w.source, env.Source)
		require.Equal(t, "job/"+job, env.Subject)
		var data struct {
			JobID string `json:"job_id"`
		}
		require.NoError(t, json.Unmarshal(env.Data, &data))
		require.Equal(t, job, data.JobID)
		out.WriteString(e.ID + " " + env.Type + "\n")
		types = append(types, env.Type)
	}
	require.Equal(t, []string{
		"job.started", "job.progress", "job.progress", "job.progress", "job.progress", "job.progress", "job.completed",
	}, types)
	return out.String()
}

func TestWorkersFail(t *testing.T) {
	all := workers()
	for name, find := range inboxWorkers() {
		all["inbox "+name] = find
	}
	for name, find := range all {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := find(t)
			for _, args := range [][]string{{}, {"redis://127.0.0.1:1"}, {"redis://127.0.0.1:1", "a b"}, {"redis://127.0.0.1:1", "42", "0"}, {"redis://127.0.0.1:1", "42", "1", "x"}} {
				_, stderr, status := w.run(t, args...)
				require.Equal(t, 2, status, "%q", args)
				require.Contains(t, stderr, "usage: ")
			}
			for _, url := range []string{"redis://127.0.0.1:1", "nonsense"} {
				stdout, stderr, status := w.run(t, url, "42")
				require.Equal(t, 1, status, url)
				require.Empty(t, stdout)
				require.NotEmpty(t, stderr)
				require.NotContains(t, stderr, "Traceback")
			}
		})
	}
}
