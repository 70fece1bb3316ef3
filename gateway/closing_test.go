package gateway_test

import (
	"context"
	"errors"
	"net/http"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/tallywire/tallywire/broker"
	"github.com/tallywire/tallywire/gateway"
	"github.com/tallywire/tallywire/gateway/auth"
	"github.com/tallywire/tallywire/gateway/wire"
)

// expelled returns a peer of whom the gateway has had enough, and which has read the close frame but not
// answered it.
func expelled(t *testing.T, r *rig) *rawClient {
	t.Helper()
	c := r.connectRaw(0, "alice")
	c.send(`{"type":"subscribe","channel":"jobs:1"}`)
	require.Equal(t, "subscribed", c.next().Type)
	for range 2 {
		c.send(`{"type":"dance"}`)
		require.Equal(t, wire.CodeUnknownType, c.next().Code)
	}
	require.Equal(t, wire.CodeTooManyErrors, c.next().Code)
	_, err := c.tryNext()
	require.Equal(t, closedWith(wire.CloseTooManyErrors), err)
	return c
}

func oneError(o *gateway.Options) { o.Limits.Errors = 1 }

func TestNoCommandIsExecutedAfterTheEnd(t *testing.T) {
	r := newRig(t, rigOptions{change: oneError})
	c := r.connectRaw(0, "alice")
	var burst []byte
	for _, message := range []string{`{"type":"dance"}`, `{"type":"dance"}`} {
		burst = append(burst, masked(0x80|opText, []byte(message))...)
	}
	for range 5 {
		burst = append(burst, masked(0x80|opText, []byte(`{"type":"publish","channel":"other:1","event":{"type":"x"}}`))...)
	}
	burst = append(burst, masked(0x80|opClose, nil)...)
	_, err := c.conn.Write(burst)
	require.NoError(t, err)
	for {
		if _, _, err := c.read(); err != nil {
			break
		}
	}
	r.eventually("gone", func() bool { return r.gateway.Connections() == 0 })
	page, err := r.broker.Read(t.Context(), "other:1", broker.ReadRequest{From: 1})
	require.NoError(t, err)
	require.False(t, page.Exists)
}

func TestNothingIsWrittenAfterTheCloseFrame(t *testing.T) {
	r := newRig(t, rigOptions{change: oneError})
	other := r.connect("bob", nil)
	head := *other.subscribe("jobs:1", "").Head
	c := expelled(t, r)
	for n := range 20 {
		r.publish("jobs:1", event(n))
		head = other.collect(head, 1) // a pass in which the expelled one was not written to
	}
	c.write(0x80|opClose, nil)
	for {
		op, payload, err := c.read()
		if err != nil {
			break
		}
		require.NotEqual(t, opText, int(op), "%s", payload)
	}
}

// trickyAuth lets tests misbehave in place of the authenticator.
type trickyAuth struct {
	gateway.Authenticator
	tokens map[string]func() (*auth.Principal, error)
}

func (a trickyAuth) Authenticate(ctx context.Context, token string) (*auth.Principal, error) {
	if f := a.tokens[token]; f != nil {
		return f()
	}
	return a.Authenticator.Authenticate(ctx, token)
}

func withTokens(tokens map[string]func() (*auth.Principal, error)) func(*gateway.Options) {
	return func(o *gateway.Options) { o.Auth = trickyAuth{o.Auth, tokens} }
}

func boom() (*auth.Principal, error) { panic("boom") }

func TestPanicEndsItsConnectionOnly(t *testing.T) {
	r := newRig(t, rigOptions{change: withTokens(map[string]func() (*auth.Principal, error){"boom": boom})})
	other := r.connect("bob", nil)
	other.subscribe("jobs:1", "")
	for n := range 3 {
		c := r.dial(nil)
		c.send(`{"type":"connect","token":"boom"}`)
		c.expectClose(wire.CloseInternal)
		require.EqualValues(t, n+1, r.gateway.Counters().Panics.Load())
	}
	r.publish("jobs:1", event(1))
	other.expect("event")

	resp := r.post("boom", `{}`)
	require.Equal(t, http.StatusInternalServerError, resp.status)
	require.Equal(t, wire.CodeInternal, resp.problem(t).Code)
	require.EqualValues(t, 4, r.gateway.Counters().Panics.Load())
}

