package chart_test

import (
	"io"
	"strings"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"
	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"
	"sigs.k8s.io/yaml"

	"github.com/yannh/kubeconform/pkg/validator"

	chart "github.com/tallywire/tallywire/test/chart"
)

// schemas compiles each schema once.
var schemas = sync.OnceValues(func() (validator.Validator, error) {
	return validator.New([]string{"schemas/{{.ResourceKind}}{{.KindSuffix}}.json"}, validator.Opts{Strict: true})
})

// problems holds manifests against the schemas and returns what is wrong, by object.
func problems(t *testing.T, manifests string) []string {
	t.Helper()
	v, err := schemas()
	require.NoError(t, err)
	var found []string
	objects := 0
	for _, r := range v.Validate("chart", io.NopCloser(strings.NewReader(manifests))) {
		switch r.Status {
		case validator.Valid:
			objects++
		case validator.Empty:
		case validator.Invalid, validator.Error, validator.Skipped:
			signature, _ := r.Resource.Signature()
			found = append(found, signature.QualifiedName()+": "+r.Err.Error())
		}
	}
	require.Positive(t, objects+len(found), "there is nothing to look at")
	return found
}

// objects reads manifests as a cluster does.
func objects(t *testing.T, r *chart.Rendered) []*unstructured.Unstructured {
	t.Helper()
	var out []*unstructured.Unstructured
	for file, text := range r.Manifests {
		for document := range strings.SplitSeq("\n"+text, "\n---") {
			content := map[string]any{}
			require.NoError(t, yaml.UnmarshalStrict([]byte(document), &content), file)
			if len(content) > 0 {
				out = append(out, &unstructured.Unstructured{Object: content})
			}
		}
	}
	return out
}

// find returns an object by its kind and name.
func find(t *testing.T, r *chart.Rendered, kind, name string) *unstructured.Unstructured {
	t.Helper()
	for _, o := range objects(t, r) {
		if o.GetKind() == kind && o.GetName() == name {
			return o
		}
	}
	require.Failf(t, "object missing", "%s %s", kind, name)
	return nil
}

// as turns an object into the type of its kind; a field that the type lacks is an error.
func as[T any](t *testing.T, o *unstructured.Unstructured) *T {
	t.Helper()
	out := new(T)
	require.NoError(t, runtime.DefaultUnstructuredConverter.FromUnstructuredWithValidation(o.Object, out, true))
	return out
}

// deployment is the gateways'.
func deployment(t *testing.T, r *chart.Rendered) *appsv1.Deployment {
	t.Helper()
	return as[appsv1.Deployment](t, find(t, r, "Deployment", "tallywire"))
}

// pods are the templates of all pods, by the name of what they belong to.
func pods(t *testing.T, r *chart.Rendered) map[string]corev1.PodTemplateSpec {
	t.Helper()
	out := map[string]corev1.PodTemplateSpec{}
	for _, o := range objects(t, r) {
		switch o.GetKind() {
		case "Deployment":
			out[o.GetName()] = as[appsv1.Deployment](t, o).Spec.Template
		case "Pod":
			p := as[corev1.Pod](t, o)
			out[o.GetName()] = corev1.PodTemplateSpec{ObjectMeta: p.ObjectMeta, Spec: p.Spec}
		}
	}
	return out
}

// settings are the gateways' tallywire.yaml.
func settings(t *testing.T, r *chart.Rendered) map[string]any {
	t.Helper()
	text := as[corev1.ConfigMap](t, find(t, r, "ConfigMap", "tallywire-config")).Data["tallywire.yaml"]
	return values(t, text)
}
