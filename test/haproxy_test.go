package test

import (
	"context"
	"net"
	"os"
	"os/exec"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/tallywire/tallywire/internal/programtest"
)

// startHAProxy puts HAProxy, configured as it is shipped, before three gateways and returns its address.
func startHAProxy(t testing.TB, gateways ...*process) string {
	t.Helper()
	return startHAProxyBinding(t, "", gateways...)
}

// startHAProxyBinding is startHAProxy with more words on the line that binds the address for clients. They stand
// in the variable that has the address; see haproxy.cfg.
func startHAProxyBinding(t testing.TB, binding string, gateways ...*process) string {
	t.Helper()
	require.Len(t, gateways, 3)
	haproxy, err := exec.LookPath("haproxy")
	if err != nil {
		haproxy = "/usr/sbin/haproxy" // where Debian has it, and a user's PATH has it not
	}
	front := programtest.FreeAddr(t)
	log := &programtest.Log{}
	cmd := exec.Command(haproxy, "-db", "-f", "../deploy/haproxy/haproxy.cfg", "-f", "../deploy/haproxy/local.cfg")
	cmd.Env = append(os.Environ(), "TALLYWIRE_FRONT="+front, "TALLYWIRE_FRONT_TLS="+binding, "TALLYWIRE_GATEWAY_1="+gateways[0].addr,
		"TALLYWIRE_GATEWAY_2="+gateways[1].addr, "TALLYWIRE_GATEWAY_3="+gateways[2].addr)
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
