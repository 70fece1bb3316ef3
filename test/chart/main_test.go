package chart_test

import (
	"flag"
	"io"
	"log" //nolint:depguard // Helm logs by it
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"
	helm "helm.sh/helm/v3/pkg/chart"
	"sigs.k8s.io/yaml"

	chart "github.com/tallywire/tallywire/test/chart"
)

const (
	root        = "../.."
	chartFolder = root + "/helm/tallywire"
)

var update = flag.Bool("update", false, "write what the tests compare with")

// TestMain turns off what Helm logs of values of the wrong type: they are errors a moment later. In the end
// it removes the program that was built.
func TestMain(m *testing.M) {
	log.SetOutput(io.Discard)
	status := m.Run()
	if built.path != "" {
		_ = os.RemoveAll(filepath.Dir(built.path))
	}
	os.Exit(status)
}

// load reads the chart. Rendering does not change it.
func load(t *testing.T) *helm.Chart {
	t.Helper()
	c, err := chart.Load(chartFolder)
	require.NoError(t, err)
	return c
}

// values reads values as they stand in a file.
func values(t *testing.T, text string) map[string]any {
	t.Helper()
	v := map[string]any{}
	require.NoError(t, yaml.UnmarshalStrict([]byte(text), &v))
	return v
}

// example reads one of the values that the chart is tried with, and any Helm linter tries too.
func example(t *testing.T, name string) map[string]any {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(chartFolder, "ci", name+".yaml"))
	require.NoError(t, err)
	return values(t, string(text))
}

// render renders the chart with the values of an example.
func render(t *testing.T, name string) *chart.Rendered {
	t.Helper()
	r, err := chart.Render(load(t), chart.Release{}, example(t, name))
	require.NoError(t, err)
	return r
}

// minimal are the values that must be given.
const minimal = "{auth: {existingSecret: keys}, redis: {hosts: ['redis:6379']}}"

// renderText renders the chart with the minimal values and others over them.
func renderText(t *testing.T, more string) *chart.Rendered {
	t.Helper()
	r, err := chart.Render(load(t), chart.Release{}, over(values(t, minimal), values(t, more)))
	require.NoError(t, err)
	return r
}

// over merges values over others.
func over(base, more map[string]any) map[string]any {
	for key, value := range more {
		below, isMap := base[key].(map[string]any)
		if above, ok := value.(map[string]any); ok && isMap {
			base[key] = over(below, above)
		} else {
			base[key] = value
		}
	}
	return base
}
