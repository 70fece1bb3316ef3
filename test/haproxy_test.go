package test

import (
	"testing"

	"github.com/tallywire/tallywire/internal/haproxytest"
)

// startHAProxy puts HAProxy, configured as it is shipped, before three gateways and returns its address.
func startHAProxy(t testing.TB, gateways ...*process) string {
	t.Helper()
	return startHAProxyBinding(t, "", gateways...)
}

// startHAProxyBinding is startHAProxy with more words on the line that binds the address for clients.
func startHAProxyBinding(t testing.TB, binding string, gateways ...*process) string {
	t.Helper()
	var addrs []string
	for _, g := range gateways {
		addrs = append(addrs, g.addr)
	}
	return haproxytest.StartBinding(t, binding, addrs...)
}
