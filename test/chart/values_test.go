package chart_test

import (
	"encoding/json"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	"sigs.k8s.io/yaml"

	chart "github.com/tallywire/tallywire/test/chart"
)

// TestWrongValues: each is refused, and the message begins with the key.
func TestWrongValues(t *testing.T) {
	var wrong map[string]string
	require.NoError(t, yaml.UnmarshalStrict([]byte(read(t, "testdata/wrong.yaml")), &wrong))
	for text, says := range wrong {
		t.Run(text, func(t *testing.T) {
			_, err := chart.Render(load(t), chart.Release{}, over(values(t, minimal), values(t, text)))
			require.ErrorContains(t, err, says)
			if strings.Contains(err.Error(), "do not fit together") {
				require.Equal(t, 1, strings.Count(err.Error(), "\n  - "), "nothing else is wrong: %v", err)
			}
		})
	}
}

// TestAllThatIsWrong is told at once.
func TestAllThatIsWrong(t *testing.T) {
	_, err := chart.Render(load(t), chart.Release{}, nil)
	require.ErrorContains(t, err, "\n  - auth.existingSecret: ")
	require.ErrorContains(t, err, "\n  - redis.hosts: ")
}

// schemaNode is as much of a JSON Schema as values.schema.json uses.
type schemaNode struct {
	Ref         string                `json:"$ref"`
	Type        any                   `json:"type"`
	Properties  map[string]schemaNode `json:"properties"`
	More        any                   `json:"additionalProperties"`
	Definitions map[string]schemaNode `json:"definitions"`
}

// valuesSchema calls f for each key of the schema, with its path.
func valuesSchema(t *testing.T, f func(path []string, s schemaNode)) {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(chartFolder, "values.schema.json"))
	require.NoError(t, err)
	var whole schemaNode
	require.NoError(t, json.Unmarshal(text, &whole))
	var walk func(path []string, s schemaNode)
	walk = func(path []string, s schemaNode) {
		if name, ok := strings.CutPrefix(s.Ref, "#/definitions/"); ok {
			s = whole.Definitions[name]
		}
		if len(path) > 0 {
			f(path, s)
		}
		for _, key := range slices.Sorted(maps.Keys(s.Properties)) {
			walk(append(slices.Clone(path), key), s.Properties[key])
		}
	}
	walk(nil, whole)
}

// TestEveryKeyIsChecked: for each key of the schema a value of the wrong type is refused, and so is an
// unknown key beside it; the message names either.
func TestEveryKeyIsChecked(t *testing.T) {
	c := load(t)
	keys := 0
	valuesSchema(t, func(path []string, _ schemaNode) {
		keys++
		wrong := any(3.5) // no key takes it
		_, err := chart.Render(c, chart.Release{}, over(values(t, minimal), nested(path, wrong)))
		require.ErrorContains(t, err, "at '/"+strings.Join(path, "/"), "%v", path)

		sibling := append(slices.Clone(path[:len(path)-1]), path[len(path)-1]+"x")
		if parent := strings.Join(path[:len(path)-1], "/"); !strings.HasSuffix(parent, "resources/limits") { // Kubernetes knows more kinds of resources
			_, err = chart.Render(c, chart.Release{}, over(values(t, minimal), nested(sibling, wrong)))
			require.ErrorContains(t, err, "'"+sibling[len(sibling)-1]+"' not allowed", "%v", sibling)
		}
	})
	require.Greater(t, keys, 150)
}

// nested puts a value at a path.
func nested(path []string, value any) map[string]any {
	if len(path) == 1 {
		return map[string]any{path[0]: value}
	}
	return map[string]any{path[0]: nested(path[1:], value)}
}

// TestValuesAndSchemaAgree: whatever can be set is in values.yaml, with a default, and the other way round.
func TestValuesAndSchemaAgree(t *testing.T) {
	text, err := os.ReadFile(filepath.Join(chartFolder, "values.yaml"))
	require.NoError(t, err)
	defaults := map[string]any{}
	require.NoError(t, yaml.UnmarshalStrict(text, &defaults))
	known := map[string]bool{}
	free := []string{"global", "gateway/config", "httpRoute/timeouts", "resources", "redis/dev/resources"} // their keys are optional
	valuesSchema(t, func(path []string, _ schemaNode) {
		key := strings.Join(path, "/")
		known[key] = true
		if !slices.ContainsFunc(free, func(f string) bool { return key == "global" || strings.HasPrefix(key, f+"/") }) {
			_, found := lookUp(defaults, path)
			require.True(t, found, "%s is in the schema and not in values.yaml", key)
		}
	})
	for _, key := range leaves("", defaults) {
		top, _, _ := strings.Cut(key, "/")
		if known[key] || top == "podSecurityContext" || top == "securityContext" || strings.Contains(key, "resources/") {
			continue
		}
		parent := key[:max(strings.LastIndexByte(key, '/'), 0)]
		require.True(t, known[parent], "%s is in values.yaml and not in the schema", key)
	}
}

func lookUp(m map[string]any, path []string) (any, bool) {
	v, found := m[path[0]]
	if len(path) == 1 || !found {
		return v, found
	}
	below, _ := v.(map[string]any)
	return lookUp(below, path[1:])
}

// leaves are the paths of all keys that are no mappings, or empty ones.
func leaves(prefix string, m map[string]any) (out []string) {
	for key, value := range m {
		if below, ok := value.(map[string]any); ok && len(below) > 0 {
			out = append(out, leaves(prefix+key+"/", below)...)
		} else {
			out = append(out, fmt.Sprint(prefix, key))
		}
	}
	return out
}
