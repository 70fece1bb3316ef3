package metrics_test

import (
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	dto "github.com/prometheus/client_model/go"
	"github.com/stretchr/testify/require"

	"github.com/tallywire/tallywire/broker"
	"github.com/tallywire/tallywire/cmd/tallywire/internal/metrics"
	"github.com/tallywire/tallywire/gateway"
)

// family returns one metric as a Prometheus gets it that takes native histograms.
func family(t *testing.T, g *gateway.Gateway, name string) *dto.Metric {
	t.Helper()
	m, err := metrics.New(metrics.Sources{Gateway: g})
	require.NoError(t, err)
	families, err := m.Gatherer().Gather()
	require.NoError(t, err)
	for _, f := range families {
		if f.GetName() == name {
			require.Len(t, f.GetMetric(), 1)
			return f.GetMetric()[0]
		}
	}
	require.FailNow(t, "there is no "+name)
	return nil
}

// inFine adds the buckets of a native histogram up.
func inFine(h *dto.Histogram) uint64 {
	total, count, delta := h.GetZeroCount(), int64(0), 0
	for _, span := range h.GetPositiveSpan() {
		for range span.GetLength() {
			count += h.GetPositiveDelta()[delta]
			total += uint64(count)
			delta++
		}
	}
	return total
}

// TestNativeHistograms hold the same as the classic ones beside them.
func TestNativeHistograms(t *testing.T) {
	r := newRig(t, func(o *gateway.Options) { o.Ping = time.Second })
	for _, name := range []string{"tallywire_delivery_lag_seconds", "tallywire_fanout_duration_seconds", "tallywire_ping_rtt_seconds"} {
		h := family(t, r.gateway, name).GetHistogram()
		require.EqualValues(t, 3, h.GetSchema(), "%s: native from the start", name)
		require.Zero(t, h.GetSampleCount())
	}
	alice := r.connect("alice")
	alice.send(`{"type":"subscribe","channel":"jobs:1"}`)
	alice.expect("subscribed")
	for range 20 {
		r.publish("jobs:1", `{"type":"x"}`)
		alice.expect("event")
	}
	alice.expect("ping")
	alice.send(`{"type":"pong"}`)
	r.untilIs("tallywire_ping_rtt_seconds_count", 1)
	for _, name := range []string{"tallywire_delivery_lag_seconds", "tallywire_fanout_duration_seconds", "tallywire_ping_rtt_seconds"} {
		h := family(t, r.gateway, name).GetHistogram()
		require.NotZero(t, h.GetSampleCount(), name)
		require.Equal(t, h.GetSampleCount(), inFine(h), name)
		require.Positive(t, h.GetSampleSum(), name)
		require.NotEmpty(t, h.GetBucket(), "%s: and classic", name)
		require.Empty(t, h.GetExemplars(), name)
	}
}

// watcher is a tracer that begins nothing.
type watcher struct {
	mu   sync.Mutex
	seen int // deliveries
}

func (*watcher) Publish(string, string, string) (string, func(broker.Receipt, error)) { return "", nil }

func (w *watcher) Delivered(gateway.Delivery) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.seen++
}

// TestExemplars: of an event that is traced, the lag leads to its trace; no series gets a label more.
func TestExemplars(t *testing.T) {
	w := &watcher{}
	r := newRig(t, func(o *gateway.Options) { o.Tracer = w })
	before := series(r.scrape())
	alice := r.connect("alice")
	alice.send(`{"type":"subscribe","channel":"jobs:1"}`)
	alice.expect("subscribed")
	const trace = "4bf92f3577b34da6a3ce929d0e0e4736"
	for _, context := range []string{"00-" + trace + "-00f067aa0ba902b7-01", "00-hostile-01", "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-00"} {
		r.publish("jobs:1", `{"type":"x","traceparent":"`+context+`"}`)
	}
	h := func() *dto.Histogram { return family(t, r.gateway, "tallywire_delivery_lag_seconds").GetHistogram() }
	require.Eventually(t, func() bool { return len(h().GetExemplars()) > 0 }, patience, time.Millisecond)
	e := h().GetExemplars()
	require.Len(t, e, 1)
	require.Equal(t, "trace_id", e[0].GetLabel()[0].GetName())
	require.Equal(t, trace, e[0].GetLabel()[0].GetValue())

	ask := httptest.NewRequest(http.MethodGet, "/metrics", nil)
	ask.Header.Set("Accept", "application/openmetrics-text; version=1.0.0")
	answer := httptest.NewRecorder()
	r.handler.ServeHTTP(answer, ask)
	require.Equal(t, 1, strings.Count(answer.Body.String(), `# {trace_id="`+trace+`"}`))
	require.NotContains(t, answer.Body.String(), "hostile")
	require.True(t, strings.HasSuffix(answer.Body.String(), "# EOF\n"))
	require.Equal(t, before, series(r.scrape()))
}
