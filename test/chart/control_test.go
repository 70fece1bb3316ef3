//go:build kubernetes

package chart_test

import (
	"bytes"
	"context"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"encoding/json"
	"encoding/pem"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/dynamic"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/restmapper"
	"sigs.k8s.io/yaml"
)

// programsVariable names the folder of Kubernetes' programs and kwok's, which `make test-chart-real` builds.
const programsVariable = "TALLYWIRE_KUBERNETES"

const patience = 3 * time.Minute

// controlPlane is a real Kubernetes without machines: API server, controllers and scheduler over an etcd, and kwok
// in place of the kubelets.
type controlPlane struct {
	t        *testing.T
	folder   string
	client   kubernetes.Interface
	dynamic  dynamic.Interface
	mapper   meta.RESTMapper
	warnings *warnings
}

// warnings keeps what the API server warns of.
type warnings struct {
	mu   sync.Mutex // guards the following
	text []string
}

// HandleWarningHeader implements rest.WarningHandler.
func (w *warnings) HandleWarningHeader(_ int, _, text string) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.text = append(w.text, text)
}

// take returns what was warned of since the last time.
func (w *warnings) take() []string {
	w.mu.Lock()
	defer w.mu.Unlock()
	text := w.text
	w.text = nil
	return text
}

// output is what a program says, safe for concurrent use.
type output struct {
	mu sync.Mutex // guards the following
	b  bytes.Buffer
}

func (o *output) Write(p []byte) (int, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.b.Write(p)
}

func (o *output) tail() string {
	o.mu.Lock()
	defer o.mu.Unlock()
	b := o.b.Bytes()
	return string(b[max(0, len(b)-4000):])
}

// freePort returns a port of the loopback that nobody listens at.
func freePort(t *testing.T) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	defer func() { require.NoError(t, l.Close()) }()
	return strconv.Itoa(l.Addr().(*net.TCPAddr).Port) //nolint:forcetypeassert // it is one
}

