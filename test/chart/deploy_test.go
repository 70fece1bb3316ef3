package chart_test

import (
	"context"
	"testing"

	"github.com/stretchr/testify/require"
	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/client-go/dynamic"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"

	chart "github.com/tallywire/tallywire/test/chart"
)

// TestGrace: a pod is never killed before it can have drained.
func TestGrace(t *testing.T) {
	for text, want := range map[string]int64{
		"{}":                                   5 + 5 + 60 + 15,
		"{drain: {windowSeconds: 120}}":        5 + 5 + 120 + 15,
		"{drain: {preStopSeconds: 0}}":         0 + 5 + 60 + 15,
		"{terminationGracePeriodSeconds: 85}":  85,
		"{terminationGracePeriodSeconds: 300}": 300,
	} {
		d := deployment(t, renderText(t, text))
		require.Equal(t, want, *d.Spec.Template.Spec.TerminationGracePeriodSeconds, text)
	}
	_, err := chart.Render(load(t), chart.Release{}, over(values(t, minimal), values(t, "{terminationGracePeriodSeconds: 84}")))
	require.ErrorContains(t, err, "terminationGracePeriodSeconds: must be at least 85")
}

// TestDrain: what the gateway is told and what the cluster is told are the same numbers.
func TestDrain(t *testing.T) {
	r := renderText(t, "{drain: {preStopSeconds: 7, waitSeconds: 3, windowSeconds: 90, slackSeconds: 20}}")
	d := deployment(t, r)
	c := d.Spec.Template.Spec.Containers[0]
	require.Equal(t, &corev1.LifecycleHandler{Sleep: &corev1.SleepAction{Seconds: 7}}, c.Lifecycle.PreStop, "without a shell")
	require.Equal(t, "3s", settings(t, r)["drain-wait"])
	require.Equal(t, "90s", settings(t, r)["drain-window"])
	require.EqualValues(t, 90, d.Spec.MinReadySeconds, "the clients of one pod have moved before the next pod ends")
	require.EqualValues(t, 120, *d.Spec.Template.Spec.TerminationGracePeriodSeconds)
	require.Nil(t, deployment(t, renderText(t, "{drain: {preStopSeconds: 0}}")).Spec.Template.Spec.Containers[0].Lifecycle)
}

// TestRollout: one more pod, never one less, and patience enough for the slowest step.
func TestRollout(t *testing.T) {
	d := deployment(t, renderText(t, "{}"))
	require.Equal(t, appsv1.RollingUpdateDeploymentStrategyType, d.Spec.Strategy.Type)
	require.Equal(t, 1, d.Spec.Strategy.RollingUpdate.MaxSurge.IntValue())
	require.Equal(t, 0, d.Spec.Strategy.RollingUpdate.MaxUnavailable.IntValue())
	require.EqualValues(t, 600, *d.Spec.ProgressDeadlineSeconds)
	d = deployment(t, renderText(t, "{drain: {windowSeconds: 600}}"))
	grace, start := int32(5+5+600+15), int32(2*60)
	require.Equal(t, grace+start+d.Spec.MinReadySeconds+60, *d.Spec.ProgressDeadlineSeconds)
	require.EqualValues(t, 5, deployment(t, renderText(t, "{minReadySeconds: 5}")).Spec.MinReadySeconds)
}

// TestNewSettingsReplacePods: a change of settings or event types does, one of the chart alone does not.
func TestNewSettingsReplacePods(t *testing.T) {
	template := func(text string) corev1.PodTemplateSpec { return deployment(t, renderText(t, text)).Spec.Template }
	base := template("{}")
	require.NotEqual(t, base, template("{gateway: {logLevel: debug}}"))
	require.NotEqual(t, base, template("{ingress: {enabled: true, hosts: [a.example.com]}}"), "another name to answer to")
	require.NotEqual(t, template("{schemas: {files: {a.b.json: {type: object}}}}"), template("{schemas: {files: {a.b.json: {type: string}}}}"))
	require.Equal(t, base, template("{replicas: 5, service: {type: NodePort}, metrics: {podMonitor: {enabled: true}}}"))

	newer := load(t)
	newer.Metadata.Version = "9.9.9"
	r, err := chart.Render(newer, chart.Release{}, values(t, minimal))
	require.NoError(t, err)
	require.Equal(t, base, deployment(t, r).Spec.Template)
}

func TestMemoryLimit(t *testing.T) {
	for limit, want := range map[string]string{
		"512Mi": "435MiB", "1Gi": "870MiB", "1.5Gi": "1305MiB", "500M": "405MiB", "2G": "1621MiB", "536870912": "435MiB", "1Ti": "891289MiB",
	} {
		c := deployment(t, renderText(t, "{resources: {limits: {memory: "+limit+"}}}")).Spec.Template.Spec.Containers[0]
		require.Equal(t, want, variable(c, "GOMEMLIMIT"), limit)
	}
	c := deployment(t, renderText(t, "{goMemLimitPercent: 50}")).Spec.Template.Spec.Containers[0]
	require.Equal(t, "256MiB", variable(c, "GOMEMLIMIT"))
	c = deployment(t, renderText(t, "{resources: {limits: {memory: null}}}")).Spec.Template.Spec.Containers[0]
	require.Empty(t, variable(c, "GOMEMLIMIT"))
	require.Empty(t, variable(c, "GOMAXPROCS"), "Go looks at the limit itself, and again when it changes")
}

func variable(c corev1.Container, name string) string {
	for _, e := range c.Env {
		if e.Name == name {
			return e.Value
		}
	}
	return ""
}

// TestReplicasOfAScaler: the number that an upgrade writes is that which runs.
func TestReplicasOfAScaler(t *testing.T) {
	const scaled = "{autoscaling: {enabled: true, minReplicas: 3}}"
	replicas := func(release chart.Release, text string) *int32 {
		r, err := chart.Render(load(t), release, over(values(t, minimal), values(t, text)))
		require.NoError(t, err)
		return deployment(t, r).Spec.Replicas
	}
	require.EqualValues(t, 3, *replicas(chart.Release{}, scaled), "an installation begins with the fewest")
	running := chart.Release{Upgrade: true, Cluster: cluster{replicas: 7}}
	require.EqualValues(t, 7, *replicas(running, scaled))
	require.EqualValues(t, 3, *replicas(chart.Release{Upgrade: true, Cluster: cluster{replicas: 1}}, scaled))
	require.EqualValues(t, 3, *replicas(chart.Release{Upgrade: true, Cluster: cluster{}}, scaled), "nothing runs")
	require.Nil(t, replicas(running, "{autoscaling: {enabled: true, seedReplicas: false}}"))
	require.EqualValues(t, 4, *replicas(running, "{replicas: 4}"), "without a scaler the values decide")
}

// cluster is one that knows a Deployment, where replicas is not 0.
type cluster struct {
	dynamic.NamespaceableResourceInterface
	replicas int64
}

func (c cluster) GetClientFor(string, string) (dynamic.NamespaceableResourceInterface, bool, error) {
	return c, true, nil
}

func (c cluster) Namespace(string) dynamic.ResourceInterface { return c }

func (c cluster) Get(_ context.Context, name string, _ metav1.GetOptions, _ ...string) (*unstructured.Unstructured, error) {
	if c.replicas == 0 || name != "tallywire" {
		return nil, apierrors.NewNotFound(schema.GroupResource{Group: "apps", Resource: "deployments"}, name)
	}
	return &unstructured.Unstructured{Object: map[string]any{"spec": map[string]any{"replicas": c.replicas}}}, nil
}
