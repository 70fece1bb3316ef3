package gateway_test

import (
	"context"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/tallywire/tallywire/gateway"
	"github.com/tallywire/tallywire/gateway/auth"
	"github.com/tallywire/tallywire/gateway/wire"
)

// mint returns a token that was issued some time ago.
func mint(t testing.TB, user, id string, p *auth.Permissions, issued time.Time, ttl time.Duration) string {
	t.Helper()
	if p == nil {
		p = &auth.Permissions{Subscribe: []string{"*"}, Publish: []string{"*"}}
	}
	token, err := auth.Mint([]byte(secret), auth.Claims{User: user, ID: id, IssuedAt: issued, Permissions: *p}, ttl)
	require.NoError(t, err)
	return token
}

func TestExpiredToken(t *testing.T) {
	t.Parallel() // it waits for the clock
	r := newRig(t, rigOptions{})
	expired := mint(t, "alice", "", nil, time.Now().Add(-time.Hour), time.Minute)
	c := r.dial(nil)
	c.send(`{"type":"connect","id":1,"token":"%s"}`, expired)
	c.expectError(wire.CodeTokenExpired)
	require.Equal(t, 401, r.get("/v1/channels/a/events", expired, nil).status)

	// One that expires while it is used: closed within a second, and told why.
	c = r.dial(nil)
	token := mint(t, "alice", "", nil, time.Now(), 2*time.Second)
	c.send(`{"type":"connect","id":1,"token":"%s"}`, token)
	expires := time.Unix(c.expect("connected").Expires, 0)
	c.subscribe("jobs:1", "")
	c.expectError(wire.CodeTokenExpired)
	c.expectClose(wire.CloseUnauthorized)
	require.False(t, time.Now().Before(expires))
	require.Less(t, time.Since(expires), time.Second)
}

func TestRevokedToken(t *testing.T) {
	t.Parallel() // it waits for the clock
	list := auth.NewMemory(nil)
	authenticator, err := auth.New(auth.Options{Secret: secret, Revocations: list, RevocationsEvery: time.Minute})
	require.NoError(t, err)
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() { ended <- authenticator.Run(ctx) }()
	defer func() {
		cancel()
		require.NoError(t, <-ended)
	}()
	r := newRig(t, rigOptions{change: func(o *gateway.Options) { o.Auth = authenticator }})
	connect := func(user, id string) *client {
		c := r.dial(nil)
		c.send(`{"type":"connect","token":"%s"}`, mint(t, user, id, nil, time.Now(), time.Hour))
		c.expect("connected")
		c.subscribe("jobs:1", "")
		return c
	}
	stolen, kept, other := connect("alice", "stolen"), connect("alice", "kept"), connect("bob", "other")
	require.NoError(t, list.Revoke(ctx, auth.Revocation{TokenID: "stolen"}))
	stolen.expectError(wire.CodeTokenRevoked)
	stolen.expectClose(wire.CloseUnauthorized)
	r.publish("jobs:1", event(1))
	kept.expect("event")
	other.expect("event")

	again := r.dial(nil)
	again.send(`{"type":"connect","token":"%s"}`, mint(t, "alice", "stolen", nil, time.Now(), time.Hour))
	again.expectError(wire.CodeTokenRevoked)

	require.NoError(t, list.Revoke(ctx, auth.Revocation{User: "alice", Before: time.Now().Add(time.Second)}))
	kept.expectError(wire.CodeTokenRevoked)
	kept.expectClose(wire.CloseUnauthorized)
	r.publish("jobs:1", event(2))
	other.expect("event")
}

