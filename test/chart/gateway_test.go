package chart_test

import (
	"bufio"
	"context"
	"encoding/json"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	corev1 "k8s.io/api/core/v1"

	chart "github.com/tallywire/tallywire/test/chart"
)

var built struct {
	once sync.Once
	path string
	err  error
	out  []byte
}

// program builds tallywire, once.
func program(t *testing.T) string {
	t.Helper()
	built.once.Do(func() {
		var folder string
		folder, built.err = os.MkdirTemp("", "tallywire-chart") //nolint:usetesting // it outlives the first test; TestMain removes it
		if built.err != nil {
			return
		}
		built.path = filepath.Join(folder, "tallywire")
		cmd := exec.Command("go", "build", "-o", built.path, "./cmd/tallywire")
		cmd.Dir = root
		built.out, built.err = cmd.CombinedOutput()
	})
	require.NoError(t, built.err, string(built.out))
	return built.path
}

// pod is what the kubelet would make of a container, on this machine.
type pod struct {
	folder string
	env    []string
	args   []string
}

var reference = regexp.MustCompile(`\$\(([A-Z_]+)\)`)

// newPod prepares a container: secrets are called after their keys, references are filled in, and files that
// would be mounted below /etc/tallywire are in a folder.
func newPod(t *testing.T, c corev1.Container, config string) pod {
	t.Helper()
	p := pod{folder: t.TempDir(), env: []string{"PATH=" + os.Getenv("PATH"), "HOME=" + t.TempDir()}}
	known := map[string]string{}
	fill := func(text string) string {
		return reference.ReplaceAllStringFunc(text, func(r string) string {
			value, ok := known[r[2:len(r)-1]]
			require.True(t, ok, "%s is not filled in", r)
			return value
		})
	}
	for _, e := range c.Env {
		value := fill(e.Value)
		switch {
		case e.ValueFrom == nil:
		case e.ValueFrom.SecretKeyRef != nil && strings.HasSuffix(e.ValueFrom.SecretKeyRef.Key, "url"):
			value = "redis://gateway:secret@redis.example.com:6379"
		case e.ValueFrom.SecretKeyRef != nil:
			value = e.ValueFrom.SecretKeyRef.Key + "-that-is-long-enough-for-a-key"
		case e.ValueFrom.FieldRef != nil:
			value = "0f0e0d0c-0b0a-4908-8706-050403020100"
		}
		known[e.Name] = value
		p.env = append(p.env, e.Name+"="+value)
	}
	config = strings.ReplaceAll(config, "/etc/tallywire", p.folder)
	require.NoError(t, os.WriteFile(filepath.Join(p.folder, "tallywire.yaml"), []byte(config), 0o600))
	for _, arg := range c.Args {
		p.args = append(p.args, strings.ReplaceAll(fill(arg), "/etc/tallywire", p.folder))
	}
	return p
}

// command is the container's process, with more arguments and variables.
func (p pod) command(ctx context.Context, program string, args, env []string) *exec.Cmd {
	cmd := exec.CommandContext(ctx, program, append(append([]string{}, p.args...), args...)...)
	cmd.Env = append(append([]string{}, p.env...), env...)
	cmd.Dir = p.folder
	cmd.Cancel = func() error { return cmd.Process.Signal(syscall.SIGTERM) }
	cmd.WaitDelay = 20 * time.Second
	return cmd
}

// TestGatewayTakesTheSettings: the program reads what the chart writes, and complains of nothing.
func TestGatewayTakesTheSettings(t *testing.T) {
	for name, text := range map[string]string{
		"dev": "", "sentinel": "", "gateway": "",
		"minimal":  "{}",
		"cluster":  variants["cluster"],
		"database": variants["database"],
		"settings": "{gateway: {config: {ping: 10s, lease-ttl: 8s, max-errors: 5, relay-bytes: 1048576, trusted-proxies: [10.0.0.0/8], proxy-protocol: true, cookie-samesite: lax, body-timeout: 20s}, connectionRate: 200, maxConnectionAge: 90m}}",
	} {
		t.Run(name, func(t *testing.T) {
			r := rendered(t, name, text)
			config := as[corev1.ConfigMap](t, find(t, r, "ConfigMap", "tallywire-config")).Data["tallywire.yaml"]
			p := newPod(t, deployment(t, r).Spec.Template.Spec.Containers[0], config)
			out, err := p.command(t.Context(), program(t), []string{"--print-config"}, nil).CombinedOutput()
			require.NoError(t, err, string(out))
			printed := values(t, string(out))
			for key, want := range settings(t, r) {
				if key == "namespaces" || strings.Contains(asText(t, want), "/etc/tallywire") || strings.HasSuffix(key, "-age") {
					continue
				}
				if text, ok := want.(string); ok && strings.HasSuffix(text, "0s") {
					d, err := time.ParseDuration(text)
					require.NoError(t, err)
					want = d.String()
				}
				require.EqualValues(t, want, printed[key], key)
			}
			require.NotContains(t, string(out), "that-is-long-enough", "secrets are not printed")
		})
	}
}

