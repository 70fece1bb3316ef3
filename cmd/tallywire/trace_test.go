package main

import (
	"encoding/hex"
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	collectortrace "go.opentelemetry.io/proto/otlp/collector/trace/v1"
	"google.golang.org/protobuf/proto"

	"github.com/tallywire/tallywire/gateway/auth"
	"github.com/tallywire/tallywire/internal/redistest"
)

// TestTraces: what is published reaches the collector that a flag or the environment names, the last of it when
// the gateway ends.
func TestTraces(t *testing.T) {
	asked := make(chan string, 100)
	collector := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) { asked <- r.URL.Path }))
	defer collector.Close()
	g := serve(t, []string{"TALLYWIRE_OTLP_ENDPOINT=" + collector.URL}, "--insecure", "--trace-sample", "1")
	q, err := http.NewRequestWithContext(t.Context(), http.MethodPost, g.public+"/v1/publish", strings.NewReader(`{"channel":"jobs:1","event":{"type":"x"}}`))
	require.NoError(t, err)
	q.Header.Set("Authorization", "Bearer alice")
	a, err := http.DefaultClient.Do(q)
	require.NoError(t, err)
	a.Body.Close()
	http.DefaultClient.CloseIdleConnections()
	require.Equal(t, http.StatusOK, a.StatusCode)
	require.Equal(t, exitDone, g.stop())
	select {
	case path := <-asked:
		require.Equal(t, "/v1/traces", path)
	default:
		require.FailNow(t, "no spans came", g.stderr)
	}
}

// publishSpans collect which channels spans of publishes are about.
type publishSpans struct {
	mu       sync.Mutex // guards the following
	channels map[string]int
	contexts map[string]string // of the last span, as trace-span
}

// ServeHTTP implements http.Handler, as far as a collector needs it that asks for no compression.
func (p *publishSpans) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	var request collectortrace.ExportTraceServiceRequest
	raw, err := io.ReadAll(r.Body)
	if err == nil {
		err = proto.Unmarshal(raw, &request)
	}
	if err != nil {
		w.WriteHeader(http.StatusBadRequest)
		return
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, rs := range request.GetResourceSpans() {
		for _, ss := range rs.GetScopeSpans() {
			for _, s := range ss.GetSpans() {
				if !strings.HasPrefix(s.GetName(), "publish ") {
					continue
				}
				for _, kv := range s.GetAttributes() {
					if kv.GetKey() == "messaging.destination.name" {
						channel := kv.GetValue().GetStringValue()
						p.channels[channel]++
						p.contexts[channel] = hex.EncodeToString(s.GetTraceId()) + "-" + hex.EncodeToString(s.GetSpanId())
					}
				}
			}
		}
	}
}

// TestWhateverIsPublishedIsTraced: by a client, through the inbox, by an operator, by the demonstration; and the
// event says so to who receives it.
func TestWhateverIsPublishedIsTraced(t *testing.T) {
	spans := &publishSpans{channels: map[string]int{}, contexts: map[string]string{}}
	collector := httptest.NewServer(spans)
	defer collector.Close()
	s := redistest.Start(t)
	g := serve(t, []string{"TALLYWIRE_AUTH_SECRET=" + secret}, "--demo", "--redis", s.URL(), "--trace-sample", "1", "--otlp-endpoint", collector.URL)
	require.Eventually(t, func() bool { return status(t, g.public+"/readyz") == http.StatusOK }, 20*time.Second, 5*time.Millisecond)
	client := mintFor(t, "alice", "tallywire", everything())
	operator := mintFor(t, "ops", "tallywire-admin", auth.Permissions{Admin: true})
	a := ask(t, http.MethodPost, g.public+"/v1/publish", client, `{"channel":"own:client","event":{"type":"x"}}`)
	require.Equal(t, http.StatusOK, a.status, a.body)
	a = ask(t, http.MethodPost, g.admin+"/admin/v1/publish", operator, `{"channel":"own:admin","event":{"type":"x"}}`)
	require.Equal(t, http.StatusOK, a.status, a.body)
	s.Do("XADD", "tw:_inbox", "*", "channel", "own:inbox", "event", `{"type":"x"}`)
	s.Eventually("the inbox is empty", func() bool { return s.Do("XLEN", "tw:_inbox") == int64(0) })
	s.Eventually("the demonstration has begun", func() bool {
		jobs, _ := s.Do("KEYS", "tw:{jobs:*}").([]any)
		return len(jobs) > 0
	})
	require.Equal(t, exitDone, g.stop())

	spans.mu.Lock()
	defer spans.mu.Unlock()
	for _, channel := range []string{"own:client", "own:admin", "own:inbox"} {
		require.Equal(t, 1, spans.channels[channel], channel)
		entries, err := json.Marshal(s.Do("XRANGE", "tw:{"+channel+"}", "-", "+"))
		require.NoError(t, err)
		require.Contains(t, string(entries), spans.contexts[channel], "%s: who receives it can go on from there", channel)
		delete(spans.channels, channel)
	}
	require.NotEmpty(t, spans.channels, "of the demonstration")
}

// TestTracesToNobody: a collector that is away is worth a line, and changes nothing else.
func TestTracesToNobody(t *testing.T) {
	g := serve(t, nil, "--insecure", "--trace-sample", "1", "--otlp-endpoint", "http://127.0.0.1:1")
	require.Equal(t, exitDone, g.stop())
}

func TestWrongTraceSettings(t *testing.T) {
	for setting, says := range map[string]string{
		"--otlp-endpoint=collector:4318":  "otlp-endpoint: must be an http or https URL",
		"--otlp-endpoint=http://u:p@host": "otlp-endpoint: must be an http or https URL without user information",
		"--trace-sample=1.5":              "trace-sample: must be between 0 and 1, is 1.5",
		"--trace-sample=-1":               "trace-sample: must be between 0 and 1, is -1",
		"--trace-sample=NaN":              "trace-sample: must be between 0 and 1",
	} {
		o := command(t, nil, "", "serve", "--insecure", setting)
		require.Equal(t, exitUsage, o.status, setting)
		require.Contains(t, o.stderr, says)
	}
	o := command(t, []string{"TALLYWIRE_TRACE_SAMPLE=many"}, "", "serve", "--insecure")
	require.Equal(t, exitUsage, o.status)
	require.Contains(t, o.stderr, `trace-sample: must be a number, is "many" (from TALLYWIRE_TRACE_SAMPLE)`)
	o = command(t, nil, "", "serve", "--insecure", "--print-config", "--trace-sample", "0.25")
	require.Contains(t, o.stdout, "trace-sample: 0.25 # flag")
}
