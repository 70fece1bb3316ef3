package tracing_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/rs/zerolog"
	"github.com/stretchr/testify/require"
	"github.com/tidwall/gjson"
	tracepb "go.opentelemetry.io/proto/otlp/trace/v1"
	"go.uber.org/goleak"

	"github.com/tallywire/tallywire/broker"
	"github.com/tallywire/tallywire/broker/membroker"
	"github.com/tallywire/tallywire/cmd/tallywire/internal/tracing"
	"github.com/tallywire/tallywire/events"
	"github.com/tallywire/tallywire/gateway"
	"github.com/tallywire/tallywire/gateway/auth"
	"github.com/tallywire/tallywire/goclient"
	"github.com/tallywire/tallywire/namespace"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

const (
	patience = 20 * time.Second
	outside  = "4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7"
	sampled  = "00-" + outside + "-01"
	ignored  = "00-" + outside + "-00"
)

func newTracer(t *testing.T, c *collector, sample float64) *tracing.Tracer {
	t.Helper()
	tracer, err := tracing.New(tracing.Options{Endpoint: c.URL, Sample: sample, Gateway: "gw-1", Version: "v1.2.3", Log: zerolog.Nop()})
	require.NoError(t, err)
	return tracer
}

// flush has a tracer send what it has.
func flush(t *testing.T, tracers ...*tracing.Tracer) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	for _, tracer := range tracers {
		require.NoError(t, tracer.Close(ctx))
	}
	http.DefaultTransport.(*http.Transport).CloseIdleConnections() //nolint:forcetypeassert // it is one
}

// startGateway runs a gateway over a store and returns its address.
func startGateway(t *testing.T, store *membroker.Store, tracer gateway.Tracer) string {
	t.Helper()
	table, err := namespace.NewTable(nil)
	require.NoError(t, err)
	registry, err := events.NewRegistry(events.Options{})
	require.NoError(t, err)
	everybody, err := auth.New(auth.Options{Insecure: true})
	require.NoError(t, err)
	g, err := gateway.New(gateway.Options{
		Broker: store.Broker(), Namespaces: table, Registry: registry, Auth: everybody, Log: zerolog.Nop(),
		Tracer: tracer, DrainWindow: 10 * time.Millisecond,
	})
	require.NoError(t, err)
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- g.Run(ctx) }()
	server := httptest.NewServer(g.Handler())
	t.Cleanup(func() {
		cancel()
		require.NoError(t, <-ended)
		server.Close()
		http.DefaultTransport.(*http.Transport).CloseIdleConnections() //nolint:forcetypeassert // it is one
	})
	require.Eventually(t, func() bool { ok, _ := g.Ready(); return ok }, patience, time.Millisecond)
	return server.URL
}

// reader subscribes to a channel and returns a function that waits for the next event.
func reader(t *testing.T, url, user, channel string) func() gjson.Result {
	t.Helper()
	c, err := goclient.Dial(t.Context(), url, user)
	require.NoError(t, err)
	t.Cleanup(c.CloseNow)
	var frames []gjson.Result
	until := func(kind string) gjson.Result {
		ctx, cancel := context.WithTimeout(t.Context(), patience)
		defer cancel()
		for {
			for len(frames) > 0 {
				f := frames[0]
				if frames = frames[1:]; f.Get("type").Str == kind {
					return f
				}
			}
			msg, err := c.ReceiveRaw(ctx)
			require.NoError(t, err)
			frames = gjson.ParseBytes(msg).Array()
		}
	}
	require.NoError(t, c.SendRaw(t.Context(), fmt.Appendf(nil, `{"type":"subscribe","channel":%q}`, channel)))
	until("subscribed")
	return func() gjson.Result { return until("event") }
}

