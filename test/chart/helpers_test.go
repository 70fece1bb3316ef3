package chart_test

import (
	"testing"

	"github.com/stretchr/testify/require"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"sigs.k8s.io/yaml"
)

// at returns the mapping at a path.
func at(t *testing.T, object map[string]any, path ...string) map[string]any {
	t.Helper()
	m, found, err := unstructured.NestedMap(object, path...)
	require.NoError(t, err)
	require.True(t, found, "there is no %v", path)
	return m
}

// asText is a value as YAML.
func asText(t *testing.T, v any) string {
	t.Helper()
	text, err := yaml.Marshal(v)
	require.NoError(t, err)
	return string(text)
}