// startControlPlane starts one for a test. With nodes it runs what is scheduled, as far as the API can tell.
func startControlPlane(t *testing.T, nodes ...*unstructured.Unstructured) *controlPlane {
	t.Helper()
	programs := os.Getenv(programsVariable)
	require.NotEmpty(t, programs, "run it by `make test-chart-real`, which builds the programs")
	c := &controlPlane{t: t, folder: t.TempDir(), warnings: &warnings{}}
	key, err := rsa.GenerateKey(rand.Reader, 2048)
	require.NoError(t, err)
	der := x509.MarshalPKCS1PrivateKey(key)
	keyFile := c.file("sa.key", string(pem.EncodeToMemory(&pem.Block{Type: "RSA PRIVATE KEY", Bytes: der})))
	const token = "of-the-test"
	tokens := c.file("tokens.csv", token+`,admin,1,"system:masters"`+"\n")

	etcd, peer, port := freePort(t), freePort(t), freePort(t)
	c.run("etcd", "--data-dir", filepath.Join(c.folder, "etcd"), "--unsafe-no-fsync", "--name", "one",
		"--listen-client-urls", "http://127.0.0.1:"+etcd, "--advertise-client-urls", "http://127.0.0.1:"+etcd,
		"--listen-peer-urls", "http://127.0.0.1:"+peer, "--initial-advertise-peer-urls", "http://127.0.0.1:"+peer,
		"--initial-cluster", "one=http://127.0.0.1:"+peer)
	c.run(filepath.Join(programs, "kube-apiserver"), "--etcd-servers", "http://127.0.0.1:"+etcd,
		"--bind-address", "127.0.0.1", "--secure-port", port, "--cert-dir", filepath.Join(c.folder, "certs"),
		"--service-account-key-file", keyFile, "--service-account-signing-key-file", keyFile,
		"--service-account-issuer", "https://kubernetes.default.svc", "--token-auth-file", tokens,
		"--authorization-mode", "RBAC", "--service-cluster-ip-range", "10.96.0.0/16")
	server := "https://127.0.0.1:" + port
	config := &rest.Config{
		Host: server, BearerToken: token, TLSClientConfig: rest.TLSClientConfig{Insecure: true},
		QPS: -1, WarningHandler: c.warnings,
	}
	c.client, err = kubernetes.NewForConfig(config)
	require.NoError(t, err)
	c.dynamic, err = dynamic.NewForConfig(config)
	require.NoError(t, err)
	c.until("the API server", func(ctx context.Context) error {
		return c.client.Discovery().RESTClient().Get().AbsPath("/readyz").Do(ctx).Error()
	})
	if len(nodes) > 0 {
		kubeconfig := c.file("kubeconfig", fmt.Sprintf(`{"apiVersion":"v1","kind":"Config","current-context":"it",
"clusters":[{"name":"it","cluster":{"server":%q,"insecure-skip-tls-verify":true}}],"users":[{"name":"it","user":{"token":%q}}],
"contexts":[{"name":"it","context":{"cluster":"it","user":"it"}}]}`, server, token))
		c.run(filepath.Join(programs, "kube-controller-manager"), "--kubeconfig", kubeconfig, "--secure-port", "0",
			"--service-account-private-key-file", keyFile, "--use-service-account-credentials=false", "--leader-elect=false")
		c.run(filepath.Join(programs, "kube-scheduler"), "--kubeconfig", kubeconfig, "--secure-port", "0", "--leader-elect=false")
		var stages bytes.Buffer
		for _, stage := range []string{"node/fast/node-initialize", "node/heartbeat-with-lease/node-heartbeat-with-lease", "pod/fast/pod-ready", "pod/fast/pod-delete"} {
			stages.Write(append(moduleFile(t, kwok, "kustomize/stage/"+stage+".yaml"), "\n---\n"...))
		}
		c.run(filepath.Join(programs, "kwok"), "--kubeconfig", kubeconfig, "--config", c.file("stages.yaml", stages.String()),
			"--manage-all-nodes", "--node-lease-duration-seconds", "40", "--server-address", "127.0.0.1:"+freePort(t))
	}
	c.learn()
	for _, node := range nodes {
		c.apply(node, "")
	}
	c.until("the nodes", func(ctx context.Context) error { // or the first to be ready would get every pod
		list, err := c.client.CoreV1().Nodes().List(ctx, metav1.ListOptions{})
		if err != nil {
			return err
		}
		for _, n := range list.Items {
			if len(n.Spec.Taints) > 0 || !slices.ContainsFunc(n.Status.Conditions, func(c corev1.NodeCondition) bool {
				return c.Type == corev1.NodeReady && c.Status == corev1.ConditionTrue
			}) {
				return fmt.Errorf("%s: %+v", n.Name, n.Spec.Taints)
			}
		}
		return nil
	})
	return c
}

func (c *controlPlane) file(name, text string) string {
	c.t.Helper()
	path := filepath.Join(c.folder, name)
	require.NoError(c.t, os.WriteFile(path, []byte(text), 0o600))
	return path
}

// run runs a program until the end of the test.
func (c *controlPlane) run(program string, args ...string) {
	c.t.Helper()
	said := &output{}
	cmd := exec.Command(program, args...) //nolint:gosec // the test names it, and kills it at the end
	cmd.Dir, cmd.Stdout, cmd.Stderr = c.folder, said, said
	require.NoError(c.t, cmd.Start(), "%s (Debian, Ubuntu: apt-get install etcd-server)", program)
	done := make(chan struct{})
	go func() { defer close(done); _ = cmd.Wait() }()
	c.t.Cleanup(func() {
		_ = cmd.Process.Kill()
		<-done
		if c.t.Failed() {
			c.t.Logf("%s:\n%s", filepath.Base(program), said.tail())
		}
	})
}

// until tries until there is no error.
func (c *controlPlane) until(what string, try func(ctx context.Context) error) {
	c.t.Helper()
	ctx, cancel := context.WithTimeout(c.t.Context(), patience)
	defer cancel()
	for {
		err := try(ctx)
		if err == nil {
			return
		}
		select {
		case <-time.After(100 * time.Millisecond):
		case <-ctx.Done():
			require.NoError(c.t, err, "waiting for %s", what)
		}
	}
}

// learn finds out which kinds there are.
func (c *controlPlane) learn() {
	c.t.Helper()
	groups, err := restmapper.GetAPIGroupResources(c.client.Discovery())
	require.NoError(c.t, err)
	c.mapper = restmapper.NewDiscoveryRESTMapper(groups)
}

