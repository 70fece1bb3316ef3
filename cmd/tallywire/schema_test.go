package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

func write(t *testing.T, path, content string) string {
	t.Helper()
	require.NoError(t, os.WriteFile(path, []byte(content), 0o600)) //nolint:gosec // a file of the test
	return path
}

func TestSchemaListAndShow(t *testing.T) {
	dir := t.TempDir()
	write(t, filepath.Join(dir, "acme.order.json"), `{"title":"Order","type":"object","required":["order_id"]}`)
	o := command(t, nil, "", "schema", "list", "--schemas", dir)
	require.Equal(t, exitDone, o.status, o.stderr)
	require.Regexp(t, `(?m)^acme\.order +1 +own +Order$`, o.stdout)
	require.Regexp(t, `(?m)^job\.completed +1 +built-in +terminal +`, o.stdout)
	o = command(t, []string{"TALLYWIRE_SCHEMAS=" + dir}, "", "schema", "list", "--json")
	require.Contains(t, o.stdout, `"name": "acme.order"`)

	o = command(t, nil, "", "schema", "show", "job.progress")
	require.Equal(t, exitDone, o.status)
	require.Contains(t, o.stdout, `"$id": "https://tallywire.dev/schemas/job.progress/1"`)
	o = command(t, nil, "", "schema", "show", "job.unknown")
	require.Equal(t, exitFailed, o.status)
	require.Contains(t, o.stderr, "job.unknown: no such type")
}

func TestSchemaCheck(t *testing.T) {
	dir := t.TempDir()
	good := `{"type":"job.progress","data":{"job_id":"1","percent":5}}`
	bad := `{"type":"job.progress","data":{"job_id":"1","percent":101}}`
	for name, c := range map[string]struct {
		stdin, file string
		args        []string
		status      int
		says        []string
	}{
		"one event":      {file: good, says: []string{": ok, 1 event(s)"}},
		"over lines":     {file: strings.ReplaceAll(good, ",", ",\n"), says: []string{": ok, 1 event(s)"}},
		"lines":          {file: good + "\n\n" + bad + "\n" + good, status: exitFailed, says: []string{":3: /data/percent: data.percent: must be <= 100"}},
		"list":           {file: "[" + good + "," + bad + "]", status: exitFailed, says: []string{":/1: /data/percent"}},
		"no event":       {file: `{"data":1}`, status: exitFailed, says: []string{"type"}},
		"no JSON":        {file: `{"type":`, status: exitFailed, says: []string{":1: "}},
		"standard input": {stdin: bad, args: []string{"-"}, status: exitFailed, says: []string{"-:1: /data/percent"}},
		"unknown type":   {file: `{"type":"acme.x","data":{}}`, says: []string{"type acme.x is unknown", "ok, 1"}},
		"strict":         {file: `{"type":"acme.x","data":{}}`, args: []string{"--strict"}, status: exitFailed, says: []string{"/type: "}},
		"no such file":   {args: []string{"/nowhere.json"}, status: exitFailed, says: []string{"/nowhere.json"}},
	} {
		t.Run(name, func(t *testing.T) {
			args := append([]string{"schema", "check"}, c.args...)
			if c.file != "" {
				args = append(args, write(t, filepath.Join(dir, strings.ReplaceAll(name, " ", "-")+".json"), c.file))
			}
			o := command(t, nil, c.stdin, args...)
			require.Equal(t, c.status, o.status, "%s%s", o.stdout, o.stderr)
			for _, text := range c.says {
				require.Contains(t, o.stdout+o.stderr, text)
			}
		})
	}
}

func TestSchemaCheckOfSchemas(t *testing.T) {
	dir := t.TempDir()
	path := write(t, filepath.Join(dir, "acme.order.json"), `{"$schema":"https://json-schema.org/draft/2020-12/schema","type":"object"}`)
	for _, arg := range []string{dir, path} {
		o := command(t, nil, "", "schema", "check", arg)
		require.Equal(t, exitDone, o.status, o.stderr)
		require.Contains(t, o.stdout, "ok, 1 schema(s)")
	}
	write(t, path, `{"$schema":"https://json-schema.org/draft/2020-12/schema","type":"objekt"}`)
	o := command(t, nil, "", "schema", "check", dir)
	require.Equal(t, exitFailed, o.status)
	require.Contains(t, o.stdout, "acme.order.json: ")
	require.Contains(t, o.stdout, "/type")
	o = command(t, nil, "", "serve", "--insecure", "--schemas", dir, "--listen", "127.0.0.1:0", "--admin-listen", "off")
	require.Equal(t, exitFailed, o.status, "a gateway does not start with it")
	require.Contains(t, o.stderr, "acme.order.json")
}
