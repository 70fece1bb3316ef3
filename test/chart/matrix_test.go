package chart_test

import (
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	chart "github.com/tallywire/tallywire/test/chart"
)

// awkward are names of releases that YAML or a Service would take for something else, and a long one.
var awkward = []string{"tallywire", "n", "on", "123", "0x1f", "1e3", "null", "my-tallywire", strings.Repeat("long-name-", 5) + "abc"}

// variants are values over the minimal ones, beside the examples.
var variants = map[string]string{
	"minimal":            "{}",
	"one pod":            "{replicas: 1}",
	"no pod":             "{replicas: 0}",
	"no limit":           "{resources: {limits: null}}",
	"no budget":          "{podDisruptionBudget: {enabled: false}}",
	"connections alone":  "{autoscaling: {enabled: true, targetCPU: 0}}",
	"processor alone":    "{autoscaling: {enabled: true, targetConnections: 0, seedReplicas: false}}",
	"keda, processor":    "{autoscaling: {enabled: true, engine: keda, targetConnections: 0}}",
	"cluster":            "{redis: {mode: cluster, hosts: ['a:7000', 'b:7001'], tls: {enabled: true}, poolSize: 32}}",
	"database":           "{redis: {database: 3, passwordSecret: redis}}",
	"no policy":          "{networkPolicy: {enabled: false}}",
	"node port":          "{service: {type: NodePort, externalTrafficPolicy: Cluster}}",
	"no preStop":         "{drain: {preStopSeconds: 0}}",
	"odd labels":         "{commonLabels: {a: 'true', b: '12'}, podLabels: {c: 'null'}, podAnnotations: {d: '1e3'}}",
	"everything to null": "{progressDeadlineSeconds: null, service: {port: null}, minReadySeconds: null, terminationGracePeriodSeconds: null, topologySpreadConstraints: null, podDisruptionBudget: {enabled: null}}",
}

// cell is one release of the matrix.
type cell struct {
	release  string
	rendered *chart.Rendered
}

// cells are what the matrix renders to, by example or variant: rendered by the first test that asks.
var cells map[string][]cell

// matrix looks at every example and variant, under every name.
func matrix(t *testing.T, look func(t *testing.T, r *chart.Rendered)) {
	t.Helper()
	if cells == nil {
		cells = renderAll(t)
	}
	for name, releases := range cells {
		t.Run(name, func(t *testing.T) {
			for _, c := range releases {
				t.Log("release", c.release)
				look(t, c.rendered)
			}
		})
	}
}

func renderAll(t *testing.T) map[string][]cell {
	t.Helper()
	files, err := filepath.Glob(filepath.Join(chartFolder, "ci", "*.yaml"))
	require.NoError(t, err)
	require.NotEmpty(t, files)
	each := map[string]func() map[string]any{}
	for _, file := range files {
		name := strings.TrimSuffix(filepath.Base(file), ".yaml")
		each[name] = func() map[string]any { return example(t, name) }
	}
	for name, text := range variants {
		each[name] = func() map[string]any { return over(values(t, minimal), values(t, text)) }
	}
	c := load(t)
	out := map[string][]cell{}
	for name, v := range each {
		for _, release := range awkward {
			r, err := chart.Render(c, chart.Release{Name: release, Namespace: "123"}, v())
			require.NoError(t, err, "%s, as %s", name, release)
			out[name] = append(out[name], cell{release, r})
		}
	}
	return out
}

// TestSchemas holds everything against the schemas of Kubernetes and of the custom kinds.
func TestSchemas(t *testing.T) {
	kinds := map[string]bool{}
	matrix(t, func(t *testing.T, r *chart.Rendered) {
		t.Helper()
		require.Empty(t, problems(t, r.String()))
		for _, o := range objects(t, r) {
			kinds[o.GetKind()] = true
		}
	})
	entries, err := os.ReadDir("schemas")
	require.NoError(t, err)
	require.Len(t, kinds, len(entries)-1, "every schema but the shared one has an object: %v", kinds)
}

