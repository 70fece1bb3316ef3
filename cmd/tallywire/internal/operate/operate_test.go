package operate_test

import (
	"bytes"
	"context"
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"github.com/tallywire/tallywire/cmd/tallywire/internal/operate"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

const patience = 10 * time.Second

const gateways = `{"complete":false,"missing":[{"gateway":"gw-2","reason":"no_answer"}],"asked":"gw-1","now":"2026-11-24T03:00:10Z",
 "totals":{"gateways":2,"answered":1,"connections":7,"sessions":6,"subscriptions":5,"published_per_second":0.5,"delivered_per_second":1200},
 "gateways":[{"gateway":"gw-1","state":"not_ready","reason":"evil \u001b[31m","start":"2026-11-24T03:00:00Z","connections":7,"channels":3,"sessions":6,
 "lease":{"age_ms":1500},"overview":{"round_trip_us":310},"rates":{"published":0.5,"delivered":1200}},
 {"gateway":"gw-2","state":"missing","connections":4,"channels":1,"sessions":4}]}`

const channels = `{"complete":true,"missing":[],"next":"jobs:9","channels":[
 {"channel":"jobs:1","subscribers":2,"gateways":[{"gateway":"gw-1","subscribers":2}],"stream":{"exists":true,"head":"5-5","retained":5,"newest":"2026-11-24T03:00:00Z"}},
 {"channel":"jobs:9","subscribers":9,"gateways":[],"stream_problem":"the store is not available"}]}`

// api is an admin API that says what it was told, until it is turned off.
type api struct {
	*httptest.Server
	off atomic.Bool
}

func newAPI(t *testing.T) (*api, *operate.Client) {
	t.Helper()
	a := &api{}
	a.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		switch {
		case a.off.Load():
			w.Header().Set("Content-Type", "application/problem+json")
			w.WriteHeader(http.StatusServiceUnavailable)
			_, _ = w.Write([]byte(`{"code":"unavailable","detail":"the store is not available","status":503}`))
		case r.Header.Get("Authorization") != "Bearer secret":
			w.WriteHeader(http.StatusTeapot)
		case r.URL.Path == "/admin/v1/gateways":
			_, _ = w.Write([]byte(gateways))
		case r.URL.Path == "/admin/v1/channels":
			_, _ = w.Write([]byte(channels))
		default:
			http.Redirect(w, r, "http://elsewhere.example/", http.StatusFound)
		}
	}))
	t.Cleanup(a.Close)
	c, err := operate.NewClient(a.URL, "secret", nil)
	require.NoError(t, err)
	t.Cleanup(c.Close)
	return a, c
}

func TestTables(t *testing.T) {
	var out, side bytes.Buffer
	require.NoError(t, operate.Gateways(&out, &side, json.RawMessage(gateways)))
	require.Equal(t, "missing: gw-2 (no answer)\n", side.String())
	require.Regexp(t, `(?m)^gw-1 +not ready +7 +3 +0\.5 +1200 +310µs +2s +10s +- +evil \?\[31m$`, out.String())
	require.Regexp(t, `(?m)^gw-2 +missing +4 +1 +- +- +- +- +- +- +-$`, out.String())
	require.NotContains(t, out.String(), "\x1b", "a terminal is not told what to do")

	out.Reset()
	side.Reset()
	require.NoError(t, operate.Channels(&out, &side, json.RawMessage(channels), time.Date(2026, 11, 24, 3, 1, 0, 0, time.UTC)))
	require.Regexp(t, `(?m)^jobs:1 +2 +5 +1m ago +5-5 +gw-1:2$`, out.String())
	require.Regexp(t, `(?m)^jobs:9 +9 +the store is not available`, out.String())
	require.Equal(t, "more: --after jobs:9\n", side.String())
}

func TestClientDoesNotFollow(t *testing.T) {
	_, c := newAPI(t)
	_, err := c.Get(t.Context(), nil, "users", "a/b", "sessions")
	require.ErrorContains(t, err, "is no admin API: it answers 302", "the token goes nowhere else")
}

// terminal collects what is drawn.
type terminal struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (s *terminal) Write(p []byte) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.b.Write(p)
}

// last returns what was drawn last.
func (s *terminal) last() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	frames := strings.Split(s.b.String(), "\x1b[H")
	return frames[len(frames)-1]
}

// TestTop: it draws again and again, says when nobody answers, keeps to the screen, and gives it back.
func TestTop(t *testing.T) {
	a, c := newAPI(t)
	out := &terminal{}
	keys := make(chan byte)
	ended := make(chan error, 1)
	screen := operate.Screen{Out: out, Size: func() (int, int) { return 60, 8 }, Keys: keys}
	go func() { ended <- operate.Top(t.Context(), c, screen, 5*time.Millisecond) }()
	sees := func(text string) {
		t.Helper()
		require.Eventually(t, func() bool { return strings.Contains(out.last(), text) }, patience, time.Millisecond, text)
	}
	sees("1 of 2 gateways answer")
	sees("missing: gw-2 (no answer)")
	a.off.Store(true)
	sees("NO ANSWER for")
	sees("tallywire") // what was known stays
	a.off.Store(false)
	require.Eventually(t, func() bool { return !strings.Contains(out.last(), "NO ANSWER") }, patience, time.Millisecond)
	frame := out.last()
	require.LessOrEqual(t, strings.Count(frame, "\r\n"), 7)
	for line := range strings.SplitSeq(frame, "\r\n") {
		shown := strings.NewReplacer("\x1b[1m", "", "\x1b[0m", "", "\x1b[K", "", "\x1b[J", "").Replace(line)
		require.LessOrEqual(t, len([]rune(shown)), 60)
	}
	keys <- 'x'
	keys <- 'q'
	require.NoError(t, <-ended)
	require.True(t, strings.HasSuffix(out.last(), "\x1b[?25h\x1b[?1049l"), "the screen is as it was")
}

func TestTopWithoutAnyAnswer(t *testing.T) {
	a, c := newAPI(t)
	a.off.Store(true)
	err := operate.Top(t.Context(), c, operate.Screen{Out: &terminal{}, Size: func() (int, int) { return 80, 24 }}, time.Hour)
	require.ErrorContains(t, err, "the store is not available (unavailable)")
}

func TestTopEndsWithItsContext(t *testing.T) {
	_, c := newAPI(t)
	ctx, cancel := context.WithCancel(t.Context())
	out := &terminal{}
	ended := make(chan error, 1)
	go func() {
		ended <- operate.Top(ctx, c, operate.Screen{Out: out, Size: func() (int, int) { return 80, 24 }}, time.Hour)
	}()
	require.Eventually(t, func() bool { return strings.Contains(out.last(), "jobs:9") }, patience, time.Millisecond)
	cancel()
	require.NoError(t, <-ended)
}
