package chart_test

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	corev1 "k8s.io/api/core/v1"
	"sigs.k8s.io/yaml"
)

// metrics are what gateways measure, and the labels that they have beside those of the scrape.
// Histograms are named without _bucket.
var metrics = map[string][]string{
	"tallywire_connections":             {"transport"},
	"tallywire_connections_total":       {"transport", "result"},
	"tallywire_connection_limit":        nil,
	"tallywire_disconnects_total":       {"code", "reason"},
	"tallywire_subscriptions":           nil,
	"tallywire_events_total":            {"direction"},
	"tallywire_bytes_total":             {"direction"},
	"tallywire_delivery_lag_seconds":    {"le"},
	"tallywire_flush_events":            {"le"},
	"tallywire_fanout_duration_seconds": {"le"},
	"tallywire_ping_rtt_seconds":        {"le"},
	"tallywire_namespace_events_total":  {"channel_namespace", "direction"},
	"tallywire_channels_repairing":      nil,

	"tallywire_tls_certificate_expiry_timestamp_seconds": nil,

	"tallywire_resume_total":               {"result"},
	"tallywire_resets_total":               {"reason"},
	"tallywire_repairs_total":              {"result"},
	"tallywire_probe_age_seconds":          nil,
	"tallywire_probe_round_trip_seconds":   nil,
	"tallywire_redis_round_trip_seconds":   {"le"},
	"tallywire_redis_reconnects_total":     nil,
	"tallywire_reader_lag_events":          nil,
	"tallywire_dead_letters_total":         {"reason"},
	"tallywire_presence_members":           nil,
	"tallywire_presence_reaps_total":       nil,
	"tallywire_drains_total":               {"result"},
	"tallywire_draining":                   nil,
	"tallywire_inbox_waiting":              nil,
	"tallywire_inbox_oldest_seconds":       nil,
	"tallywire_slow_consumer_blocks_total": nil,
	"tallywire_build_info":                 {"version"},
	"process_cpu_seconds_total":            nil,
	"process_resident_memory_bytes":        nil,
	"go_goroutines":                        nil,
	"up":                                   nil,
}

// scraped are the labels that a scrape adds.
var scraped = []string{"job", "namespace", "instance"}

// checkSeries: an expression asks for series and labels that there are, and each by job.
func checkSeries(t *testing.T, what, expr string) {
	t.Helper()
	found := series.FindAllStringSubmatch(expr, -1)
	require.NotEmpty(t, found, what)
	for _, f := range found {
		name, selector := f[1], f[2]
		labels, known := metrics[strings.TrimSuffix(name, "_bucket")]
		require.True(t, known, "%s: there is no %s", what, name)
		require.Contains(t, selector, "job=", "%s: %s of any job", what, name)
		for matcher := range strings.SplitSeq(strings.Trim(selector, "{}"), ",") {
			label := strings.TrimSpace(matcher[:strings.IndexAny(matcher, "=!")])
			require.True(t, slices.Contains(labels, label) || slices.Contains(scraped, label), "%s: %s has no label %s", what, name, label)
		}
	}
}

func TestAlertsAskForWhatThereIs(t *testing.T) {
	for _, a := range alerts(t) {
		checkSeries(t, a.Alert, a.Expr)
	}
}

// dashboard is as much of Grafana's model as the tests look at.
type dashboard struct {
	UID        string `json:"uid"`
	Templating struct {
		List []struct {
			Name  string `json:"name"`
			Query any    `json:"query"`
		} `json:"list"`
	} `json:"templating"`
	Panels []panel `json:"panels"`
}

type panel struct {
	ID         int               `json:"id"`
	Type       string            `json:"type"`
	Title      string            `json:"title"`
	Datasource map[string]string `json:"datasource"`
	GridPos    struct{ X, Y, W, H int }
	Targets    []struct {
		RefID        string `json:"refId"`
		Expr         string `json:"expr"`
		LegendFormat string `json:"legendFormat"`
	} `json:"targets"`
}

