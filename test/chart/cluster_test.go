//go:build kubernetes

package chart_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"testing"

	"github.com/stretchr/testify/require"
	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	policyv1 "k8s.io/api/policy/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"

	chart "github.com/tallywire/tallywire/test/chart"
)

// TestClusterTakesEverything: a real API server takes what every example and variant renders to, under every name,
// in a namespace of the restricted standard, and warns of nothing.
func TestClusterTakesEverything(t *testing.T) {
	c := startControlPlane(t)
	c.define()
	c.namespace("123") // of the matrix
	priority := &unstructured.Unstructured{Object: map[string]any{"apiVersion": "scheduling.k8s.io/v1", "kind": "PriorityClass", "value": int64(1000)}}
	priority.SetName("high")
	c.apply(priority, "")
	for _, name := range []string{"default", "shared"} { // the first is there where controllers run
		account := &unstructured.Unstructured{Object: map[string]any{"apiVersion": "v1", "kind": "ServiceAccount"}}
		account.SetName(name)
		c.apply(account, "123")
	}
	taken := 0
	matrix(t, func(t *testing.T, r *chart.Rendered) {
		t.Helper()
		list := objects(t, r)
		for _, o := range list {
			if o.GetKind() != "ServiceAccount" {
				continue
			}
			require.NoError(t, c.tryApply(o, "123", false)) // pods are refused without theirs
		}
		for _, o := range list {
			require.NoError(t, c.tryApply(o, "123", true))
			require.Empty(t, c.warnings.take(), "%s %s", o.GetKind(), o.GetName())
			taken++
		}
	})
	t.Logf("%d objects were taken", taken)
}

// node is a machine for kwok to play.
func node(name, zone string) *unstructured.Unstructured {
	resources := map[string]any{"cpu": "32", "memory": "256Gi", "pods": "110"}
	n := &unstructured.Unstructured{Object: map[string]any{
		"apiVersion": "v1", "kind": "Node", "status": map[string]any{"allocatable": resources, "capacity": resources},
	}}
	n.SetName(name)
	n.SetLabels(map[string]string{corev1.LabelHostname: name, corev1.LabelTopologyZone: zone, corev1.LabelOSStable: "linux", corev1.LabelArchStable: "amd64"})
	return n
}

// TestClusterRollsTheChartOut: installed, upgraded and evicted from, the Deployment never has fewer pods than it
// should, spread over the zones, and the budget lets one go at a time.
func TestClusterRollsTheChartOut(t *testing.T) {
	const namespace, replicas = "realtime", 3
	c := startControlPlane(t, node("a1", "a"), node("a2", "a"), node("b1", "b"), node("b2", "b"), node("c1", "c"))
	c.namespace(namespace)
	install := func(tag string) {
		t.Helper()
		v := over(values(t, minimal), values(t, fmt.Sprintf("{replicas: %d, minReadySeconds: 1, image: {tag: %q}, drain: {windowSeconds: 5}}", replicas, tag)))
		r, err := chart.Render(load(t), chart.Release{Namespace: namespace}, v)
		require.NoError(t, err)
		for _, o := range objects(t, r) {
			if o.GetKind() != "Pod" { // the test, which Helm runs on demand
				c.apply(o, namespace)
			}
		}
		require.Empty(t, c.warnings.take())
	}
	deployment := func(ctx context.Context) (*appsv1.Deployment, error) {
		return c.client.AppsV1().Deployments(namespace).Get(ctx, "tallywire", metav1.GetOptions{})
	}
	settled := func() {
		t.Helper()
		c.until("the Deployment", func(ctx context.Context) error {
			d, err := deployment(ctx)
			if err != nil {
				return err
			}
			s := d.Status
			if s.ObservedGeneration < d.Generation || s.UpdatedReplicas != replicas || s.Replicas != replicas || s.AvailableReplicas != replicas {
				return fmt.Errorf("%+v", s)
			}
			return nil
		})
	}
	install("1.0.0")
	settled()
	pods := func() []corev1.Pod {
		t.Helper()
		list, err := c.client.CoreV1().Pods(namespace).List(t.Context(), metav1.ListOptions{})
		require.NoError(t, err)
		return slices.DeleteFunc(list.Items, func(p corev1.Pod) bool { return p.DeletionTimestamp != nil })
	}
	zones := map[byte]bool{}
	for _, p := range pods() {
		zones[p.Spec.NodeName[0]] = true
	}
	require.Len(t, zones, replicas, "one in each zone")

	watch, err := c.client.AppsV1().Deployments(namespace).Watch(t.Context(), metav1.ListOptions{})
	require.NoError(t, err)
	fewest := int32(replicas)
	seen := make(chan struct{})
	go func() {
		defer close(seen)
		for e := range watch.ResultChan() {
			if d, ok := e.Object.(*appsv1.Deployment); ok {
				fewest = min(fewest, d.Status.AvailableReplicas)
			}
		}
	}()
	install("1.0.1")
	settled()
	watch.Stop()
	<-seen
	require.EqualValues(t, replicas, fewest, "at no time fewer")

	c.until("the budget", func(ctx context.Context) error {
		b, err := c.client.PolicyV1().PodDisruptionBudgets(namespace).Get(ctx, "tallywire", metav1.GetOptions{})
		if err == nil && b.Status.DisruptionsAllowed != 1 {
			err = fmt.Errorf("%+v", b.Status)
		}
		return err
	})
	var evicted []error
	for _, p := range pods() {
		require.Equal(t, "1.0.1", tagOf(p))
		evicted = append(evicted, c.client.PolicyV1().Evictions(namespace).Evict(t.Context(), &policyv1.Eviction{
			ObjectMeta: metav1.ObjectMeta{Name: p.Name, Namespace: namespace},
		}))
	}
	require.Len(t, evicted, replicas)
	require.NoError(t, evicted[0])
	for _, err := range evicted[1:] {
		require.True(t, apierrors.IsTooManyRequests(err), "%v", errors.Join(evicted...))
	}
	settled()
}

// tagOf returns the tag of the image that a pod runs.
func tagOf(p corev1.Pod) string {
	image := p.Spec.Containers[0].Image
	for i := len(image) - 1; i >= 0; i-- {
		if image[i] == ':' {
			return image[i+1:]
		}
	}
	return image
}