// TestSchemasFindErrors: the schemas would not let pass what an API server drops or refuses.
func TestSchemasFindErrors(t *testing.T) {
	text := render(t, "sentinel").String() + "---\n" + render(t, "gateway").String()
	require.Empty(t, problems(t, text))
	for name, c := range map[string]struct{ old, new, says string }{
		"misspelt, in an autoscaler":  {"maxReplicas:", "maxReplcas:", "maxReplcas"},
		"misspelt, in a container":    {"imagePullPolicy:", "imagePulPolicy:", "imagePulPolicy"},
		"misspelt, in a route":        {"backendRefs:", "backendReferences:", "backendReferences"},
		"misspelt, in a scaler":       {"pollingInterval:", "poolingInterval:", "poolingInterval"},
		"misspelt, in a monitor":      {"podMetricsEndpoints:", "podMetricEndpoints:", "podMetricEndpoints"},
		"misspelt, in a rule":         {"runbook_url:", "runbook_url: 5\n          extra_:", "runbook_url"},
		"misspelt, in metadata":       {"annotations:", "annotation:", "annotation"},
		"a label that is a letter":    {`app.kubernetes.io/instance: "tallywire"`, "app.kubernetes.io/instance: n", "instance"},
		"a label that is a bool":      {`app.kubernetes.io/instance: "tallywire"`, "app.kubernetes.io/instance: on", "instance"},
		"a label that is a number":    {`app.kubernetes.io/instance: "tallywire"`, "app.kubernetes.io/instance: 123", "instance"},
		"a text for a number":         {"averageUtilization: 70", `averageUtilization: "70"`, "averageUtilization"},
		"a field that nobody needs":   {"minReadySeconds: 90", "minReadySeconds: 90\n  paus: true", "paus"},
		"a version that there is not": {"apiVersion: autoscaling/v2", "apiVersion: autoscaling/v2beta9", "could not find schema"},
		"twice the same key":          {"minReadySeconds: 90", "minReadySeconds: 90\n  minReadySeconds: 91", "already set"},
	} {
		t.Run(name, func(t *testing.T) {
			wrong := strings.Replace(text, c.old, c.new, 1)
			require.NotEqual(t, text, wrong, "there is no %q", c.old)
			found := strings.Join(problems(t, wrong), "\n")
			require.Contains(t, found, c.says)
		})
	}
}

var (
	dns1035 = regexp.MustCompile(`^[a-z]([-a-z0-9]{0,61}[a-z0-9])?$`)
	bareKey = regexp.MustCompile(`^\s+(app\.kubernetes\.io|helm\.sh)/[a-z-]+: [^"]`)
)

// TestClean: a person reads it, and nothing depends on how YAML is read.
func TestClean(t *testing.T) {
	matrix(t, func(t *testing.T, r *chart.Rendered) {
		t.Helper()
		for file, text := range r.Manifests {
			for line := range strings.Lines(strings.Trim(text, "\n")) {
				line = strings.TrimRight(line, "\n")
				require.Equal(t, strings.TrimRight(line, " \t"), line, "%s: blanks at the end of %q", file, line)
				require.NotEmpty(t, line, "%s: an empty line in\n%s", file, text)
				require.False(t, bareKey.MatchString(line), "%s: a label that is not quoted: %s", file, line)
				require.NotContains(t, line, "<no value>", file)
				require.False(t, file != "dashboard.yaml" && strings.HasSuffix(line, ": null"), "%s: %s", file, line)
			}
		}
		seen := map[string]bool{}
		for _, o := range objects(t, r) {
			id := o.GetKind() + "/" + o.GetName()
			require.False(t, seen[id], "%s is there twice", id)
			seen[id] = true
			require.Regexp(t, dns1035, o.GetName(), "a name for every kind")
			require.Equal(t, "123", o.GetNamespace(), id)
			require.NotEqual(t, "Secret", o.GetKind(), "a template makes no secrets")
			for key, value := range o.GetLabels() {
				require.LessOrEqual(t, len(value), 63, "%s: label %s", id, key)
			}
		}
		require.NotContains(t, r.Notes, "<no value>")
	})
}
