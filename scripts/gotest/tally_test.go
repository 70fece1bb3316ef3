package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// The files under testdata are what `go test -json` wrote for small packages, shortened.
func replay(t *testing.T, file string, strict bool, allowed string) (*tally, *strings.Builder) {
	t.Helper()
	f, err := os.Open(filepath.Join("testdata", file))
	require.NoError(t, err)
	defer func() { require.NoError(t, f.Close()) }()
	skips, err := parseAllowedSkips(allowed)
	require.NoError(t, err)
	out := &strings.Builder{}
	result := &tally{out: out, allowed: skips, strict: strict}
	require.NoError(t, readEvents(f, result))
	return result, out
}

func lastLine(out *strings.Builder) string {
	lines := strings.Split(strings.TrimSpace(out.String()), "\n")
	return lines[len(lines)-1]
}

func TestReportCountsAndKeepsPassingTestsQuiet(t *testing.T) {
	tally, out := replay(t, "pass.json", true, "")
	require.True(t, tally.report(true))
	require.Equal(t, "3 passed, 0 failed, 0 skipped", lastLine(out))
	require.NotContains(t, out.String(), "chatter")
}

func TestReportPrintsOnlyTheOutputOfTestsThatFailed(t *testing.T) {
	tally, out := replay(t, "fail.json", true, "")
	require.False(t, tally.report(false))
	require.Contains(t, out.String(), "sum_test.go:9: got 5, want 4")
	require.Contains(t, out.String(), "  example.org/m/sum TestAdd/carry\n")
	require.NotContains(t, out.String(), "chatter")
	require.Equal(t, "1 passed, 2 failed, 0 skipped", lastLine(out))
}

func TestReportCountsATestThatNeverEndedAsFailed(t *testing.T) {
	tally, out := replay(t, "timeout.json", true, "")
	require.False(t, tally.report(false))
	require.Contains(t, out.String(), "panic: test timed out after 1s")
	require.Contains(t, out.String(), "  example.org/m/hang TestHang\n")
	require.Equal(t, "1 passed, 1 failed, 0 skipped", lastLine(out))
}

func TestReportCountsAPackageThatDoesNotBuildAsFailed(t *testing.T) {
	tally, out := replay(t, "build.json", true, "")
	require.False(t, tally.report(false))
	require.Contains(t, out.String(), "undefined: nothing")
	require.Equal(t, "0 passed, 1 failed, 0 skipped", lastLine(out))
}

func TestReportPrintsEverythingWhenNoTestSaysWhy(t *testing.T) {
	tally, out := replay(t, "exit.json", true, "")
	require.False(t, tally.report(false))
	require.Contains(t, out.String(), "WARNING: DATA RACE")
	require.Equal(t, "1 passed, 1 failed, 0 skipped", lastLine(out))
}

func TestReportFailsWhereNothingRan(t *testing.T) {
	out := &strings.Builder{}
	require.False(t, (&tally{out: out, allowed: &allowedSkips{}}).report(true))
	require.Contains(t, out.String(), "no test ran")
}

func TestSkips(t *testing.T) {
	const allow = "# why\nexample.org/m/store TestRe* needs a server that CI has not\n"
	for _, c := range []struct {
		name    string
		strict  bool
		allowed string
		ok      bool
		says    string
	}{
		{"local", false, "", true, "store_test.go:7: install redis-server\n"},
		{"ci", true, "", false, "store_test.go:7: install redis-server (NOT ALLOWED)"},
		{"ci, allowed", true, allow, true, "(allowed: needs a server that CI has not)"},
		{"ci, another package allowed", true, "example.org/m/other TestRe* reason\n", false, "(NOT ALLOWED)"},
	} {
		t.Run(c.name, func(t *testing.T) {
			tally, out := replay(t, "skip.json", c.strict, c.allowed)
			require.Equal(t, c.ok, tally.report(true))
			require.Contains(t, out.String(), "  example.org/m/store TestRedis: ")
			require.Contains(t, out.String(), c.says)
			require.Equal(t, "1 passed, 0 failed, 1 skipped", lastLine(out))
		})
	}
}

func TestRaceSkipsAreTakenOutToBeRunAgain(t *testing.T) {
	tally, _ := replay(t, "race.json", true, "")
	packages, pattern := tally.takeRaceSkips()
	require.Equal(t, []string{"example.org/m/fast"}, packages)
	require.Equal(t, "^(TestDoesNotAllocate|TestTable)$", pattern)
	require.Equal(t, 1, tally.skipped, "the test that skipped for another reason")
	require.Len(t, tally.skips, 1)
	require.Equal(t, "TestOther", tally.skips[0].test)
}

func TestAllowedSkipsNeedAReason(t *testing.T) {
	_, err := parseAllowedSkips("example.org/m/store TestRedis\n")
	require.ErrorContains(t, err, "allowed-skips.txt:1")
}

func TestAllowedSkipsOfThisModuleParse(t *testing.T) {
	_, err := readAllowedSkips(filepath.Join("..", "allowed-skips.txt"))
	require.NoError(t, err)
}
