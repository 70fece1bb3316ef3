package redisrevoke

import (
	"context"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"
	"github.com/stretchr/testify/require"

	"github.com/tallywire/tallywire/gateway/auth"
	"github.com/tallywire/tallywire/internal/redistest"
)

// TestGatewayUser revokes, lists and watches as the user that the contract recommends for gateways.
func TestGatewayUser(t *testing.T) {
	s := redistest.Start(t)
	login := s.Users("../../../docs/redis-contract.md")["gateway"]
	o, err := redis.ParseURL("redis://" + login + "@" + s.Addr())
	require.NoError(t, err)
	client := redis.NewClient(o)
	t.Cleanup(func() { require.NoError(t, client.Close()) })

	l := New(client, "")
	changed, ended := make(chan struct{}, 8), make(chan error, 1)
	ctx, cancel := context.WithCancel(t.Context())
	go func() { ended <- l.Watch(ctx, func() { changed <- struct{}{} }) }()
	next := func() {
		t.Helper()
		select {
		case <-changed:
		case <-time.After(10 * time.Second):
			t.Fatal("not told of a change")
		}
	}
	next() // subscribed
	for _, r := range []auth.Revocation{
		{TokenID: "old", Expires: time.Now().Add(-time.Hour)},
		{TokenID: "t1", Expires: time.Now().Add(time.Hour)},
		{User: "alice", Expires: time.Now().Add(time.Hour)},
	} {
		require.NoError(t, l.Revoke(t.Context(), r))
	}
	// What has expired is cleared away by the next revocation.
	s.Do("ZADD", "tw:_revoked", "XX", 1, "u:alice")
	require.NoError(t, l.Revoke(t.Context(), auth.Revocation{TokenID: "t2", Expires: time.Now().Add(time.Hour)}))
	next()
	list, err := l.List(t.Context())
	require.NoError(t, err)
	require.Len(t, list, 2)
	cancel()
	require.NoError(t, <-ended)
}
