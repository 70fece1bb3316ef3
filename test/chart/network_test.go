package chart_test

import (
	"slices"
	"testing"

	"github.com/stretchr/testify/require"
	corev1 "k8s.io/api/core/v1"
	networkingv1 "k8s.io/api/networking/v1"
	"sigs.k8s.io/yaml"

	chart "github.com/tallywire/tallywire/test/chart"
)

// TestWaysInLeadToTheService, by ports that it has.
func TestWaysInLeadToTheService(t *testing.T) {
	r := render(t, "sentinel")
	service := as[corev1.Service](t, find(t, r, "Service", "tallywire"))
	ingress := as[networkingv1.Ingress](t, find(t, r, "Ingress", "tallywire"))
	require.Len(t, ingress.Spec.Rules, 2)
	for _, rule := range ingress.Spec.Rules {
		for _, path := range rule.HTTP.Paths {
			require.Equal(t, "/v1", path.Path, "health and the demonstration are nobody's affair outside")
			require.Equal(t, service.Name, path.Backend.Service.Name)
			require.Equal(t, service.Spec.Ports[0].Name, path.Backend.Service.Port.Name)
		}
	}
	for text, port := range map[string]int32{
		"{}":                             443,
		"{service: {port: 8443}}":        8443,
		"{tls: {existingSecret: ''}}":    80,
		"{httpRoute: {paths: [/a, /b]}}": 443,
	} {
		r, err := chart.Render(load(t), chart.Release{}, over(example(t, "gateway"), values(t, text)))
		require.NoError(t, err)
		service := as[corev1.Service](t, find(t, r, "Service", "tallywire"))
		require.Equal(t, port, service.Spec.Ports[0].Port, text)
		var route struct {
			Spec struct {
				Rules []struct {
					Matches     []any     `json:"matches"`
					BackendRefs []backend `json:"backendRefs"`
				} `json:"rules"`
			} `json:"spec"`
		}
		require.NoError(t, yaml.Unmarshal([]byte(r.Manifests["httproute.yaml"]), &route))
		require.Equal(t, []backend{{"tallywire", port}}, route.Spec.Rules[0].BackendRefs, text)
	}
}

// TestTimeoutsOfARoute are there only where they are set: GKE refuses a route that has any.
func TestTimeoutsOfARoute(t *testing.T) {
	v := example(t, "gateway")
	r, err := chart.Render(load(t), chart.Release{}, v)
	require.NoError(t, err)
	require.Contains(t, r.Manifests["httproute.yaml"], "timeouts:\n        request: 0s")
	delete(v["httpRoute"].(map[string]any), "timeouts")
	r, err = chart.Render(load(t), chart.Release{}, v)
	require.NoError(t, err)
	require.NotContains(t, r.Manifests["httproute.yaml"], "timeouts")
}

type backend struct {
	Name string `json:"name"`
	Port int32  `json:"port"`
}

// policy is the gateways' NetworkPolicy.
func policy(t *testing.T, r *chart.Rendered) networkingv1.NetworkPolicySpec {
	t.Helper()
	return as[networkingv1.NetworkPolicy](t, find(t, r, "NetworkPolicy", "tallywire")).Spec
}

