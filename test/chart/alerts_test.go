package chart_test

import (
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	"sigs.k8s.io/yaml"
)

const (
	alertsFile = chartFolder + "/files/alerts.yaml"
	runbook    = root + "/docs/operations.md"
	runbookURL = "https://github.com/tallywire/tallywire/blob/main/docs/operations.md"
)

// rule is an alert.
type rule struct {
	Alert       string            `json:"alert"`
	Expr        string            `json:"expr"`
	For         string            `json:"for"`
	Labels      map[string]string `json:"labels"`
	Annotations map[string]string `json:"annotations"`
}

type ruleGroups struct {
	Groups []struct {
		Name  string `json:"name"`
		Rules []rule `json:"rules"`
	} `json:"groups"`
}

func (g ruleGroups) all() (out []rule) {
	for _, group := range g.Groups {
		out = append(out, group.Rules...)
	}
	return out
}

// alerts reads files/alerts.yaml.
func alerts(t *testing.T) []rule {
	t.Helper()
	text, err := os.ReadFile(alertsFile)
	require.NoError(t, err)
	var g ruleGroups
	require.NoError(t, yaml.UnmarshalStrict(text, &g))
	require.NotEmpty(t, g.all())
	return g.all()
}

// promtool runs it in a folder of its own, with files.
func promtool(t *testing.T, files map[string]string, args ...string) string {
	t.Helper()
	path, err := exec.LookPath("promtool")
	if err != nil {
		t.Skip("promtool is not installed (Debian, Ubuntu: apt-get install prometheus)")
	}
	folder := t.TempDir()
	for name, text := range files {
		require.NoError(t, os.WriteFile(filepath.Join(folder, name), []byte(text), 0o600))
	}
	cmd := exec.CommandContext(t.Context(), path, args...)
	cmd.Dir = folder
	out, err := cmd.CombinedOutput()
	require.NoError(t, err, string(out))
	return string(out)
}

func read(t *testing.T, path string) string {
	t.Helper()
	text, err := os.ReadFile(path)
	require.NoError(t, err)
	return string(text)
}

// TestAlerts runs their unit tests; every alert fires in one of them, and stays silent in another.
func TestAlerts(t *testing.T) {
	tests := read(t, "testdata/alerts.yaml")
	promtool(t, map[string]string{"alerts.rules.yaml": read(t, alertsFile), "alerts.yaml": tests}, "test", "rules", "alerts.yaml")
	var all struct {
		Tests []struct {
			Cases []struct {
				Name     string `json:"alertname"`
				Expected []any  `json:"exp_alerts"`
			} `json:"alert_rule_test"`
		} `json:"tests"`
	}
	require.NoError(t, yaml.Unmarshal([]byte(tests), &all))
	fires, silent := map[string]bool{}, map[string]bool{}
	for _, test := range all.Tests {
		for _, c := range test.Cases {
			fires[c.Name] = fires[c.Name] || len(c.Expected) > 0
			silent[c.Name] = silent[c.Name] || len(c.Expected) == 0
		}
	}
	for _, a := range alerts(t) {
		require.True(t, fires[a.Alert] && silent[a.Alert], "%s: no test in which it fires, or none in which it does not", a.Alert)
	}
	require.Len(t, fires, len(alerts(t)), "a test is of no alert")
}

// TestAlertsSay what is wrong, how bad it is, and where to read on.
func TestAlertsSay(t *testing.T) {
	for _, a := range alerts(t) {
		require.Regexp(t, `^Tallywire[A-Z][A-Za-z]+$`, a.Alert)
		require.Contains(t, []string{"critical", "warning"}, a.Labels["severity"], a.Alert)
		require.NotEmpty(t, a.Annotations["summary"], a.Alert)
		require.NotContains(t, a.Annotations["summary"], "{{", "%s: one summary, so that alerts group", a.Alert)
		require.NotEmpty(t, a.Annotations["description"], a.Alert)
		require.Equal(t, runbookURL+"#"+strings.ToLower(a.Alert), a.Annotations["runbook_url"])
	}
}

// TestRunbook: every alert has a section in the runbook.
func TestRunbook(t *testing.T) {
	text := read(t, runbook)
	for _, a := range alerts(t) {
		require.Regexp(t, `(?m)^#+ `+a.Alert+`$`, text)
	}
}

// TestRuleOfTheRelease: what the chart installs asks for the release's own series, and promtool takes it.
func TestRuleOfTheRelease(t *testing.T) {
	r := render(t, "sentinel")
	spec := at(t, find(t, r, "PrometheusRule", "tallywire").Object, "spec")
	var g ruleGroups
	require.NoError(t, yaml.UnmarshalStrict([]byte(asText(t, spec)), &g))
	promtool(t, map[string]string{"rules.yaml": asText(t, spec)}, "check", "rules", "rules.yaml")

	want := alerts(t)
	want = slices.DeleteFunc(want, func(a rule) bool { return a.Alert == "TallywireInboxNotDrained" })
	require.Len(t, g.all(), len(want), "all but the one that is disabled")
	for i, a := range g.all() {
		require.Equal(t, want[i].Alert, a.Alert)
		require.Equal(t, want[i].For, a.For)
		require.Equal(t, want[i].Annotations, a.Annotations)
		require.Equal(t, "platform", a.Labels["team"])
		require.Equal(t, want[i].Labels["severity"], a.Labels["severity"])
		require.Equal(t, strings.ReplaceAll(want[i].Expr, `job="tallywire"`, `namespace="default",job="tallywire"`), a.Expr)
		for _, selector := range series.FindAllStringSubmatch(a.Expr, -1) {
			require.Contains(t, selector[0], `namespace="default",job="tallywire"`, "%s: a selector for everybody's series", a.Alert)
		}
	}
	r = renderText(t, "{metrics: {prometheusRule: {enabled: true, runbook: 'https://wiki.example.com/tallywire'}}}")
	require.NotContains(t, r.Manifests["prometheusrule.yaml"], runbookURL)
	require.Contains(t, r.Manifests["prometheusrule.yaml"], "https://wiki.example.com/tallywire#tallywirenoreadygateway")
}

// series matches a selector of series of the gateways.
var series = regexp.MustCompile(`\b(tallywire_[a-z_]+|process_[a-z_]+|go_[a-z_]+|up)\b(\{[^}]*\})?`)
