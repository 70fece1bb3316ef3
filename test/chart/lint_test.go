package chart_test

import (
	"testing"

	"github.com/stretchr/testify/require"
	"helm.sh/helm/v3/pkg/chartutil"
	"helm.sh/helm/v3/pkg/lint"
	"helm.sh/helm/v3/pkg/lint/support"

	chart "github.com/tallywire/tallywire/test/chart"
)

// TestLint is `helm lint --strict`, with each of the examples.
func TestLint(t *testing.T) {
	version, err := chartutil.ParseKubeVersion(chart.KubeVersion)
	require.NoError(t, err)
	for _, name := range []string{"dev", "sentinel", "gateway"} {
		linter := lint.AllWithKubeVersion(chartFolder, example(t, name), "default", version)
		for _, m := range linter.Messages {
			require.LessOrEqual(t, m.Severity, support.InfoSev, "%s: %v", name, m)
		}
	}
}
