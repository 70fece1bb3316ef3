package haproxytest

import (
	"context"
	"encoding/json"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/tallywire/tallywire/internal/programtest"
)

const (
	patience = 30 * time.Second
	poll     = 20 * time.Millisecond
)

// Start puts HAProxy, configured as it is shipped, before three gateways, and returns its address.
func Start(t testing.TB, gateways ...string) string {
	t.Helper()
	return StartBinding(t, "", gateways...)
}

// StartBinding is Start with more words on the line that binds the address for clients, as for TLS.
func StartBinding(t testing.TB, binding string, gateways ...string) string {
	t.Helper()
	return start(t, gateways, shipped("local.cfg"), "TALLYWIRE_FRONT_TLS="+binding)
}

// shipped returns the path of a file of deploy/haproxy, whichever package's test asks.
func shipped(name string) string {
	_, here, _, _ := runtime.Caller(0)
	return filepath.Join(filepath.Dir(here), "..", "..", "deploy", "haproxy", name)
}

// start runs HAProxy until the test ends, with the backend from a file.
func start(t testing.TB, gateways []string, backend string, env ...string) string {
	t.Helper()
	require.Len(t, gateways, 3)
	haproxy, err := exec.LookPath("haproxy")
	if err != nil {
		haproxy = "/usr/sbin/haproxy" // where Debian has it, and a user's PATH has it not
	}
	front := programtest.FreeAddr(t)
	log := &programtest.Log{}
	cmd := exec.Command(haproxy, "-db", "-f", shipped("haproxy.cfg"), "-f", backend) //nolint:noctx,gosec // it is ended below
	cmd.Env = append(os.Environ(), "TALLYWIRE_FRONT="+front, "TALLYWIRE_GATEWAY_1="+gateways[0],
		"TALLYWIRE_GATEWAY_2="+gateways[1], "TALLYWIRE_GATEWAY_3="+gateways[2])
	cmd.Env = append(cmd.Env, env...)
	cmd.Stdout, cmd.Stderr = log, log
	require.NoError(t, cmd.Start(), "the package haproxy is needed")
	done := make(chan struct{})
	go func() {
		defer close(done)
		_ = cmd.Wait()
	}()
	t.Cleanup(func() {
		_ = cmd.Process.Kill()
		<-done
		if t.Failed() {
			t.Logf("log of haproxy:\n%s", tail(log.String(), 4000))
		}
	})
	require.Eventually(t, func() bool {
		select {
		case <-done:
			t.Errorf("haproxy has ended")
			return true
		default:
		}
		ctx, cancel := context.WithTimeout(context.Background(), time.Second)
		defer cancel()
		c, err := new(net.Dialer).DialContext(ctx, "tcp", front)
		if err == nil {
			_ = c.Close()
		}
		return err == nil
	}, patience, poll, "haproxy does not listen")
	return front
}

// AwaitGateway waits until HAProxy at front leads to a gateway.
func AwaitGateway(t testing.TB, front, id string) {
	t.Helper()
	client := &http.Client{Transport: &http.Transport{DisableKeepAlives: true}, Timeout: patience}
	require.Eventually(t, func() bool {
		resp, err := client.Get("http://" + front + "/healthz") //nolint:noctx // it has a timeout
		if err != nil {
			return false
		}
		defer resp.Body.Close()
		var body struct {
			Gateway string `json:"gateway"`
		}
		return json.NewDecoder(resp.Body).Decode(&body) == nil && body.Gateway == id
	}, patience, poll, "%s gets nothing to do", id)
}

func tail(s string, n int) string {
	if len(s) > n {
		return "…" + s[len(s)-n:]
	}
	return s
}
