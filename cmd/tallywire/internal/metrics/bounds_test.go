package metrics_test

import (
	"fmt"
	"maps"
	"math/rand/v2"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os/exec"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/coder/websocket"
	"github.com/stretchr/testify/require"

	"github.com/tallywire/tallywire/gateway"
	"github.com/tallywire/tallywire/goclient"
)

// series returns the gateway's series of a scrape. Those of the runtime depend on the machine.
func series(s samples) []string {
	return slices.DeleteFunc(slices.Sorted(maps.Keys(s)), func(name string) bool { return !strings.HasPrefix(name, "tallywire_") })
}

// TestSeriesAreFixed: whatever clients send, there are the series that there were before the first of them
// came, and nothing of theirs is in any.
func TestSeriesAreFixed(t *testing.T) {
	r := newRig(t, func(o *gateway.Options) { o.Limits.Errors = 20 })
	before := series(r.scrape())
	random := rand.New(rand.NewPCG(1, 2))
	word := func() string { return fmt.Sprintf("hostile%x", random.Uint64()) }
	for n := range 40 {
		c, err := goclient.DialWith(t.Context(), goclient.DialOptions{
			URL: r.url, Token: r.token(word()), Session: word(), Header: http.Header{"User-Agent": {word()}},
		})
		require.NoError(t, err)
		for _, frame := range []string{
			`{"type":"subscribe","id":1,"channel":"` + word() + `:1"}`,
			`{"type":"subscribe","channel":"` + word() + `","cursor":"9-9"}`,
			`{"type":"publish","channel":"` + word() + `:2","event":{"type":"` + word() + `","source":"` + word() + `"}}`,
			`{"type":"publish","channel":"` + word() + `:2","event":{"type":1}}`,
			`{"type":"presence","channel":"` + word() + `","status":{"x":"` + word() + `"}}`,
			`{"type":"signal","channel":"` + word() + `:1","event":{"type":"` + word() + `"}}`,
			`{"type":"` + word() + `"}`, word(), `{"type":"refresh","token":"` + word() + `"}`,
		} {
			if c.SendRaw(t.Context(), []byte(frame)) != nil {
				break
			}
		}
		// All codes that a client may send, and what it may do in their place.
		_ = c.Close([]int{1000, 1001, 1003, 1007, 1008, 1011, 3000, 3999, 4000, 4401, 4999}[n%11], word())
		c.CloseNow()
	}
	for _, path := range []string{"/v1/poll?wait_ms=0&channel=", "/v1/history/", "/v1/", "/v1/sse?channel=a%20b", "/v1/channels/"} {
		a := r.request(t.Context(), http.MethodGet, path+url.QueryEscape(word()), "")
		a.Body.Close()
	}
	a := r.request(t.Context(), http.MethodPost, "/v1/commands?session="+word(), `{"frames":[]}`)
	a.Body.Close()
	r.publish(word()+":1", `not an event`)
	ws, _, err := websocket.Dial(t.Context(), r.url+"/v1/ws", nil) //nolint:bodyclose // none where it succeeds
	require.NoError(t, err)
	require.NoError(t, ws.Write(t.Context(), websocket.MessageText, make([]byte, 2<<20)))
	defer ws.CloseNow()
	r.untilIs(`tallywire_connections{transport="websocket"}`, 0)
	after, text := scrape(t, r.handler)
	require.Equal(t, before, series(after))
	require.NotContains(t, text, "hostile")
	t.Logf("%d series of the gateway, %d in all, %d KB", len(before), len(after), len(text)>>10)
	require.Less(t, len(before), 250)
}

// TestNamesAreInOrder asks promtool, whose linter knows the customs.
func TestNamesAreInOrder(t *testing.T) {
	promtool, err := exec.LookPath("promtool")
	if err != nil {
		t.Skip("promtool is not installed (Debian, Ubuntu: apt-get install prometheus)")
	}
	_, text := scrape(t, full(t, newRig(t, nil).gateway).Handler())
	check := exec.CommandContext(t.Context(), promtool, "check", "metrics")
	check.Stdin = strings.NewReader(text)
	out, err := check.CombinedOutput()
	require.NoError(t, err, "%s", out)
	require.Empty(t, strings.TrimSpace(string(out)))
}

// TestScrapesAreBounded: who asks too often is told so, and does not wait.
func TestScrapesAreBounded(t *testing.T) {
	r := newRig(t, nil)
	const askers = 32
	codes := make(chan int, askers)
	for range askers {
		go func() {
			w := httptest.NewRecorder()
			r.handler.ServeHTTP(w, httptest.NewRequest(http.MethodGet, "/metrics", nil))
			codes <- w.Code
		}()
	}
	for range askers {
		select {
		case code := <-codes:
			require.Contains(t, []int{http.StatusOK, http.StatusServiceUnavailable}, code)
		case <-time.After(patience):
			require.FailNow(t, "a scrape does not end")
		}
	}
	require.NotEmpty(t, r.scrape())
}