// define installs the custom kinds that the chart may use, and waits until they are served.
func (c *controlPlane) define() {
	c.t.Helper()
	for _, d := range customs {
		raw := moduleFile(c.t, d.module, d.path)
		object := &unstructured.Unstructured{}
		require.NoError(c.t, yaml.Unmarshal(raw, &object.Object))
		c.apply(object, "")
	}
	c.until("the custom kinds", func(context.Context) error {
		c.learn()
		for _, gvk := range []schema.GroupVersionKind{
			{Group: "gateway.networking.k8s.io", Version: "v1", Kind: "HTTPRoute"},
			{Group: "keda.sh", Version: "v1alpha1", Kind: "ScaledObject"},
			{Group: "monitoring.coreos.com", Version: "v1", Kind: "PodMonitor"},
			{Group: "monitoring.coreos.com", Version: "v1", Kind: "ServiceMonitor"},
			{Group: "monitoring.coreos.com", Version: "v1", Kind: "PrometheusRule"},
		} {
			if _, err := c.mapper.RESTMapping(gvk.GroupKind(), gvk.Version); err != nil {
				return err
			}
		}
		return nil
	})
	c.warnings.take() // what other projects' definitions are warned of
}

// tryApply applies an object as Helm 4 does: on the server, which refuses what it does not know.
func (c *controlPlane) tryApply(object *unstructured.Unstructured, namespace string, dry bool) error {
	gvk := object.GroupVersionKind()
	mapping, err := c.mapper.RESTMapping(gvk.GroupKind(), gvk.Version)
	if err != nil {
		return err
	}
	raw, err := json.Marshal(object)
	if err != nil {
		return err
	}
	options := metav1.PatchOptions{FieldManager: "helm", FieldValidation: metav1.FieldValidationStrict}
	if dry {
		options.DryRun = []string{metav1.DryRunAll}
	}
	var of dynamic.ResourceInterface = c.dynamic.Resource(mapping.Resource)
	if mapping.Scope.Name() == meta.RESTScopeNameNamespace {
		of = c.dynamic.Resource(mapping.Resource).Namespace(namespace)
	}
	_, err = of.Patch(c.t.Context(), object.GetName(), types.ApplyPatchType, raw, options)
	if err != nil {
		return fmt.Errorf("%s %s: %w", gvk.Kind, object.GetName(), err)
	}
	return nil
}

func (c *controlPlane) apply(object *unstructured.Unstructured, namespace string) {
	c.t.Helper()
	require.NoError(c.t, c.tryApply(object, namespace, false))
}

// namespace makes one in which only pods may run that keep the restricted standard.
func (c *controlPlane) namespace(name string) {
	c.t.Helper()
	n := &unstructured.Unstructured{Object: map[string]any{"apiVersion": "v1", "kind": "Namespace"}}
	n.SetName(name)
	n.SetLabels(map[string]string{"pod-security.kubernetes.io/enforce": "restricted", "pod-security.kubernetes.io/warn": "restricted"})
	c.apply(n, "")
}

// Kinds of other projects, of the same versions as the schemas.
var customs = []struct{ module, path string }{
	{"sigs.k8s.io/gateway-api@v1.6.3", "config/crd/standard/gateway.networking.k8s.io_httproutes.yaml"},
	{"github.com/kedacore/keda/v2@v2.20.2", "config/crd/bases/keda.sh_scaledobjects.yaml"},
	{operator, operatorFolder + "monitoring.coreos.com_podmonitors.yaml"},
	{operator, operatorFolder + "monitoring.coreos.com_servicemonitors.yaml"},
	{operator, operatorFolder + "monitoring.coreos.com_prometheusrules.yaml"},
}

const (
	kwok           = "sigs.k8s.io/kwok@v0.8.0"
	operator       = "github.com/prometheus-operator/prometheus-operator@v0.85.0"
	operatorFolder = "example/prometheus-operator-crd/"
)

// moduleFile reads a file of a module, which is downloaded if it must be.
func moduleFile(t *testing.T, module, path string) []byte {
	t.Helper()
	out, err := exec.CommandContext(t.Context(), "go", "mod", "download", "-json", module).Output()
	require.NoError(t, err, string(out))
	var m struct{ Dir string }
	require.NoError(t, json.Unmarshal(out, &m))
	raw, err := os.ReadFile(filepath.Join(m.Dir, filepath.FromSlash(path)))
	require.NoError(t, err)
	return raw
}
