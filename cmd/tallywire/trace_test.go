package main

import (
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
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
