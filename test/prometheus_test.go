package test

import (
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"net/http"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/tallywire/tallywire/goclient"
	"github.com/tallywire/tallywire/internal/programtest"
	"github.com/tallywire/tallywire/internal/redistest"
)

const (
	alertsFile    = "../helm/tallywire/files/alerts.yaml"
	dashboardFile = "../helm/tallywire/files/dashboard.json"
)

// TestPrometheus has a real Prometheus scrape two gateways with the chart's alerts loaded: while they are well,
// every panel of the dashboard shows something and no alert fires; invalid events and a Redis that is away
// have theirs fire, and those end when all is well again.
func TestPrometheus(t *testing.T) {
	redis := redistest.Start(t)
	var gateways []*process
	var admins []string
	for i := range 2 {
		admins = append(admins, programtest.FreeAddr(t))
		gateways = append(gateways, startGateway(t, "gw-"+itoa(i+1), "--redis", redis.URL(), "--admin-listen", admins[i], "--max-connections", "100", "--ping", "1s"))
	}
	for _, g := range gateways {
		g.awaitReady()
	}
	p := startPrometheus(t, admins)
	traffic := startTraffic(t, gateways)

	p.until("scraped", func() bool { return len(p.query(`up{job="tallywire"} == 1`)) == 2 })
	p.showsEverything()
	require.Empty(t, p.firing(), "alerts while everything is well")
	for _, name := range p.rules() {
		require.True(t, strings.HasPrefix(name, "Tallywire"))
	}
	require.Positive(t, traffic.seen())

	redis.Do("FCALL", "tw_publish", "1", "tw:{jobs:1}", `{"type":"job.started","data":{"job_id":1}}`) // by a worker
	p.until("dead letters alert", func() bool { return slices.Contains(p.firing(), "TallywireDeadLetters") })
	dead := p.query(`ALERTS{alertname="TallywireDeadLetters"}`)
	require.Equal(t, "invalid_event", dead[0].Metric["reason"])

	redis.Pause()
	p.until("Redis alert", func() bool { return slices.Contains(p.firing(), "TallywireRedisDown") })
	require.Len(t, p.query(`up{job="tallywire"} == 1`), 2, "metrics are told while Redis is away")
	redis.Continue()
	p.until("Redis alert to end", func() bool { return !slices.Contains(p.firing(), "TallywireRedisDown") })
}

// prometheus is one process.
type prometheus struct {
	t   testing.TB
	url string
}

// shortened is the chart's rule file, with the time that Redis must be away cut short.
func shortened(t testing.TB) string {
	t.Helper()
	text, err := os.ReadFile(alertsFile)
	require.NoError(t, err)
	const long, short = `min by (job, namespace) (tallywire_probe_age_seconds{job="tallywire"}) > 60`, `min by (job, namespace) (tallywire_probe_age_seconds{job="tallywire"}) > 4`
	require.Contains(t, string(text), long)
	return strings.ReplaceAll(string(text), long, short)
}

// startPrometheus has one scrape addresses every second.
func startPrometheus(t testing.TB, targets []string) *prometheus {
	t.Helper()
	program, err := exec.LookPath("prometheus")
	if err != nil {
		const hint = "prometheus is not installed (Debian, Ubuntu: apt-get install prometheus)"
		if os.Getenv("CI") != "" {
			t.Fatal(hint)
		}
		t.Skip(hint)
	}
	dir := t.TempDir()
	targetList, err := json.Marshal(targets)
	require.NoError(t, err)
	for name, text := range map[string]string{
		"alerts.yaml": shortened(t),
		"prometheus.yaml": fmt.Sprintf(`
global: {scrape_interval: 1s, evaluation_interval: 1s, scrape_timeout: 1s}
rule_files: [alerts.yaml]
scrape_configs:
  - job_name: tallywire
    static_configs: [{targets: %s, labels: {namespace: default}}]
`, targetList),
	} {
		require.NoError(t, os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600))
	}
	addr, log := programtest.FreeAddr(t), &programtest.Log{}
	cmd := exec.Command(program, "--config.file="+filepath.Join(dir, "prometheus.yaml"), "--storage.tsdb.path="+filepath.Join(dir, "data"),
		"--web.listen-address="+addr)
	cmd.Stdout, cmd.Stderr = log, log
	require.NoError(t, cmd.Start())
	done := make(chan struct{})
	go func() { defer close(done); _ = cmd.Wait() }()
	t.Cleanup(func() {
		_ = cmd.Process.Kill()
		<-done
		if t.Failed() {
			t.Logf("log of prometheus:\n%s", tail(log.String(), 4000))
		}
	})
	p := &prometheus{t: t, url: "http://" + addr}
	p.until("prometheus to answer", func() bool {
		resp, err := http.Get(p.url + "/-/ready")
		if err != nil {
			return false
		}
		defer resp.Body.Close()
		return resp.StatusCode == http.StatusOK
	})
	return p
}

func (p *prometheus) until(what string, ok func() bool) {
	p.t.Helper()
	for deadline := time.Now().Add(patience); !ok(); <-time.After(100 * time.Millisecond) {
		require.True(p.t, time.Now().Before(deadline), "waiting for %s", what)
	}
}