func publish(t *testing.T, url, header, body string) {
	t.Helper()
	q, err := http.NewRequestWithContext(t.Context(), http.MethodPost, url+"/v1/publish", strings.NewReader(body))
	require.NoError(t, err)
	q.Header.Set("Authorization", "Bearer alice")
	if header != "" {
		q.Header.Set("Traceparent", header)
	}
	a, err := http.DefaultClient.Do(q)
	require.NoError(t, err)
	defer a.Body.Close()
	require.Equal(t, http.StatusOK, a.StatusCode)
}

// TestTrace follows an event through two gateways, from a request that has a trace.
func TestTrace(t *testing.T) {
	c := newCollector(t)
	store := membroker.NewStore(membroker.Options{})
	one, two := newTracer(t, c, 0), newTracer(t, c, 0)
	first, second := startGateway(t, store, one), startGateway(t, store, two)
	var readers []func() gjson.Result
	for n := range 5 {
		readers = append(readers, reader(t, first, fmt.Sprintf("reader-%d", n), "jobs:42"), reader(t, second, fmt.Sprintf("reader-%d", n), "jobs:42"))
	}
	const secretData = "what nobody else may see"
	publish(t, first, sampled, `{"channel":"jobs:42","event":{"type":"x","id":"7","source":"w","data":"`+secretData+`"}}`)
	for _, next := range readers {
		require.Equal(t, sampled, next().Get("event.traceparent").Str, "the context in the event is where the trace began")
	}
	publish(t, first, ignored, `{"channel":"jobs:42","event":{"type":"x"}}`)
	publish(t, first, "", `{"channel":"jobs:42","event":{"type":"x"}}`)
	for range 2 {
		for _, next := range readers {
			next()
		}
	}
	// A delivery is told of just after the last byte was written.
	require.Eventually(t, func() bool {
		_ = errors.Join(one.Flush(t.Context()), two.Flush(t.Context()))
		return len(c.got()["deliver jobs"]) == 2
	}, patience, 5*time.Millisecond)
	flush(t, one, two)

	p := c.only(t, "publish jobs")
	require.Equal(t, outside, p.trace+"-"+p.parent)
	require.Equal(t, tracepb.Span_SPAN_KIND_PRODUCER, p.kind)
	require.Regexp(t, `^2-\d+$`, p.attributes["tallywire.cursor"])
	delete(p.attributes, "tallywire.cursor")
	require.Equal(t, map[string]any{
		"messaging.system": "tallywire", "messaging.operation.name": "publish", "messaging.operation.type": "send",
		"messaging.destination.name": "jobs:42", "messaging.destination.template": "jobs:{id}",
		"messaging.message.id": "w/7", "tallywire.duplicate": false,
	}, p.attributes)
	deliveries := c.got()["deliver jobs"]
	require.Len(t, deliveries, 2, "one for each gateway, not for each of ten readers")
	for _, d := range deliveries {
		require.Equal(t, tracepb.Span_SPAN_KIND_CONSUMER, d.kind)
		require.Equal(t, []string{outside}, d.links)
		require.NotEqual(t, p.trace, d.trace, "linked, not a part")
		require.Empty(t, d.parent)
		require.EqualValues(t, 5, d.attributes["tallywire.subscribers"])
		require.Equal(t, "jobs:{id}", d.attributes["messaging.destination.template"])
		require.Less(t, d.took, patience)
	}
	require.Len(t, c.got(), 2, "nothing of the other events")
	require.Equal(t, "tallywire", c.resource["service.name"])
	require.Equal(t, "gw-1", c.resource["service.instance.id"])
	require.Equal(t, "v1.2.3", c.resource["service.version"])
	require.Equal(t, []string{"POST /v1/traces"}, c.paths())
	for _, spans := range c.got() {
		require.NotContains(t, fmt.Sprint(spans), secretData)
	}
}