// rendered renders an example, or values over the minimal ones.
func rendered(t *testing.T, name, text string) *chart.Rendered {
	t.Helper()
	if text == "" {
		return render(t, name)
	}
	return renderText(t, text)
}

var listening = regexp.MustCompile(`127\.0\.0\.1:[1-9][0-9]*`)

// TestHelmTest does what `helm test` does, with the containers of its pod, against a gateway with the
// settings of the chart.
func TestHelmTest(t *testing.T) {
	r := render(t, "dev")
	config := as[corev1.ConfigMap](t, find(t, r, "ConfigMap", "tallywire-config")).Data["tallywire.yaml"]
	gateway := newPod(t, deployment(t, r).Spec.Template.Spec.Containers[0], config)
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	serve := gateway.command(ctx, program(t), nil, []string{
		"TALLYWIRE_LISTEN=127.0.0.1:0", "TALLYWIRE_ADMIN_LISTEN=off", "TALLYWIRE_REDIS=", "TALLYWIRE_DRAIN_WINDOW=10ms", "TALLYWIRE_DRAIN_WAIT=0s",
	})
	stderr, err := serve.StderrPipe()
	require.NoError(t, err)
	require.NoError(t, serve.Start())
	lines := bufio.NewScanner(stderr)
	address := ""
	for address == "" && lines.Scan() {
		address = listening.FindString(lines.Text())
	}
	require.NotEmpty(t, address, "it has not said where it listens")
	read := make(chan struct{})
	go func() {
		defer close(read)
		for lines.Scan() { // so that it never waits for a reader
		}
	}()
	waitReady(ctx, t, "http://"+address+"/readyz")

	test := as[corev1.Pod](t, find(t, r, "Pod", "tallywire-test"))
	require.Equal(t, "test", test.Annotations["helm.sh/hook"])
	reach := []string{"TALLYWIRE_URL=http://" + address}
	for _, c := range test.Spec.InitContainers {
		out, err := newPod(t, c, "").command(ctx, program(t), nil, reach).CombinedOutput()
		require.NoError(t, err, string(out))
	}
	outputs := map[string]*strings.Builder{}
	var running []*exec.Cmd
	for _, c := range test.Spec.Containers {
		cmd := newPod(t, c, "").command(ctx, program(t), nil, reach)
		outputs[c.Name] = &strings.Builder{}
		cmd.Stdout = outputs[c.Name]
		require.NoError(t, cmd.Start())
		running = append(running, cmd)
	}
	for _, cmd := range running {
		require.NoError(t, cmd.Wait(), cmd.Args)
	}
	var heard []string
	for line := range strings.Lines(outputs["receive"].String()) {
		var e struct {
			Type  string
			Event struct{ Data struct{ Message string } }
		}
		require.NoError(t, json.Unmarshal([]byte(line), &e), line)
		heard = append(heard, e.Type+": "+e.Event.Data.Message)
	}
	require.Equal(t, []string{"event: before", "event: while following"}, heard)
	require.NoError(t, serve.Process.Signal(syscall.SIGTERM))
	<-read
	require.NoError(t, serve.Wait(), "it ends in good order")
}

// waitReady asks until the gateway is ready.
func waitReady(ctx context.Context, t *testing.T, url string) {
	t.Helper()
	require.Eventually(t, func() bool {
		request, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
		if err != nil {
			return false
		}
		answer, err := http.DefaultClient.Do(request)
		if err != nil {
			return false
		}
		_ = answer.Body.Close()
		return answer.StatusCode == http.StatusOK
	}, 20*time.Second, 10*time.Millisecond)
}
