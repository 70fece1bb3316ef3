package chart_test

import (
	"go/ast"
	"go/parser"
	"go/token"
	"maps"
	"reflect"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	chart "github.com/tallywire/tallywire/test/chart"
)

var wordStart = regexp.MustCompile(`([a-z0-9])([A-Z])`)

// flags are the names of the settings of `tallywire serve`, from the source that declares them.
func flags(t *testing.T) []string {
	t.Helper()
	names := fields(t, "serve.go", "Serve")
	require.Contains(t, names, "drain-window")
	require.Contains(t, names, "auth-jwks")
	require.Contains(t, names, "redis-ca-file")
	return names
}

// fields are the names of the settings that a type of the program's has. Those of an embedded type XY are in xy.go,
// or in a file after its first word.
func fields(t *testing.T, path, name string) []string {
	t.Helper()
	file, err := parser.ParseFile(token.NewFileSet(), root+"/cmd/tallywire/internal/config/"+path, nil, 0)
	require.NoError(t, err)
	var names []string
	ast.Inspect(file, func(n ast.Node) bool {
		spec, isType := n.(*ast.TypeSpec)
		if !isType || spec.Name.Name != name {
			return true
		}
		for _, f := range spec.Type.(*ast.StructType).Fields.List {
			if embedded, is := f.Type.(*ast.Ident); is && len(f.Names) == 0 {
				first, _, _ := strings.Cut(wordStart.ReplaceAllString(embedded.Name, "$1-$2"), "-")
				names = append(names, fields(t, strings.ToLower(first)+".go", embedded.Name)...)
				continue
			}
			text, err := strconv.Unquote(f.Tag.Value)
			require.NoError(t, err)
			tag := reflect.StructTag(text)
			_, meta := tag.Lookup("meta")
			if meta || tag.Get("kong") == "-" {
				continue
			}
			name := tag.Get("name")
			if name == "" {
				name = strings.ToLower(wordStart.ReplaceAllString(f.Names[0].Name, "$1-$2"))
			}
			names = append(names, name)
		}
		return false
	})
	require.NotEmpty(t, names, "%s in %s", name, path)
	return names
}

// written are the settings that the templates write, in one example or another.
func written(t *testing.T) map[string]bool {
	t.Helper()
	out := map[string]bool{}
	for _, name := range []string{"dev", "sentinel", "gateway"} {
		for key := range settings(t, render(t, name)) {
			out[key] = true
		}
	}
	return out
}

// passed are the settings that gateway.config may hold.
func passed(t *testing.T) map[string]bool {
	t.Helper()
	out := map[string]bool{}
	valuesSchema(t, func(path []string, _ schemaNode) {
		if len(path) == 3 && path[0] == "gateway" && path[1] == "config" {
			out[path[2]] = true
		}
	})
	require.NotEmpty(t, out)
	return out
}

// TestEverySettingHasAValue: whoever adds a flag to `tallywire serve` adds it to the chart: to gateway.config
// in values.schema.json, or with a value of its own to templates/_settings.tpl.
func TestEverySettingHasAValue(t *testing.T) {
	elsewhere := map[string]string{
		"redis":       "in the environment: it may hold a password",
		"auth-secret": "in the environment, from a Secret",

		"redis-password":          "in the environment, from a Secret",
		"redis-sentinel-password": "in the environment, from a Secret",
		"demo":                    "not in a cluster",
		"demo-page":               "not in a cluster",
		"gateway-id":              "the pod's name and a random part, by default",
	}
	written, passed := written(t), passed(t)
	names := flags(t)
	for _, name := range names {
		_, known := elsewhere[name]
		require.True(t, known || written[name] || passed[name], "the chart cannot set %s", name)
	}
	for key := range passed {
		require.Contains(t, names, key, "gateway.config has a setting that there is not")
	}
	for key := range written {
		if key != "namespaces" {
			require.Contains(t, names, key, "the templates write a setting that there is not")
		}
	}
}

// TestOwnValuesWin: gateway.config cannot hold what has a value of its own.
func TestOwnValuesWin(t *testing.T) {
	own := slices.Collect(maps.Keys(written(t)))
	for key := range passed(t) {
		if key == "ping" || key == "max-subscriptions" { // from the example's gateway.config
			continue
		}
		require.NotContains(t, own, key)
	}
}

// TestAllowedHosts: gateways answer to every name under which the chart makes them reachable.
func TestAllowedHosts(t *testing.T) {
	r, err := chart.Render(load(t), chart.Release{Name: "on", Namespace: "rt"}, over(example(t, "gateway"),
		values(t, "{clusterDomain: c.example, ingress: {enabled: true, hosts: ['*.example.org']}, gateway: {allowedHosts: [old.example.com]}}")))
	require.NoError(t, err)
	hosts := values(t, strings.SplitN(r.Manifests["config.yaml"], "tallywire.yaml: |", 2)[1])["allowed-hosts"]
	require.Equal(t, []any{
		"old.example.com", "*.example.org", "realtime.example.com",
		"on-tallywire", "on-tallywire.rt", "on-tallywire.rt.svc", "on-tallywire.rt.svc.c.example",
		"on-tallywire-admin", "on-tallywire-admin.rt", "on-tallywire-admin.rt.svc", "on-tallywire-admin.rt.svc.c.example",
	}, hosts)
}

// TestSecretsStayInSecrets: no value of the chart takes a secret, so none is in a manifest.
func TestSecretsStayInSecrets(t *testing.T) {
	c := deployment(t, render(t, "sentinel")).Spec.Template.Spec.Containers[0]
	var order []string
	for _, e := range c.Env {
		order = append(order, e.Name)
		if strings.HasSuffix(e.Name, "_PASSWORD") || strings.HasSuffix(e.Name, "_SECRET") {
			require.NotNil(t, e.ValueFrom.SecretKeyRef, e.Name)
		}
	}
	require.Subset(t, order, []string{"TALLYWIRE_REDIS_PASSWORD", "TALLYWIRE_REDIS_SENTINEL_PASSWORD"})
	require.Equal(t, "redis-sentinel://sentinel-0.redis.svc:26379,sentinel-1.redis.svc:26379,sentinel-2.redis.svc:26379/events?tls=true",
		variable(c, "TALLYWIRE_REDIS"))
	written := settings(t, render(t, "sentinel"))
	require.Equal(t, "gateway", written["redis-username"])
	require.Equal(t, "watcher", written["redis-sentinel-username"])
}
