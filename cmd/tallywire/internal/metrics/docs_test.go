package metrics_test

import (
	"flag"
	"fmt"
	"maps"
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

var update = flag.Bool("update", false, "write the table in the documents anew")

const (
	document  = "../../../../docs/observability.md"
	tableEnd  = "<!-- /metrics -->"
	tableHead = "\n| metric | | labels | what |\n|---|---|---|---|\n"
)

var (
	helpLine   = regexp.MustCompile(`(?m)^# HELP (tallywire_\S+) (.*)\n# TYPE \S+ (\S+)$`)
	labelPairs = regexp.MustCompile(`(\w+)="([^"]*)"`)
)

// table returns the metrics of a gateway that has everything, as Markdown.
func table(t *testing.T) string {
	t.Helper()
	values, text := scrape(t, full(t, newRig(t, nil).gateway).Handler())
	var b strings.Builder
	b.WriteString(tableHead)
	for _, m := range helpLine.FindAllStringSubmatch(text, -1) {
		name, help, kind := m[1], m[2], m[3]
		labels := map[string]map[string]bool{}
		for series := range values {
			base, rest, _ := strings.Cut(series, "{")
			if base != name && (kind != "histogram" || base != name+"_count") {
				continue
			}
			for _, pair := range labelPairs.FindAllStringSubmatch(rest, -1) {
				if labels[pair[1]] == nil {
					labels[pair[1]] = map[string]bool{}
				}
				labels[pair[1]][pair[2]] = true
			}
		}
		var said []string
		for _, label := range slices.Sorted(maps.Keys(labels)) {
			if label == "version" || label == "gateway" || label == "channel_namespace" {
				said = append(said, "`"+label+"`")
				continue
			}
			said = append(said, "`"+label+"`: "+strings.Join(slices.Sorted(maps.Keys(labels[label])), ", "))
		}
		fmt.Fprintf(&b, "| `%s` | %s | %s | %s |\n", name, kind, strings.Join(said, "; "), help)
	}
	return b.String()
}

// TestMetricsAreDocumented: the table in the documents is what a gateway tells.
func TestMetricsAreDocumented(t *testing.T) {
	raw, err := os.ReadFile(document)
	require.NoError(t, err)
	before, rest, found := strings.Cut(string(raw), "<!-- metrics:")
	require.True(t, found)
	comment, rest, found := strings.Cut(rest, "-->\n")
	require.True(t, found)
	old, after, found := strings.Cut(rest, tableEnd)
	require.True(t, found)
	want := table(t) + "\n"
	if *update {
		text := before + "<!-- metrics:" + comment + "-->\n" + want + tableEnd + after
		require.NoError(t, os.WriteFile(document, []byte(text), 0o600)) //nolint:gosec // the document
		return
	}
	require.Equal(t, want, old, "write it anew with -update")
}
