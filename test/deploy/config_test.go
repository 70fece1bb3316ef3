package deploy_test

import (
	"encoding/json"
	"net"
	"os"
	"path"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/compose-spec/compose-go/v2/types"
	"github.com/stretchr/testify/require"
	"go.yaml.in/yaml/v3"
)

// mounted returns the file here that a container sees at a path.
func mounted(t *testing.T, s types.ServiceConfig, at string) string {
	t.Helper()
	for folder, rest := at, ""; folder != "/"; folder, rest = path.Dir(folder), path.Join(path.Base(folder), rest) {
		for _, v := range s.Volumes {
			if v.Type == types.VolumeTypeBind && v.Target == folder {
				return filepath.Join(v.Source, rest)
			}
		}
	}
	t.Fatalf("%s: nothing is mounted at %s", s.Name, at)
	return ""
}

// TestHAProxy takes its configuration, with what the composition puts before and after it.
func TestHAProxy(t *testing.T) {
	haproxy := need(t, "haproxy", "haproxy", "/usr/sbin/haproxy")
	s := project(t).Services["haproxy"]
	args := []string{"-c"}
	for _, arg := range s.Command[1:] {
		if strings.HasPrefix(arg, "/") {
			arg = mounted(t, s, arg)
		}
		args = append(args, arg)
	}
	out, err := run(t, variables(s), haproxy, args...)
	require.NoError(t, err, out)
	for line := range strings.Lines(out) {
		// Only there does Docker's DNS answer; until it does, HAProxy asks again.
		if strings.Contains(line, "WARNING") {
			require.Regexp(t, `could not resolve address 'gateway-[12]'`, line)
		}
	}

	broken := filepath.Join(t.TempDir(), "broken.cfg")
	require.NoError(t, os.WriteFile(broken, []byte("backend more\n    balance rondrobin\n"), 0o600))
	out, err = run(t, variables(s), haproxy, append(args, "-f", broken)...)
	require.Error(t, err, "what haproxy -c says means nothing")
	require.Contains(t, out, "balance only supports")
}

// TestHAProxyKnowsTheGateways: its servers are the gateways that start without a profile, at the port where they
// listen; and what it publishes is where it listens.
func TestHAProxyKnowsTheGateways(t *testing.T) {
	p := project(t)
	s := p.Services["haproxy"]
	servers := regexp.MustCompile(`(?m)^ +server +(\S+) +(\S+):(\d+)`).FindAllStringSubmatch(read(t, "deploy/haproxy/compose.cfg"), -1)
	want := map[string]bool{}
	for name, g := range gateways(p) {
		if len(g.Profiles) == 0 {
			want[name] = true
			require.Contains(t, g.Networks, "back")
		}
	}
	require.Len(t, servers, len(want))
	for _, server := range servers {
		require.True(t, want[server[2]], server[0])
		require.Equal(t, ":"+server[3], *p.Services[server[2]].Environment["TALLYWIRE_LISTEN"], server[0])
	}
	require.Equal(t, "nameserver dns 127.0.0.11:53", regexp.MustCompile(`nameserver.*`).FindString(read(t, "deploy/haproxy/compose.cfg")))
	_, port, err := net.SplitHostPort(*s.Environment["TALLYWIRE_FRONT"])
	require.NoError(t, err)
	require.Equal(t, port, asText(s.Ports[0].Target))
}

// TestPrometheus takes its configuration and the alerts, as they are mounted.
func TestPrometheus(t *testing.T) {
	p := project(t)
	s := p.Services["prometheus"]
	promtool := need(t, "promtool", "prometheus")
	folder := t.TempDir()
	for _, name := range []string{"prometheus.yml", "alerts.yaml"} {
		source := mounted(t, s, "/etc/prometheus/"+name)
		require.NoError(t, os.Symlink(source, filepath.Join(folder, name)))
	}
	config := filepath.Join(folder, "prometheus.yml")
	require.Contains(t, []string(s.Command), "--config.file=/etc/prometheus/prometheus.yml")
	out, err := run(t, nil, promtool, "check", "config", config)
	require.NoError(t, err, out)
	require.Regexp(t, `SUCCESS: [1-9][0-9]* rules found`, out)

	require.NoError(t, os.Remove(filepath.Join(folder, "alerts.yaml")))
	out, err = run(t, nil, promtool, "check", "config", config)
	require.Error(t, err, "without the file of alerts: %s", out)
}