func TestKeysThatCannotBeFetchedAreNoRefusal(t *testing.T) {
	r := newRig(t, rigOptions{change: withTokens(map[string]func() (*auth.Principal, error){
		"later": func() (*auth.Principal, error) {
			return nil, &auth.Error{Code: auth.CodeKeysUnavailable, Message: "no keys", Retry: true}
		},
		"unread": func() (*auth.Principal, error) {
			return nil, &auth.Error{Code: auth.CodeRevocationsUnavailable, Message: "no list", Retry: true}
		},
		"odd": func() (*auth.Principal, error) { return nil, errors.New("a secret reason") },
	})})
	c := r.dial(nil)
	for range 5 {
		c.send(`{"type":"connect","token":"later"}`)
		require.True(t, c.expectError(wire.CodeKeysUnavailable).Retry)
		c.send(`{"type":"connect","token":"unread"}`)
		require.True(t, c.expectError(wire.CodeUnavailable).Retry)
		c.send(`{"type":"connect","token":"odd"}`)
		require.NotContains(t, c.expectError(wire.CodeInternal).Message, "secret")
	}
	c.send(`{"type":"connect","token":"%s"}`, r.token("alice", nil))
	c.expect("connected")
}

// trickyBroker lets tests hold back, or end, the broker's Run.
type trickyBroker struct {
	broker.Broker
	start, fail chan struct{}
}

var errBroken = errors.New("broken")

func (b trickyBroker) Run(ctx context.Context, sink broker.Sink) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	select {
	case <-b.start:
	case <-ctx.Done():
		return nil
	}
	ended := make(chan error, 1)
	go func() { ended <- b.Broker.Run(ctx, sink) }()
	select {
	case <-b.fail:
		cancel()
		return errors.Join(errBroken, <-ended)
	case err := <-ended:
		return err
	}
}

func TestRunEndsWithTheBroker(t *testing.T) {
	b := trickyBroker{start: make(chan struct{}), fail: make(chan struct{})}
	close(b.start)
	r := newRig(t, rigOptions{ends: errBroken, change: func(o *gateway.Options) {
		b.Broker = o.Broker
		o.Broker = b
	}})
	c := r.connect("alice", nil)
	c.subscribe("jobs:1", "")
	close(b.fail)
	c.expectClose(wire.CloseRestart)
	r.stop()
	require.Zero(t, r.gateway.Connections())
}

func TestToldWhenAStartingGatewayIsWhole(t *testing.T) {
	b := trickyBroker{start: make(chan struct{}), fail: make(chan struct{})}
	r := newRig(t, rigOptions{starting: true, change: func(o *gateway.Options) {
		b.Broker = o.Broker
		o.Broker = b
	}})
	c := r.connect("alice", nil)
	require.True(t, c.expect("degraded").Degraded)
	close(b.start)
	require.False(t, c.expect("degraded").Degraded)
	late := r.connect("bob", nil)
	late.subscribe("jobs:1", "") // and nothing of it before
}

func TestNoConnectionIsTakenAfterTheEnd(t *testing.T) {
	r := newRig(t, rigOptions{})
	r.stop()
	resp := r.upgrade(upgradeHeader())
	require.Equal(t, http.StatusServiceUnavailable, resp.status)
	require.Equal(t, wire.CodeOverloaded, resp.problem(t).Code)
	require.NotEmpty(t, resp.header.Get("Retry-After"))
}

func TestDrainMovesThenCloses(t *testing.T) {
	r := newRig(t, rigOptions{change: func(o *gateway.Options) { o.DrainWindow = 300 * time.Millisecond }})
	clients := make([]*client, 10)
	for i := range clients {
		clients[i] = r.connect("alice", nil)
		clients[i].subscribe("jobs:1", "")
	}
	go r.stop()
	for _, c := range clients {
		f := c.expect("moving")
		require.Less(t, f.AfterMS, int64(300))
	}
	ready := r.get("/readyz", "", nil)
	require.Equal(t, http.StatusServiceUnavailable, ready.status)
	require.Contains(t, ready.body, "draining")
	require.Equal(t, http.StatusOK, r.get("/healthz", "", nil).status)
	// Until it is closed, a connection is served.
	r.publish("jobs:1", event(1))
	for _, c := range clients {
		c.expect("event")
	}
	require.NoError(t, clients[0].ws.CloseNow())
	for _, c := range clients[1:] {
		c.expectClose(wire.CloseRestart)
	}
	r.stop()
	require.Zero(t, r.gateway.Connections())
}
