package main

import (
	"bytes"
	"context"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestRun(t *testing.T) {
	dir := t.TempDir()
	write := func(name, content string) string {
		path := filepath.Join(dir, name)
		require.NoError(t, os.WriteFile(path, []byte("id,date,reference,amount,currency,counterparty\n"+content), 0o600))
		return path
	}
	left := write("bank.csv", "B1,2026-03-01,INV-7,99.20,EUR,Lahti\n")
	right := write("ledger.csv", "L1,2026-03-09,INV-7,100.00,EUR,Lahti\n")
	near := write("near.csv", "B1,2026-03-11,,100.00,EUR,Lahti\n")
	cut := write("cut.csv", "B1,2026-03-01,\"INV")

	for name, c := range map[string]struct {
		args   []string
		status int
		stdout string
		stderr string
	}{
		"bundled":        {[]string{"--rate", "0"}, exitDone, `"type":"job.completed"`, "3789 matched, 26 suggested, 64 duplicate, 166 unmatched"},
		"own":            {[]string{"--rate", "0", "--left", left, "--right", right, "--job", "42"}, exitDone, `"status":"proposed"`, "42: 1 bank lines, 1 ledger lines"},
		"wider":          {[]string{"--rate", "0", "--left", left, "--right", right, "--amount-tolerance", "0.80"}, exitDone, `"status":"confirmed"`, "1 matched"},
		"no fee":         {[]string{"--rate", "0", "--left", left, "--right", right, "--fee", "0.1"}, exitDone, `line.unmatched`, "2 unmatched"},
		"cut off":        {[]string{"--rate", "0", "--left", cut, "--right", right}, exitFailed, `"code":"bad_file"`, "cut.csv:2: the file ends inside a quoted field"},
		"no file":        {[]string{"--left", filepath.Join(dir, "none"), "--right", right}, exitFailed, `"type":"job.failed"`, "cannot be opened"},
		"help":           {[]string{"--help"}, exitDone, "", "-amount-tolerance"},
		"flag":           {[]string{"--nonsense"}, exitUsage, "", "not defined"},
		"argument":       {[]string{"x"}, exitUsage, "", `unexpected argument "x"`},
		"one ledger":     {[]string{"--left", left}, exitUsage, "", "give both"},
		"two ways":       {[]string{"--redis", "redis://127.0.0.1:1", "--url", "http://127.0.0.1:1"}, exitUsage, "", "give one of them"},
		"tolerance":      {[]string{"--amount-tolerance", "0,5"}, exitUsage, "", "--amount-tolerance"},
		"negative":       {[]string{"--amount-tolerance", "-1"}, exitUsage, "", "amount tolerance: must be between"},
		"date window":    {[]string{"--date-window", "99"}, exitUsage, "", "date window: must be between 0 and 60"},
		"job":            {[]string{"--job", "a b"}, exitUsage, "", "job id"},
		"wrong redis":    {[]string{"--redis", "http://x"}, exitUsage, "", "reconciler:"},
		"no date window": {[]string{"--rate", "0", "--left", near, "--right", right, "--date-window", "0"}, exitDone, "line.unmatched", "2 unmatched"},
		"date window 3":  {[]string{"--rate", "0", "--left", near, "--right", right, "--date-window", "3"}, exitDone, `"rule_id":"window"`, "1 matched"},
	} {
		t.Run(name, func(t *testing.T) {
			var stdout, stderr bytes.Buffer
			require.Equal(t, c.status, run(context.Background(), c.args, &stdout, &stderr), stderr.String())
			require.Contains(t, stdout.String(), c.stdout)
			require.Contains(t, stderr.String(), c.stderr)
		})
	}
}

func TestRepeatGoesOnUntilStopped(t *testing.T) {
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	ledger := filepath.Join(t.TempDir(), "ledger.csv")
	require.NoError(t, os.WriteFile(ledger, []byte("id,date,reference,amount,currency,counterparty\n"+
		"A,2026-03-01,INV-7,99.20,EUR,Lahti\n"), 0o600))
	var stdout bytes.Buffer
	stderr := writerFunc(func(p []byte) (int, error) {
		if strings.Contains(string(p), "recon-0003:") {
			cancel()
		}
		return len(p), nil
	})
	require.Equal(t, exitDone, run(ctx, []string{"--rate", "0", "--repeat", "--pause", "1ms", "--left", ledger, "--right", ledger}, &stdout, stderr))
	require.Contains(t, stdout.String(), `"job_id":"recon-0002"`)
	require.NotContains(t, stdout.String(), `"job_id":"recon-0004"`)
}

type writerFunc func([]byte) (int, error)

func (f writerFunc) Write(p []byte) (int, error) { return f(p) }