// TestPrometheusScrapesTheGateways, those of every composition, at their admin listeners.
func TestPrometheusScrapesTheGateways(t *testing.T) {
	p := project(t)
	var config struct {
		Scrape []struct {
			Static []struct {
				Targets []string `yaml:"targets"`
			} `yaml:"static_configs"`
		} `yaml:"scrape_configs"`
	}
	require.NoError(t, yaml.Unmarshal([]byte(read(t, "deploy/prometheus/prometheus.yml")), &config))
	scraped := map[string]bool{}
	for _, target := range config.Scrape[0].Static[0].Targets {
		host, port, err := net.SplitHostPort(target)
		require.NoError(t, err)
		require.Contains(t, p.Services, host)
		require.Equal(t, ":"+port, *p.Services[host].Environment["TALLYWIRE_ADMIN_LISTEN"])
		scraped[host] = true
	}
	for name, g := range gateways(p) {
		require.Equal(t, len(g.Profiles) == 0, scraped[name], name)
	}
}

// TestGrafana finds the dashboard, and the dashboard a source of data.
func TestGrafana(t *testing.T) {
	p := project(t)
	s := p.Services["grafana"]
	strict := func(text string, into any) {
		t.Helper()
		decoder := yaml.NewDecoder(strings.NewReader(text))
		decoder.KnownFields(true)
		require.NoError(t, decoder.Decode(into))
	}
	var sources struct {
		Version int `yaml:"apiVersion"`
		Sources []struct {
			Name    string `yaml:"name"`
			UID     string `yaml:"uid"`
			Type    string `yaml:"type"`
			Access  string `yaml:"access"`
			URL     string `yaml:"url"`
			Default bool   `yaml:"isDefault"`
		} `yaml:"datasources"`
	}
	text, err := os.ReadFile(mounted(t, s, "/etc/grafana/provisioning/datasources/prometheus.yml"))
	require.NoError(t, err)
	strict(string(text), &sources)
	require.Equal(t, 1, sources.Version)
	require.Len(t, sources.Sources, 1)
	source := sources.Sources[0]
	require.True(t, source.Default)
	require.Equal(t, "http://prometheus:9090", source.URL)
	require.Contains(t, p.Services, "prometheus")
	require.Equal(t, "9090", asText(p.Services["prometheus"].Ports[0].Target))

	var dashboards struct {
		Version   int `yaml:"apiVersion"`
		Providers []struct {
			Name    string            `yaml:"name"`
			Type    string            `yaml:"type"`
			Options map[string]string `yaml:"options"`
		} `yaml:"providers"`
	}
	text, err = os.ReadFile(mounted(t, s, "/etc/grafana/provisioning/dashboards/tallywire.yml"))
	require.NoError(t, err)
	strict(string(text), &dashboards)
	require.Equal(t, 1, dashboards.Version)
	require.Len(t, dashboards.Providers, 1)
	require.Equal(t, "file", dashboards.Providers[0].Type)
	file := dashboards.Providers[0].Options["path"] + "/tallywire.json"
	require.Equal(t, file, *s.Environment["GF_DASHBOARDS_DEFAULT_HOME_DASHBOARD_PATH"])

	text, err = os.ReadFile(mounted(t, s, file))
	require.NoError(t, err)
	usesSource(t, text, source.Type, source.UID)
}

// usesSource: every panel of a dashboard asks a source that exists: by its uid, or by a variable that offers those
// of its type.
func usesSource(t *testing.T, dashboard []byte, kind, uid string) {
	t.Helper()
	var d struct {
		Templating struct {
			List []struct{ Name, Type, Query any }
		}
		Panels []struct {
			Title, Type string
			Datasource  *struct{ Type, UID string }
			Targets     []struct{ Datasource *struct{ Type, UID string } }
		}
	}
	require.NoError(t, json.Unmarshal(dashboard, &d))
	known := map[string]bool{uid: true}
	for _, v := range d.Templating.List {
		if v.Type == "datasource" && v.Query == kind {
			known["${"+asText(v.Name)+"}"] = true
		}
	}
	asked := 0
	for _, p := range d.Panels {
		if p.Datasource == nil {
			require.Contains(t, []string{"row", "text"}, p.Type, p.Title)
			continue
		}
		asked++
		require.Equal(t, kind, p.Datasource.Type, p.Title)
		require.True(t, known[p.Datasource.UID], "%s: %s", p.Title, p.Datasource.UID)
		for _, target := range p.Targets {
			require.True(t, target.Datasource == nil || known[target.Datasource.UID], p.Title)
		}
	}
	require.Positive(t, asked)
}

func asText(v any) string {
	text, _ := json.Marshal(v) //nolint:errchkjson // of names and numbers
	return strings.Trim(string(text), `"`)
}