// get asks the API and decodes the data of its answer.
func (p *prometheus) get(path string, query url.Values, into any) {
	p.t.Helper()
	resp, err := http.Get(p.url + path + "?" + query.Encode())
	require.NoError(p.t, err)
	defer resp.Body.Close()
	answer := struct {
		Status, Error string
		Data          any
	}{Data: into}
	require.NoError(p.t, json.NewDecoder(resp.Body).Decode(&answer))
	require.Equal(p.t, "success", answer.Status, "%s %s: %s", path, query, answer.Error)
}

// sample is one series of an answer.
type sample struct {
	Metric map[string]string `json:"metric"`
	Value  [2]any            `json:"value"`
}

func (p *prometheus) query(expr string) []sample {
	p.t.Helper()
	var data struct {
		Result []sample `json:"result"`
	}
	p.get("/api/v1/query", url.Values{"query": {expr}}, &data)
	return data.Result
}

// firing returns the names of the alerts that fire.
func (p *prometheus) firing() []string {
	p.t.Helper()
	names := map[string]bool{}
	for _, s := range p.query(`ALERTS{alertstate="firing"}`) {
		names[s.Metric["alertname"]] = true
	}
	return slices.Sorted(maps.Keys(names))
}

// rules returns the names of the alerts, which Prometheus has evaluated without an error.
func (p *prometheus) rules() (names []string) {
	p.t.Helper()
	var data struct {
		Groups []struct {
			Rules []struct{ Name, Health, LastError string }
		}
	}
	p.get("/api/v1/rules", nil, &data)
	for _, g := range data.Groups {
		for _, r := range g.Rules {
			require.Equal(p.t, "ok", r.Health, "%s: %s", r.Name, r.LastError)
			names = append(names, r.Name)
		}
	}
	text, err := os.ReadFile(alertsFile)
	require.NoError(p.t, err)
	require.Len(p.t, names, strings.Count(string(text), "- alert:"))
	return names
}

// filled are what Grafana fills in for the dashboard's variables.
var filled = strings.NewReplacer("$namespace", "default", "$job", "tallywire", "$instance", ".*", "$__rate_interval", "10s", "$__range", "1m")

var labelValues = regexp.MustCompile(`^label_values\((.+), (\w+)\)$`)

// showsEverything waits until every query of the dashboard has an answer with a number in it.
func (p *prometheus) showsEverything() {
	p.t.Helper()
	text, err := os.ReadFile(dashboardFile)
	require.NoError(p.t, err)
	var d struct {
		Templating struct {
			List []struct {
				Name, Type, Definition string
			}
		}
		Panels []struct {
			Title   string
			Targets []struct{ Expr string }
		}
	}
	require.NoError(p.t, json.Unmarshal(text, &d))
	for _, v := range d.Templating.List {
		if m := labelValues.FindStringSubmatch(v.Definition); v.Type == "query" {
			require.NotNil(p.t, m, v.Definition)
			var values []string
			p.get("/api/v1/label/"+m[2]+"/values", url.Values{"match[]": {filled.Replace(m[1])}}, &values)
			require.NotEmpty(p.t, values, "variable %s", v.Name)
		}
	}
	queries := 0
	for _, panel := range d.Panels {
		for _, target := range panel.Targets {
			queries++
			expr := filled.Replace(target.Expr)
			p.until("panel "+panel.Title+": "+expr, func() bool {
				return slices.ContainsFunc(p.query(expr), func(s sample) bool {
					text, _ := s.Value[1].(string)
					_, err := strconv.ParseFloat(text, 64)
					return err == nil && text != "NaN"
				})
			})
		}
	}
	p.t.Logf("%d queries of the dashboard are answered", queries)
	require.Greater(p.t, queries, 30)
}

// traffic is clients of two gateways who publish to each other.
type traffic struct{ clients []*goclient.Client }

func (x *traffic) seen() (n int64) {
	for _, c := range x.clients {
		n += int64(c.Stats().Events)
	}
	return n
}

func startTraffic(t testing.TB, gateways []*process) *traffic {
	t.Helper()
	ctx, stop := context.WithCancel(context.Background())
	var wg sync.WaitGroup
	t.Cleanup(func() {
		stop()
		wg.Wait()
	})
	x := &traffic{}
	silent, err := goclient.New(goclient.Options{URL: "ws://" + gateways[0].addr, Token: token(t, "silent")}) // which is pinged
	require.NoError(t, err)
	wg.Go(func() { _ = silent.Run(ctx) })
	for i, g := range gateways {
		client, err := goclient.New(goclient.Options{URL: "ws://" + g.addr, Token: token(t, "client-"+itoa(i)), BackoffMax: time.Second})
		require.NoError(t, err)
		x.clients = append(x.clients, client)
		sub, err := client.Subscribe("jobs:1", goclient.SubscribeOptions{})
		require.NoError(t, err)
		wg.Go(func() { _ = client.Run(ctx) })
		require.NoError(t, sub.Ready(ctx))
		wg.Go(func() {
			tick := time.NewTicker(20 * time.Millisecond)
			defer tick.Stop()
			for ctx.Err() == nil {
				_, _ = client.Publish(ctx, "jobs:1", json.RawMessage(`{"type":"x.test"}`), goclient.PublishOptions{}) // Redis is away for a while
				select {
				case <-tick.C:
				case <-ctx.Done():
				}
			}
		})
	}
	return x
}