func readDashboard(t *testing.T) dashboard {
	t.Helper()
	var d dashboard
	require.NoError(t, json.Unmarshal([]byte(read(t, chartFolder+"/files/dashboard.json")), &d))
	return d
}

// variables stand for what Grafana fills in.
var variables = strings.NewReplacer("$namespace", ".*", "$job", ".*", "$instance", ".*", "$__rate_interval", "1m", "$__range", "1h")

// TestDashboard: panels do not overlap, and each asks, in a way that Prometheus understands, for series that
// there are.
func TestDashboard(t *testing.T) {
	d := readDashboard(t)
	names := map[string]bool{}
	for _, v := range d.Templating.List {
		names[v.Name] = true
	}
	require.Equal(t, map[string]bool{"datasource": true, "namespace": true, "job": true, "instance": true}, names)
	var rules []string
	ids, cells := map[int]bool{}, map[[2]int]string{}
	for _, p := range d.Panels {
		require.False(t, ids[p.ID], "the id of %s is taken", p.Title)
		ids[p.ID] = true
		for x := p.GridPos.X; x < p.GridPos.X+p.GridPos.W; x++ {
			require.Less(t, x, 24, p.Title)
			for y := p.GridPos.Y; y < p.GridPos.Y+p.GridPos.H; y++ {
				require.Empty(t, cells[[2]int{x, y}], "%s lies on another panel", p.Title)
				cells[[2]int{x, y}] = p.Title
			}
		}
		if p.Type == "row" {
			continue
		}
		require.Equal(t, "${datasource}", p.Datasource["uid"], p.Title)
		require.NotEmpty(t, p.Targets, p.Title)
		for _, target := range p.Targets {
			checkSeries(t, p.Title, target.Expr)
			require.Contains(t, target.Expr, `namespace=~"$namespace",job=~"$job",instance=~"$instance"`, p.Title)
			rules = append(rules, fmt.Sprintf("  - record: panel:%d:%s\n    expr: %q", p.ID, target.RefID, variables.Replace(target.Expr)))
		}
	}
	out := promtool(t, map[string]string{"panels.yaml": "groups:\n- name: panels\n  rules:\n" + strings.Join(rules, "\n")}, "check", "rules", "panels.yaml")
	require.Contains(t, out, fmt.Sprintf("%d rules found", len(rules)))
}

// TestDashboardShowsEverything: no metric is measured for nothing.
func TestDashboardShowsEverything(t *testing.T) {
	text := read(t, chartFolder+"/files/dashboard.json")
	for name := range metrics {
		if name != "up" {
			require.Contains(t, text, name)
		}
	}
}

// TestDashboardIsInstalled as it is.
func TestDashboardIsInstalled(t *testing.T) {
	c := as[corev1.ConfigMap](t, find(t, render(t, "sentinel"), "ConfigMap", "tallywire-dashboard"))
	require.JSONEq(t, read(t, chartFolder+"/files/dashboard.json"), c.Data["tallywire.json"])
	require.Equal(t, "1", c.Labels["grafana_dashboard"])
	require.Equal(t, "Tallywire", c.Annotations["grafana_folder"])
}

// TestJobOfTheMonitors: alerts and dashboard select by a job that both kinds of monitors set.
func TestJobOfTheMonitors(t *testing.T) {
	for name, kind := range map[string]string{"sentinel": "PodMonitor", "gateway": "ServiceMonitor"} {
		spec := asText(t, find(t, render(t, name), kind, "tallywire").Object["spec"])
		var s struct {
			Pods     []monitored `json:"podMetricsEndpoints"`
			Services []monitored `json:"endpoints"`
		}
		require.NoError(t, yaml.Unmarshal([]byte(spec), &s))
		require.Equal(t, []monitored{{Port: "admin", Path: "/metrics", Relabelings: []relabeling{{"job", "tallywire"}}}}, append(s.Pods, s.Services...))
	}
}

type monitored struct {
	Port        string       `json:"port"`
	Path        string       `json:"path"`
	Relabelings []relabeling `json:"relabelings"`
}

type relabeling struct {
	TargetLabel string `json:"targetLabel"`
	Replacement string `json:"replacement"`
}
