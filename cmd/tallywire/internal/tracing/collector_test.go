package tracing_test

import (
	"compress/gzip"
	"encoding/hex"
	"io"
	"net/http"
	"net/http/httptest"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	collectortrace "go.opentelemetry.io/proto/otlp/collector/trace/v1"
	commonpb "go.opentelemetry.io/proto/otlp/common/v1"
	tracepb "go.opentelemetry.io/proto/otlp/trace/v1"
	"google.golang.org/protobuf/proto"
)

// collector is an OpenTelemetry collector as far as it takes spans.
type collector struct {
	*httptest.Server
	mu       sync.Mutex // guards the following
	spans    []span
	resource map[string]any
	status   int // what it answers, where not 200
	asked    []string
}

// span is what is looked at of one.
type span struct {
	name, trace, id, parent string
	kind                    tracepb.Span_SpanKind
	attributes              map[string]any
	links                   []string // as traceparent without version and flags
	failed                  bool
	took                    time.Duration
}

func newCollector(t *testing.T) *collector {
	t.Helper()
	c := &collector{}
	c.Server = httptest.NewServer(c)
	t.Cleanup(c.Close)
	return c
}

// ServeHTTP implements http.Handler.
func (c *collector) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	body := io.Reader(r.Body)
	if r.Header.Get("Content-Encoding") == "gzip" {
		var err error
		if body, err = gzip.NewReader(body); err != nil {
			w.WriteHeader(http.StatusBadRequest)
			return
		}
	}
	raw, err := io.ReadAll(body)
	var request collectortrace.ExportTraceServiceRequest
	if err == nil {
		err = proto.Unmarshal(raw, &request)
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.asked = append(c.asked, r.Method+" "+r.URL.Path)
	switch {
	case err != nil:
		w.WriteHeader(http.StatusBadRequest)
		return
	case c.status != 0:
		w.WriteHeader(c.status)
		return
	}
	for _, rs := range request.GetResourceSpans() {
		c.resource = values(rs.GetResource().GetAttributes())
		for _, ss := range rs.GetScopeSpans() {
			for _, s := range ss.GetSpans() {
				c.spans = append(c.spans, read(s))
			}
		}
	}
	w.Header().Set("Content-Type", "application/x-protobuf")
}

func read(s *tracepb.Span) span {
	out := span{
		name: s.GetName(), kind: s.GetKind(), attributes: values(s.GetAttributes()),
		trace: hex.EncodeToString(s.GetTraceId()), id: hex.EncodeToString(s.GetSpanId()), parent: hex.EncodeToString(s.GetParentSpanId()),
		failed: s.GetStatus().GetCode() == tracepb.Status_STATUS_CODE_ERROR,
		took:   time.Duration(s.GetEndTimeUnixNano() - s.GetStartTimeUnixNano()),
	}
	for _, l := range s.GetLinks() {
		out.links = append(out.links, hex.EncodeToString(l.GetTraceId())+"-"+hex.EncodeToString(l.GetSpanId()))
	}
	return out
}

func values(list []*commonpb.KeyValue) map[string]any {
	out := map[string]any{}
	for _, kv := range list {
		switch v := kv.GetValue().GetValue().(type) {
		case *commonpb.AnyValue_StringValue:
			out[kv.GetKey()] = v.StringValue
		case *commonpb.AnyValue_IntValue:
			out[kv.GetKey()] = v.IntValue
		case *commonpb.AnyValue_BoolValue:
			out[kv.GetKey()] = v.BoolValue
		}
	}
	return out
}

// got returns what came, by name.
func (c *collector) got() map[string][]span {
	c.mu.Lock()
	defer c.mu.Unlock()
	out := map[string][]span{}
	for _, s := range c.spans {
		out[s.name] = append(out[s.name], s)
	}
	return out
}

// only returns the one span of a name.
func (c *collector) only(t *testing.T, name string) span {
	t.Helper()
	spans := c.got()[name]
	require.Len(t, spans, 1, name)
	return spans[0]
}

func (c *collector) paths() []string {
	c.mu.Lock()
	defer c.mu.Unlock()
	return slices.Compact(slices.Clone(c.asked))
}

func (c *collector) answers(status int) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.status = status
}
