package browser

import (
	"bufio"
	"encoding/json"
	"fmt"
	"html/template"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"os"
	"os/exec"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/tallywire/tallywire/broker"
	"github.com/tallywire/tallywire/gateway/auth"
)

var eventSourcePage = template.Must(template.New("page").Parse(`<!doctype html>
<title>EventSource</title>
<script type="module">
const token = {{.Token}};
window.shown = [];
window.breaks = 0;
const show = (channel, cursor, event) => window.shown.push({ channel, cursor, n: event.data.n });
{{.Lines}}
window.source = source;
source.onerror = () => window.breaks++;
</script>
`))

// TestEventSource: a browser's own EventSource, with the lines that docs/transports.md prints, reads from
// any gateway, and goes on by itself when the one that it reads from dies: nothing lost, nothing twice.
func TestEventSource(t *testing.T) {
	browser := chromium(t)
	c := newCluster(t)
	token := mint(t, "alice", "", time.Hour, time.Now(), auth.Permissions{Subscribe: []string{"jobs:*"}})
	var at atomic.Int64 // the gateway that serves streams now
	front := httptest.NewServer(balance(t, c, &at, documentedLines(t), token))
	t.Cleanup(front.Close)

	const before, after = 50, 50
	script := exec.CommandContext(t.Context(), "node", "eventsource.mjs", browser, front.URL+"/", fmt.Sprint(before+after))
	script.Stderr = os.Stderr
	out, err := script.StdoutPipe()
	require.NoError(t, err)
	require.NoError(t, script.Start())
	lines := bufio.NewScanner(out)
	require.True(t, lines.Scan(), "the stream does not open")
	for n := range before {
		c.publish("jobs:7", fmt.Sprintf(`{"type":"x.test","source":"worker-3","data":{"n":%d}}`, n))
	}
	gone := at.Load()
	at.Store((gone + 1) % 3)
	c.gateways[gone].kill()
	for n := range after {
		c.publish("jobs:7", fmt.Sprintf(`{"type":"x.test","source":"worker-3","data":{"n":%d}}`, before+n))
	}
	require.True(t, lines.Scan(), "the events do not come")
	var seen struct {
		Shown []struct {
			Channel string        `json:"channel"`
			Cursor  broker.Cursor `json:"cursor"`
			N       int           `json:"n"`
		} `json:"shown"`
		Breaks int `json:"breaks"`
	}
	require.NoError(t, json.Unmarshal(lines.Bytes(), &seen))
	require.NoError(t, script.Wait())
	require.Len(t, seen.Shown, before+after)
	for i, e := range seen.Shown {
		require.Equal(t, i, e.N)
		require.Equal(t, seen.Shown[0].Cursor.Offset+uint64(i), e.Cursor.Offset)
	}
	require.Positive(t, seen.Breaks, "the gateway was killed under it")
}

// documentedLines are the JavaScript lines of docs/transports.md.
func documentedLines(t *testing.T) string {
	t.Helper()
	text, err := os.ReadFile("../../docs/transports.md")
	require.NoError(t, err)
	_, rest, ok := strings.Cut(string(text), "```js\n")
	require.True(t, ok)
	lines, _, ok := strings.Cut(rest, "```")
	require.True(t, ok)
	return lines
}

// balance serves the page, and the gateways at the same origin.
func balance(t *testing.T, c *cluster, at *atomic.Int64, lines, token string) http.Handler {
	t.Helper()
	proxy := &httputil.ReverseProxy{
		FlushInterval: -1,
		Rewrite: func(r *httputil.ProxyRequest) {
			to, err := url.Parse(c.gateways[at.Load()].public)
			if err != nil {
				t.Error(err)
				return
			}
			r.SetURL(to)
			r.Out.Host = r.In.Host
		},
	}
	mux := http.NewServeMux()
	mux.Handle("/v1/", proxy)
	mux.HandleFunc("GET /favicon.ico", func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusNoContent) })
	mux.HandleFunc("GET /{$}", func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "text/html; charset=utf-8")
		if err := eventSourcePage.Execute(w, map[string]any{"Token": token, "Lines": template.JS(lines)}); err != nil { //nolint:gosec // our own document's
			t.Error(err)
		}
	})
	return mux
}
