package gateway_test

import (
	"net/http"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/tallywire/tallywire/broker/relay"
	"github.com/tallywire/tallywire/events"
	"github.com/tallywire/tallywire/gateway"
	"github.com/tallywire/tallywire/gateway/wire"
	"github.com/tallywire/tallywire/namespace"
)

// panicking is a registry with a defect.
type panicking struct{ relay.Checker }

func (p panicking) Check(env events.Envelope, raw []byte) error {
	if env.Type == "x.panic" {
		panic("a defect in the check")
	}
	return p.Checker.Check(env, raw)
}

func (p panicking) Terminal(eventType string) bool {
	if eventType == "x.terminal" {
		panic("a defect in the registry")
	}
	return p.Checker.Terminal(eventType)
}

// A panic in the check of an event, wherever that runs, makes the event invalid and nothing else.
func TestPanicOfTheChecker(t *testing.T) {
	dead := membrokerDead(t)
	r := newRig(t, rigOptions{
		namespaces: map[string]namespace.Options{"latest": {Delivery: namespace.DeliverLatest}},
		change: func(o *gateway.Options) {
			o.Registry = panicking{o.Registry}
			o.Dead = dead
		},
	})
	c := r.connect("alice", nil)
	c.subscribe("jobs:1", "")
	c.subscribe("latest:1", "")

	c.send(`{"type":"publish","id":1,"channel":"jobs:1","event":{"type":"x.panic"}}`)
	c.expectError(wire.CodeInvalidEvent)
	resp := r.post(r.token("alice", nil), `{"channel":"jobs:1","event":{"type":"x.panic"}}`)
	require.Equal(t, http.StatusUnprocessableEntity, resp.status)

	bad := r.publish("jobs:1", `{"type":"x.panic"}`) // past the gateway: checked on the broker's goroutine
	skip := c.expect("skip")
	require.Equal(t, bad, *skip.Cursor)
	require.EqualValues(t, 1, skip.Skipped)
	r.publish("latest:1", `{"type":"x.terminal","subject":"s"}`)
	require.Equal(t, "latest:1", c.expect("event").Channel)
	require.NotEmpty(t, r.history("jobs:1", "").Next)
	r.publish("jobs:1", event(1))
	c.expect("event")
	require.GreaterOrEqual(t, r.gateway.Counters().Panics.Load(), uint64(5))
	r.eventually("dead letter", func() bool {
		letters, _, err := dead.List(t.Context(), "", 10)
		return err == nil && len(letters) == 1 && letters[0].Cursor == bad
	})
}
