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
	const hpa = "autoscaling: {enabled: true, "
	for text, says := range map[string]string{
		// What the schema says.
		"{replica: 3}":                                         "'replica' not allowed",
		"{replicas: -1}":                                       "/replicas': minimum",
		"{replicas: '2'}":                                      "/replicas': got string, want integer",
		"{image: {pullPolicy: Sometimes}}":                     "/image/pullPolicy'",
		"{image: {digest: sha256:12}}":                         "/image/digest'",
		"{fullnameOverride: 1st}":                              "/fullnameOverride'",
		"{gateway: {logLevel: trace}}":                         "/gateway/logLevel'",
		"{gateway: {maxConnectionAge: 4}}":                     "/gateway/maxConnectionAge'",
		"{gateway: {maxConnectionAge: 4d}}":                    "/gateway/maxConnectionAge'",
		"{gateway: {allowedHosts: ['https://a.example']}}":     "/gateway/allowedHosts/0'",
		"{gateway: {config: {pings: 5s}}}":                     "'pings' not allowed",
		"{gateway: {config: {ping: 5}}}":                       "/gateway/config/ping'",
		"{gateway: {config: {listen: ':1'}}}":                  "'listen' not allowed",
		"{gateway: {namespaces: {jobs: {maxlne: 5}}}}":         "/gateway/namespaces/jobs': additional properties 'maxlne' not allowed",
		"{gateway: {namespaces: {jobs: {delivery: some}}}}":    "/gateway/namespaces/jobs/delivery'",
		"{gateway: {namespaces: {'a b': {}}}}":                 "/gateway/namespaces': additional properties 'a b' not allowed",
		"{auth: {secret: hunter2}}":                            "'secret' not allowed",
		"{auth: {jwksURL: 'login.example.com'}}":               "/auth/jwksURL'",
		"{auth: {jwksURL: 'https://u:p@login.example.com/x'}}": "/auth/jwksURL'",
		"{redis: {password: hunter2}}":                         "'password' not allowed",
		"{redis: {hosts: [redis]}}":                            "/redis/hosts/0'",
		"{redis: {hosts: ['redis://a:6379']}}":                 "/redis/hosts/0'",
		"{redis: {mode: ring}}":                                "/redis/mode'",
		"{redis: {username: 'a:b'}}":                           "/redis/username'",
		"{redis: {prefix: 'a b'}}":                             "/redis/prefix'",
		"{schemas: {files: {order.yaml: {}}}}":                 "/schemas/files': additional properties",
		"{schemas: {files: {.hidden.json: {}}}}":               "/schemas/files': additional properties",
		"{drain: {windowSeconds: 1}}":                          "/drain/windowSeconds': minimum",
		"{drain: {slackSeconds: 1}}":                           "/drain/slackSeconds': minimum",
		"{terminationGracePeriodSeconds: 10}":                  "/terminationGracePeriodSeconds': minimum",
		"{service: {type: ExternalName}}":                      "/service/type'",
		"{service: {annotations: {a: 5}}}":                     "/service/annotations/a': got number, want string",
		"{admin: {type: LoadBalancer}}":                        "'type' not allowed",
		"{ingress: {paths: []}}":                               "/ingress/paths': minItems",
		"{ingress: {hosts: ['https://a.example.com']}}":        "/ingress/hosts/0'",
		"{httpRoute: {timeouts: {request: none}}}":             "/httpRoute/timeouts/request'",
		"{" + hpa + "engine: cron}}":                           "/autoscaling/engine'",
		"{" + hpa + "minReplicas: 0}}":                         "/autoscaling/minReplicas': minimum",
		"{podDisruptionBudget: {maxUnavailable: 0}}":           "/podDisruptionBudget/maxUnavailable': minimum",
		"{podDisruptionBudget: {enabled: 'yes'}}":              "/podDisruptionBudget/enabled'",
		"{networkPolicy: {redisPorts: [70000]}}":               "/networkPolicy/redisPorts/0': maximum",
		"{metrics: {prometheusRule: {disabled: [NoGateway]}}}": "/metrics/prometheusRule/disabled/0'",
		"{resources: {limits: {memory: 512MB}}}":               "/resources/limits/memory'",
		"{commonLabels: {a: true}}":                            "/commonLabels/a': got boolean, want string",
		"{goMemLimitPercent: 120}":                             "/goMemLimitPercent': maximum",

		// What takes several values together.
		"{auth: {existingSecret: ''}}":                                              "auth.existingSecret: no key",
		"{auth: {insecure: true}}":                                                  "auth.insecure: excludes",
		"{auth: {publicKeys: {existingConfigMap: a}}}":                              "auth.publicKeys.keys: name",
		"{redis: {hosts: []}}":                                                      "redis.hosts: no Redis",
		"{redis: {hosts: ['a:1', 'b:1']}}":                                          "redis.hosts: several hosts",
		"{redis: {mode: sentinel}}":                                                 "redis.master: the name",
		"{redis: {master: a}}":                                                      "redis.mode: is standalone, and redis.master",
		"{redis: {mode: cluster, database: 2}}":                                     "redis.database: a cluster",
		"{redis: {username: a}}":                                                    "redis.passwordSecret: a user",
		"{redis: {existingSecret: a}}":                                              "redis.hosts: excludes",
		"{redis: {dev: {enabled: true}}}":                                           "redis.dev.enabled: excludes",
		"{drain: {windowSeconds: 300}, terminationGracePeriodSeconds: 120}":         "terminationGracePeriodSeconds: must be at least 325",
		"{minReadySeconds: 90, progressDeadlineSeconds: 90}":                        "progressDeadlineSeconds: must be more than minReadySeconds, 90",
		"{" + hpa + "minReplicas: 5, maxReplicas: 4}}":                              "autoscaling.maxReplicas: must be at least",
		"{" + hpa + "targetConnections: 0, targetCPU: 0}}":                          "autoscaling.targetConnections: is 0",
		"{" + hpa + "targetConnections: 10000}}":                                    "autoscaling.targetConnections: must be less than gateway.maxConnections",
		"{" + hpa + "engine: keda}}":                                                "autoscaling.keda.serverAddress: the URL",
		"{metrics: {podMonitor: {enabled: true}, serviceMonitor: {enabled: true}}}": "metrics.serviceMonitor.enabled: excludes",
		"{metrics: {prometheusRule: {enabled: true, disabled: [TallywireNone]}}}":   "metrics.prometheusRule.disabled: there is no alert TallywireNone",
		"{schemas: {existingConfigMap: a, files: {a.b.json: {}}}}":                  "schemas.existingConfigMap: excludes",
		"{caCertificates: {existingConfigMap: a, existingSecret: b}}":               "caCertificates.existingSecret: excludes",
		"{ingress: {enabled: true}}":                                                "ingress.hosts: name at least one",
		"{httpRoute: {enabled: true, hostnames: [a.example]}}":                      "httpRoute.parentRefs: name",
		"{httpRoute: {enabled: true, parentRefs: [{name: a}]}}":                     "httpRoute.hostnames: name",
		"{extraEnv: [{name: TALLYWIRE_AUTH_SECRET, value: hunter2}]}":               "extraEnv: sets TALLYWIRE_AUTH_SECRET",
	} {
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
