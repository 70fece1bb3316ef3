// Command makeschemas writes the JSON Schemas in ../schemas, against which the rendered chart is checked:
// those of Kubernetes' own kinds from the OpenAPI description in its Go module, those of the custom kinds
// from the definitions in the modules of their projects. The modules are fetched by `go mod download`, at
// the versions below, and nothing is built. It is run by `go generate` in the folder above, when a version
// here or the list of kinds changes; tests use what is committed.
//
// The schemas are stricter than an API server, which drops what it does not know: an unknown field is an
// error, since a misspelt one would else go unnoticed. Descriptions, and rules in CEL, are left out.
//
// Main path: [main] → [kubernetes.write] and [custom.write].
package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
)

// cluster is what the chart is checked against.
var cluster = kubernetes{
	module: "k8s.io/kubernetes@v1.34.4",
	kinds: map[string]string{
		"configmap-v1":                           "io.k8s.api.core.v1.ConfigMap",
		"pod-v1":                                 "io.k8s.api.core.v1.Pod",
		"service-v1":                             "io.k8s.api.core.v1.Service",
		"serviceaccount-v1":                      "io.k8s.api.core.v1.ServiceAccount",
		"deployment-apps-v1":                     "io.k8s.api.apps.v1.Deployment",
		"horizontalpodautoscaler-autoscaling-v2": "io.k8s.api.autoscaling.v2.HorizontalPodAutoscaler",
		"ingress-networking-v1":                  "io.k8s.api.networking.v1.Ingress",
		"networkpolicy-networking-v1":            "io.k8s.api.networking.v1.NetworkPolicy",
		"poddisruptionbudget-policy-v1":          "io.k8s.api.policy.v1.PodDisruptionBudget",
	},
}

// customs are the kinds of other projects.
var customs = []custom{
	{"sigs.k8s.io/gateway-api@v1.6.3", "config/crd/standard/gateway.networking.k8s.io_httproutes.yaml", "v1", "httproute-gateway-v1"},
	{"github.com/kedacore/keda/v2@v2.20.2", "config/crd/bases/keda.sh_scaledobjects.yaml", "v1alpha1", "scaledobject-keda-v1alpha1"},
	{operator, operatorFolder + "monitoring.coreos.com_podmonitors.yaml", "v1", "podmonitor-monitoring-v1"},
	{operator, operatorFolder + "monitoring.coreos.com_servicemonitors.yaml", "v1", "servicemonitor-monitoring-v1"},
	{operator, operatorFolder + "monitoring.coreos.com_prometheusrules.yaml", "v1", "prometheusrule-monitoring-v1"},
}

const (
	operator       = "github.com/prometheus-operator/prometheus-operator@v0.85.0"
	operatorFolder = "example/prometheus-operator-crd/"
)

func main() {
	if err := run("schemas"); err != nil {
		fmt.Fprintln(os.Stderr, "makeschemas:", err)
		os.Exit(1)
	}
}

func run(folder string) error {
	if err := cluster.write(folder); err != nil {
		return err
	}
	for _, c := range customs {
		if err := c.write(folder); err != nil {
			return err
		}
	}
	return nil
}

// moduleFile reads a file of a module, which is downloaded if it must be.
func moduleFile(module, path string) ([]byte, error) {
	var stderr bytes.Buffer
	cmd := exec.Command("go", "mod", "download", "-json", module) //nolint:gosec,noctx // the modules are constants above; somebody waits at a terminal
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	if err != nil {
		return nil, fmt.Errorf("download %s: %w: %s%s", module, err, out, stderr.Bytes())
	}
	var m struct{ Dir string }
	if err := json.Unmarshal(out, &m); err != nil {
		return nil, fmt.Errorf("download %s: %w", module, err)
	}
	return os.ReadFile(filepath.Join(m.Dir, filepath.FromSlash(path)))
}

// write puts a schema into a file, one definition a line where it has any.
func write(folder, name string, schema any) error {
	var out bytes.Buffer
	encoder := json.NewEncoder(&out)
	encoder.SetEscapeHTML(false)
	if err := encoder.Encode(schema); err != nil {
		return fmt.Errorf("%s: %w", name, err)
	}
	return os.WriteFile(filepath.Join(folder, name+".json"), out.Bytes(), 0o644) //nolint:gosec // for everybody to read
}
