package redispresence_test

import (
	"context"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/tallywire/tallywire/internal/redistest"
	"github.com/tallywire/tallywire/presence"
	"github.com/tallywire/tallywire/presence/presencetest"
)

// aclBackend logs its trackers in as the documented user of gateways.
type aclBackend struct {
	backend
	login string
}

func (b aclBackend) Tracker(t *testing.T, o presence.Options) presencetest.Handle {
	t.Helper()
	proxy := redistest.StartProxy(t, b.server)
	return openAt(t, "redis://"+b.login+"@"+proxy.Addr(), proxy, o)
}

// TestGatewayUser passes the suite as the user that the contract recommends for gateways.
func TestGatewayUser(t *testing.T) {
	presencetest.Run(t, func(t *testing.T) presencetest.Backend {
		s := redistest.Start(t)
		b := aclBackend{backend{s}, s.Users("../../docs/redis-contract.md")["gateway"]}
		t.Cleanup(func() {
			denied, err := s.Admin().Do(context.WithoutCancel(t.Context()), "ACL", "LOG").Slice()
			require.NoError(t, err)
			require.Empty(t, denied, "something was denied")
		})
		return b
	})
}