func TestRefresh(t *testing.T) {
	t.Parallel() // it waits for the clock
	r := newRig(t, rigOptions{})
	c := r.dial(nil)
	c.send(`{"type":"connect","token":"%s"}`, mint(t, "alice", "", nil, time.Now(), 2*time.Second))
	first := time.Unix(c.expect("connected").Expires, 0)
	last := *c.subscribe("jobs:1", "").Head

	c.send(`{"type":"refresh","id":1,"token":"%s"}`, mint(t, "bob", "", nil, time.Now(), time.Hour))
	c.expectError(wire.CodeUnauthorized)
	c.send(`{"type":"refresh","id":1,"token":"%s"}`, mint(t, "alice", "", nil, time.Now().Add(-time.Hour), time.Minute))
	c.expectError(wire.CodeTokenExpired)
	r.publish("jobs:1", event(1))
	last = c.collect(last, 1) // neither did any harm

	c.send(`{"type":"refresh","id":2,"token":"%s"}`, mint(t, "alice", "", nil, time.Now(), time.Hour))
	f := c.expect("refreshed")
	require.Equal(t, "2", string(f.ID))
	require.Greater(t, time.Unix(f.Expires, 0), first.Add(time.Minute))
	// It outlives the first token, with its subscriptions.
	select {
	case <-time.After(time.Until(first) + 1100*time.Millisecond):
	case <-t.Context().Done():
	}
	r.publish("jobs:1", event(2))
	c.collect(last, 1)
}

func TestRefreshThatAllowsLess(t *testing.T) {
	r := newRig(t, rigOptions{})
	c := r.connect("alice", nil)
	c.subscribe("jobs:1", "")
	head := *c.subscribe("matches:1", "").Head
	last := r.publish("matches:1", event(1))
	c.collect(head, 1)
	less := &auth.Permissions{Subscribe: []string{"jobs:*", "own:$user"}}
	c.send(`{"type":"refresh","id":2,"token":"%s"}`, mint(t, "alice", "", less, time.Now(), time.Hour))
	c.expect("refreshed")
	reset := c.expect("reset")
	require.Equal(t, "matches:1", reset.Channel)
	require.Equal(t, wire.ReasonForbidden, reset.Reason)
	require.Equal(t, last, *reset.Cursor)
	require.Equal(t, last, *reset.Head)
	require.Equal(t, "matches:1", c.expect("unsubscribed").Channel)
	r.publish("matches:1", event(2))
	r.publish("jobs:1", event(3))
	require.Equal(t, "jobs:1", c.expect("event").Channel)
	c.send(`{"type":"publish","id":3,"channel":"jobs:1","event":{"type":"x"}}`)
	c.expectError(wire.CodeForbidden)
	c.send(`{"type":"subscribe","id":4,"channel":"matches:1"}`)
	c.expectError(wire.CodeForbidden)
	c.send(`{"type":"unsubscribe","id":5,"channel":"matches:1"}`)
	c.expectError(wire.CodeNotSubscribed)
}

// A subscribe that is still under way when the token loses the channel is answered, and does not happen.
func TestRefreshOvertakesSubscribe(t *testing.T) {
	r := newRig(t, rigOptions{})
	c := r.connect("alice", nil)
	less := mint(t, "alice", "", &auth.Permissions{Subscribe: []string{"end:*"}}, time.Now(), time.Hour)
	all := mint(t, "alice", "", nil, time.Now(), time.Hour)
	c.subscribe("end:1", "")
	for range 50 {
		channel := "jobs:" + time.Now().Format("150405.000000000") // one that nobody has opened
		c.send(`[{"type":"subscribe","id":1,"channel":"%s"},{"type":"refresh","id":2,"token":"%s"}]`, channel, less)
		for settled, refreshed := false, false; !settled || !refreshed; {
			switch f := c.next(); f.Type {
			case "refreshed":
				refreshed = true
			case "unsubscribed":
				settled = true
			case "error":
				require.Equal(t, wire.CodeForbidden, f.Code)
				require.Equal(t, "1", string(f.ID))
				require.Equal(t, channel, f.Channel)
				settled = true
			default:
				require.Contains(t, []string{"subscribed", "reset"}, f.Type)
			}
		}
		r.publish(channel, event(1))
		r.publish("end:1", event(1))
		require.Equal(t, "end:1", c.expect("event").Channel)
		c.send(`{"type":"refresh","id":2,"token":"%s"}`, all)
		c.expect("refreshed")
	}
}
