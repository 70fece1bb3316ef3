package chart_test

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	"go.yaml.in/yaml/v3"
)

const (
	tableBegin = "<!-- values: made from values.yaml -->\n"
	tableEnd   = "<!-- end of values -->\n"
)

// TestReadme: the table of values in README.md is what values.yaml says. With -update it is written.
func TestReadme(t *testing.T) {
	path := filepath.Join(chartFolder, "README.md")
	text := read(t, path)
	before, rest, found := strings.Cut(text, tableBegin)
	require.True(t, found, "%s has no place for the values", path)
	_, after, found := strings.Cut(rest, tableEnd)
	require.True(t, found)
	want := before + tableBegin + valuesTable(t) + tableEnd + after
	if *update {
		require.NoError(t, os.WriteFile(path, []byte(want), 0o644)) //nolint:gosec // a document
		return
	}
	require.Equal(t, want, text, "write it anew: make test-chart ARGS=-update")
}

// valuesTable lists every key of values.yaml that has a comment, which all have but those below such a key.
func valuesTable(t *testing.T) string {
	t.Helper()
	var document yaml.Node
	require.NoError(t, yaml.Unmarshal([]byte(read(t, filepath.Join(chartFolder, "values.yaml"))), &document))
	var b strings.Builder
	b.WriteString("\n| value | default | what |\n|---|---|---|\n")
	rows(t, &b, "", "", document.Content[0])
	b.WriteString("\n")
	return b.String()
}

// rows writes the keys of a mapping. What a key is said to be is in its comment; a mapping whose keys have
// comments of their own may have one that is true of all of them.
func rows(t *testing.T, b *strings.Builder, prefix, inherited string, mapping *yaml.Node) {
	t.Helper()
	for i := 0; i < len(mapping.Content); i += 2 {
		key, value := mapping.Content[i], mapping.Content[i+1]
		comment := said(key.HeadComment)
		if value.Kind == yaml.MappingNode && commented(value) {
			rows(t, b, prefix+key.Value+".", comment, value)
			continue
		}
		require.NotEmpty(t, comment, "values.yaml:%d: nobody says what %s%s is", key.Line, prefix, key.Value)
		if inherited != "" && i == 0 {
			comment = inherited + " " + comment
		}
		fmt.Fprintf(b, "| `%s%s` | %s | %s |\n", prefix, key.Value, shown(t, value), strings.ReplaceAll(comment, "|", `\|`))
	}
}

// said is the last paragraph of a comment, on one line.
func said(comment string) string {
	paragraphs := strings.Split(comment, "\n\n")
	var words []string
	for line := range strings.Lines(paragraphs[len(paragraphs)-1]) {
		words = append(words, strings.TrimSpace(strings.TrimPrefix(strings.TrimSpace(line), "#")))
	}
	return strings.Join(words, " ")
}

// commented reports whether a mapping's keys are explained one by one.
func commented(mapping *yaml.Node) bool {
	for i := 0; i < len(mapping.Content); i += 2 {
		value := mapping.Content[i+1]
		if mapping.Content[i].HeadComment != "" || value.Kind == yaml.MappingNode && commented(value) {
			return true
		}
	}
	return false
}

func shown(t *testing.T, value *yaml.Node) string {
	t.Helper()
	var v any
	require.NoError(t, value.Decode(&v))
	text, err := json.Marshal(v)
	require.NoError(t, err)
	return "`" + string(text) + "`"
}
