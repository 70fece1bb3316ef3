package gateway

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/tallywire/tallywire/broker/membroker"
	"github.com/tallywire/tallywire/events"
	"github.com/tallywire/tallywire/gateway/auth"
	"github.com/tallywire/tallywire/namespace"
)

// TestNoTracerNoDetour: without a tracer events take the way that they would take if there were no such thing.
func TestNoTracerNoDetour(t *testing.T) {
	table, err := namespace.NewTable(nil)
	require.NoError(t, err)
	registry, err := events.NewRegistry(events.Options{})
	require.NoError(t, err)
	everybody, err := auth.New(auth.Options{Insecure: true})
	require.NoError(t, err)
	b := membroker.NewStore(membroker.Options{}).Broker()
	g, err := New(Options{Broker: b, Namespaces: table, Registry: registry, Auth: everybody})
	require.NoError(t, err)
	require.Same(t, b, g.options.Broker)
	require.Nil(t, g.options.Tracer)
}

// TestSampled reads the bit that says so.
func TestSampled(t *testing.T) {
	const context = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-"
	for flags, want := range map[string]bool{
		"00": false, "01": true, "02": false, "03": true, "0a": false, "0b": true, "fe": false, "ff": true, "09": true, "08": false, "0": false, "": false,
	} {
		require.Equal(t, want, sampled(context+flags), flags)
	}
	require.False(t, sampled(""))
}

// TestUntracedEventsCostALook: where a gateway traces, an event without a context takes no memory.
func TestUntracedEventsCostALook(t *testing.T) {
	event := []byte(`{"type":"x.test","data":{"n":1,"text":"a text of some length"}}`)
	require.Zero(t, testing.AllocsPerRun(100, func() {
		if sampled(traceParent(event)) {
			t.Error("sampled")
		}
	}))
}