// TestTraceThatBeginsHere: a publish without a context may begin one, which the event then carries.
func TestTraceThatBeginsHere(t *testing.T) {
	c := newCollector(t)
	tracer := newTracer(t, c, 1)
	url := startGateway(t, membroker.NewStore(membroker.Options{}), tracer)
	next := reader(t, url, "bob", "plain")
	publish(t, url, "", `{"channel":"plain","event":{"type":"x"}}`)
	carried := next().Get("event.traceparent").Str
	require.Eventually(t, func() bool {
		_ = tracer.Flush(t.Context())
		return len(c.got()["deliver plain"]) == 1
	}, patience, 5*time.Millisecond)
	flush(t, tracer)
	p := c.only(t, "publish plain")
	require.Equal(t, "00-"+p.trace+"-"+p.id+"-01", carried)
	require.Equal(t, []string{p.trace + "-" + p.id}, c.only(t, "deliver plain").links, "the delivery is linked to the publish")
	require.Equal(t, "plain", p.attributes["messaging.destination.template"])
}

// TestPublishThatFails says so, and not what it was about.
func TestPublishThatFails(t *testing.T) {
	c := newCollector(t)
	tracer := newTracer(t, c, 1)
	for _, err := range []error{broker.ErrUnavailable, broker.ErrRefused, broker.ErrOverloaded, context.Canceled} {
		_, end := tracer.Publish("jobs:1", "", "")
		end(broker.Receipt{}, fmt.Errorf("publish secrets: %w", err))
	}
	flush(t, tracer)
	kinds := map[any]bool{}
	for _, s := range c.got()["publish jobs"] {
		require.True(t, s.failed)
		kinds[s.attributes["error.type"]] = true
		require.NotContains(t, fmt.Sprint(s), "secrets")
	}
	require.Equal(t, map[any]bool{"unavailable": true, "refused": true, "overloaded": true, "_OTHER": true}, kinds)
}

// TestForeignTracesAreBounded: whoever sets the bit that asks for a trace on everything gets some.
func TestForeignTracesAreBounded(t *testing.T) {
	c := newCollector(t)
	tracer := newTracer(t, c, 1)
	for range 3000 {
		if _, end := tracer.Publish("jobs:1", "", sampled); end != nil {
			end(broker.Receipt{}, nil)
		}
		tracer.Delivered(gateway.Delivery{Channel: "jobs:1", TraceParent: sampled, Heard: time.Now(), Written: time.Now()})
		tracer.Delivered(gateway.Delivery{Channel: "jobs:1", TraceParent: "nonsense"})
	}
	flush(t, tracer)
	spans := len(c.got()["publish jobs"]) + len(c.got()["deliver jobs"])
	require.GreaterOrEqual(t, spans, 200)
	require.Less(t, spans, 2000)
}

// TestCollectorAway: it is told about once, and nothing waits for it.
func TestCollectorAway(t *testing.T) {
	c := newCollector(t)
	c.answers(http.StatusBadRequest)
	var log bytes.Buffer
	tracer, err := tracing.New(tracing.Options{Endpoint: c.URL + "/some/where", Sample: 1, Log: zerolog.New(zerolog.SyncWriter(&log))})
	require.NoError(t, err)
	for range 3 {
		_, end := tracer.Publish("jobs:1", "", "")
		end(broker.Receipt{}, nil)
		_ = tracer.Flush(t.Context())
	}
	_ = tracer.Close(t.Context())
	http.DefaultTransport.(*http.Transport).CloseIdleConnections() //nolint:forcetypeassert // it is one
	require.Equal(t, []string{"POST /some/where"}, c.paths(), "a path is taken as it is")
	require.LessOrEqual(t, strings.Count(log.String(), "traces_failed"), 1)
}

func TestEndpoint(t *testing.T) {
	for _, bad := range []string{"", "collector:4318", "ftp://collector", "http://", "http://a b"} {
		_, err := tracing.New(tracing.Options{Endpoint: bad})
		require.ErrorContains(t, err, "otlp-endpoint", bad)
	}
}