// TestNetworkPolicy: clients reach one port, Prometheus the other; the gateways reach what they need.
func TestNetworkPolicy(t *testing.T) {
	p := policy(t, renderText(t, "{}"))
	require.Len(t, p.Ingress, 2)
	require.Equal(t, 8080, p.Ingress[0].Ports[0].Port.IntValue())
	require.Empty(t, p.Ingress[0].From, "clients come from anywhere")
	require.Equal(t, 9090, p.Ingress[1].Ports[0].Port.IntValue())
	require.Len(t, p.Ingress[1].From, 2, "an empty list would be everybody")
	require.Len(t, policy(t, renderText(t, "{networkPolicy: {adminFrom: []}}")).Ingress[1].From, 1)
	clients := policy(t, render(t, "gateway")).Ingress[0].From
	require.Len(t, clients, 2, "those that are named, and helm test")

	for text, want := range map[string][]int{
		"{}":                                 {53, 53, 6379},
		"{redis: {hosts: ['redis:6380']}}":   {53, 53, 6379, 6380},
		"{networkPolicy: {redisPorts: [7]}}": {53, 53, 7},
		"{redis: {mode: sentinel, master: m, hosts: ['a:26380', 'b:26380']}}":                              {53, 53, 6379, 26380, 26379},
		"{auth: {jwksURL: 'https://a.example/keys'}}":                                                      {53, 53, 6379, 443},
		"{auth: {jwksURL: 'http://a.example/keys'}}":                                                       {53, 53, 6379, 80},
		"{auth: {jwksURL: 'https://a.example:8443/keys'}, tracing: {otlpEndpoint: 'http://o.trace:4318'}}": {53, 53, 6379, 8443, 4318},
		"{networkPolicy: {extraEgress: [{ports: [{port: 9, protocol: TCP}]}]}}":                            {53, 53, 6379, 9},
	} {
		require.Equal(t, want, egress(policy(t, renderText(t, text))), text)
	}
	require.Equal(t, []int{53, 53, 6379}, egress(policy(t, render(t, "dev"))))
	require.NotContains(t, renderText(t, "{networkPolicy: {enabled: false}}").Manifests, "networkpolicy.yaml")
}

// egress are the ports that gateways may connect to.
func egress(p networkingv1.NetworkPolicySpec) (ports []int) {
	for _, rule := range p.Egress {
		for _, port := range rule.Ports {
			ports = append(ports, port.Port.IntValue())
		}
	}
	return ports
}

// TestDevRedisIsReachable by the gateways, where they look for it, and by nobody else.
func TestDevRedisIsReachable(t *testing.T) {
	r := render(t, "dev")
	require.Equal(t, "redis://tallywire-redis-dev:6379", variable(deployment(t, r).Spec.Template.Spec.Containers[0], "TALLYWIRE_REDIS"))
	service := as[corev1.Service](t, find(t, r, "Service", "tallywire-redis-dev"))
	require.EqualValues(t, 6379, service.Spec.Ports[0].Port)
	p := as[networkingv1.NetworkPolicy](t, find(t, r, "NetworkPolicy", "tallywire-redis-dev")).Spec
	require.Len(t, p.Ingress, 1)
	gateway := pods(t, r)["tallywire"].Labels
	for key, value := range p.Ingress[0].From[0].PodSelector.MatchLabels {
		require.Equal(t, value, gateway[key])
	}
	require.Empty(t, p.Egress)
	require.Contains(t, p.PolicyTypes, networkingv1.PolicyTypeEgress)
	require.Contains(t, r.Notes, "WARNING: redis.dev.enabled")
	require.Contains(t, r.Notes, "WARNING: auth.insecure")
}

// TestScalersExclude: there is one scaler or the other, or none; and a budget where there is more than one pod.
func TestScalersExclude(t *testing.T) {
	kinds := func(text string) (found []string) {
		for _, o := range objects(t, renderText(t, text)) {
			switch o.GetKind() {
			case "HorizontalPodAutoscaler", "ScaledObject", "PodDisruptionBudget":
				found = append(found, o.GetKind())
			}
		}
		slices.Sort(found)
		return found
	}
	const budget, hpa, keda = "PodDisruptionBudget", "HorizontalPodAutoscaler", "ScaledObject"
	require.Equal(t, []string{budget}, kinds("{}"))
	require.Empty(t, kinds("{replicas: 1}"))
	require.Equal(t, []string{budget}, kinds("{replicas: 1, podDisruptionBudget: {enabled: true}}"))
	require.Empty(t, kinds("{podDisruptionBudget: {enabled: false}}"))
	require.Equal(t, []string{hpa, budget}, kinds("{autoscaling: {enabled: true}}"))
	require.Equal(t, []string{hpa}, kinds("{replicas: 5, autoscaling: {enabled: true, minReplicas: 1}}"))
	require.Equal(t, []string{budget, keda}, kinds("{autoscaling: {enabled: true, engine: keda, keda: {serverAddress: 'http://p:9090'}}}"))
}
