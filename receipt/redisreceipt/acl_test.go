package redisreceipt_test

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/tallywire/tallywire/internal/redistest"
	"github.com/tallywire/tallywire/receipt"
	"github.com/tallywire/tallywire/receipt/receipttest"
	"github.com/tallywire/tallywire/receipt/redisreceipt"
)

// contract is where the users of this file's tests are documented.
const contract = "../../docs/redis-contract.md"

// aclBackend logs its books in as the documented user of gateways.
type aclBackend struct {
	backend
	login string
}

func (b aclBackend) Book(t *testing.T, o receipt.Options) receipttest.Book {
	t.Helper()
	return open(t, "redis://"+b.login+"@"+b.server.Addr(), redisreceipt.Options{Options: o})
}

// TestGatewayUser passes the suite as the user that the contract recommends for gateways.
func TestGatewayUser(t *testing.T) {
	server := redistest.Start(t)
	login := server.Users(contract)["gateway"]
	receipttest.Run(t, func(*testing.T) receipttest.Backend {
		server.Do("FLUSHALL")
		return aclBackend{backend{server}, login}
	})
	require.Empty(t, server.Do("ACL", "LOG"), "something was denied")
}

// TestGatewayUserIsTheSmallest takes away the rights behind the functions, one after the other.
func TestGatewayUserIsTheSmallest(t *testing.T) {
	server := redistest.Start(t)
	b := open(t, "redis://"+server.Users(contract)["gateway"]+"@"+server.Addr(), redisreceipt.Options{})
	work := func() error {
		server.Do("FLUSHALL")
		o, err := b.Open(t.Context(), key, 1)
		if err != nil {
			return err
		}
		return b.Close(t.Context(), key, 1, o.Token, []byte("one"))
	}
	require.NoError(t, work())
	for _, right := range strings.Fields("fcall time hset hmget hdel del pexpire") {
		server.Do("ACL", "SETUSER", "gateway", "-"+right)
		require.ErrorIs(t, work(), receipt.ErrUnavailable, "without +%s", right)
		server.Do("ACL", "SETUSER", "gateway", "+"+right)
	}
}
