package browser

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"html/template"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/tallywire/tallywire/internal/programtest"
)

// sharingPage keeps what it is told in window.told. ?from= is where it begins.
var sharingPage = template.Must(template.New("page").Parse(`<!doctype html>
<title>Tabs</title>
<script type="module">
import { createClient } from "/client/index.js";
const told = { events: [], resets: [], errors: [], statuses: [] };
const client = createClient({ url: {{.Gateway}}, shareTabs: true });
client.on("error", (e) => told.errors.push(e.code + ": " + e.message));
client.onStatus(() => told.statuses.push(client.getStatus().status));
const sub = client.subscribe({{.Channel}}, (e) => told.events.push({ n: e.data.n, cursor: e.cursor, skipped: e.skipped }), {
  from: new URLSearchParams(location.search).get("from") ?? "now",
  onReset: (r) => told.resets.push(r.reason),
  onError: (e) => told.errors.push(e.code + ": " + e.message),
});
Object.assign(window, { told, live: () => client.getStatus().status === "live" && sub.getState().phase === "live" });
</script>
`))

const (
	sharedChannel = "jobs:42"
	publishEvery  = 10 * time.Millisecond
)

// sharing is what the tabs are opened on: a gateway with the embedded engine, and a site that has the client.
type sharing struct {
	gateway *gateway
	http    *http.Client
	config  map[string]any

	cursors []string // of all that was published; owned by the traffic while there is some
	traffic sync.WaitGroup
	end     context.CancelCauseFunc // of the traffic, nil while there is none
	failed  error                   // why the traffic has ended by itself; owned like cursors
}

// TestTabs: tabs of one browser that share have one connection together, and each gets every event once and in
// order, whichever of them goes while events come.
func TestTabs(t *testing.T) {
	s := &sharing{
		config:  map[string]any{"chromium": chromium(t)},
		gateway: newGateway(t, "gw-1", "", "--insecure", "--allowed-origins", "127.0.0.1"),
		http:    &http.Client{Timeout: patience, Transport: &http.Transport{}},
	}
	site := httptest.NewServer(s.site(t, builtClient(t)))
	t.Cleanup(site.Close)
	s.config["url"] = site.URL + "/"
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	t.Cleanup(func() {
		cancel()
		s.traffic.Wait()
		s.http.CloseIdleConnections()
	})
	drive(ctx, t, "tabs.mjs", s.do)
}

// builtClient builds the client as it is published, and returns the folder of its modules.
func builtClient(t *testing.T) string {
	t.Helper()
	const tsup = "node_modules/.bin/tsup"
	if _, err := os.Stat("../../client/" + tsup); err != nil {
		missing(t, "what builds the client is not installed; scripts/setup.sh installs it")
	}
	folder, log := t.TempDir(), &programtest.Log{}
	build := exec.CommandContext(t.Context(), tsup, "--no-dts", "--format", "esm", "--out-dir", folder)
	build.Dir, build.Stdout, build.Stderr = "../../client", log, log
	require.NoError(t, build.Run(), "%s", log)
	return folder
}

// site serves the page, and the modules in a folder that it imports.
func (s *sharing) site(t *testing.T, modules string) http.Handler {
	t.Helper()
	mux := http.NewServeMux()
	mux.Handle("GET /client/", http.StripPrefix("/client", http.FileServer(http.Dir(modules))))
	mux.HandleFunc("GET /favicon.ico", func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusNoContent) })
	mux.HandleFunc("GET /{$}", func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "text/html; charset=utf-8")
		if err := sharingPage.Execute(w, map[string]string{"Gateway": s.gateway.public, "Channel": sharedChannel}); err != nil {
			t.Error(err)
		}
	})
	return mux
}

// do does what the script asks for.
func (s *sharing) do(ctx context.Context, q request) (answer map[string]any, err error) {
	answer = map[string]any{}
	switch q.Do {
	case "config":
		return s.config, nil
	case "traffic":
		s.begin(ctx)
	case "quiet":
		answer["cursors"], err = s.quiet()
	case "single":
		answer["ever"], err = s.single(ctx)
	default:
		err = fmt.Errorf("the script asks for %q", q.Do)
	}
	return answer, err
}

// errQuiet is why traffic ends that was asked to.
var errQuiet = errors.New("nothing more is to be published")

// begin publishes an event every 10 ms until it is to be quiet.
func (s *sharing) begin(ctx context.Context) {
	ctx, s.end = context.WithCancelCause(ctx)
	s.traffic.Go(func() {
		tick := time.NewTicker(publishEvery)
		defer tick.Stop()
		for {
			select {
			case <-tick.C:
			case <-ctx.Done():
				if cause := context.Cause(ctx); !errors.Is(cause, errQuiet) {
					s.failed = cause
				}
				return
			}
			// What has begun is published, lest nobody knows whether it was.
			cursor, err := s.publish(context.WithoutCancel(ctx), len(s.cursors)+1)
			if err != nil {
				s.failed = err
				return
			}
			s.cursors = append(s.cursors, cursor)
		}
	})
}

// quiet ends the traffic and returns the cursors of all that was ever published, in order.
func (s *sharing) quiet() ([]string, error) {
	s.end(errQuiet)
	s.traffic.Wait()
	return s.cursors, s.failed
}

// publish publishes over HTTP the event with a number, and returns its cursor.
func (s *sharing) publish(ctx context.Context, n int) (string, error) {
	body := fmt.Appendf(nil, `{"channel":%q,"event":{"type":"x.counted","source":"worker-1","data":{"n":%d}}}`, sharedChannel, n)
	q, err := http.NewRequestWithContext(ctx, http.MethodPost, s.gateway.public+"/v1/publish", bytes.NewReader(body))
	if err != nil {
		return "", err
	}
	q.Header.Set("Content-Type", "application/json")
	a, err := s.http.Do(q)
	if err != nil {
		return "", err
	}
	defer a.Body.Close()
	if a.StatusCode != http.StatusOK {
		return "", fmt.Errorf("publish %d: %s", n, a.Status)
	}
	var published struct{ Cursor string }
	err = json.NewDecoder(a.Body).Decode(&published)
	return published.Cursor, err
}

// single waits until the gateway has one connection, and returns how many it was ever asked for.
func (s *sharing) single(ctx context.Context) (ever float64, err error) {
	ctx, cancel := context.WithTimeout(ctx, 10*time.Second)
	defer cancel()
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for {
		open, ever, err := s.connections(ctx)
		if err != nil || open == 1 {
			return ever, err
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
			return 0, fmt.Errorf("the gateway has %v connections: %w", open, ctx.Err())
		}
	}
}

// connections returns how many the gateway has, and how many it was ever asked for, over whatever transport.
func (s *sharing) connections(ctx context.Context) (open, ever float64, err error) {
	q, err := http.NewRequestWithContext(ctx, http.MethodGet, s.gateway.admin+"/metrics", http.NoBody)
	if err != nil {
		return 0, 0, err
	}
	a, err := s.http.Do(q)
	if err != nil {
		return 0, 0, err
	}
	defer a.Body.Close()
	samples := 0
	for lines := bufio.NewScanner(a.Body); lines.Scan(); {
		name, value, _ := strings.Cut(lines.Text(), " ")
		family, _, _ := strings.Cut(name, "{")
		var sum *float64
		switch family {
		case "tallywire_connections":
			sum = &open
		case "tallywire_connections_total":
			sum = &ever
		default:
			continue
		}
		n, err := strconv.ParseFloat(value, 64)
		if err != nil {
			return 0, 0, fmt.Errorf("%s: %w", name, err)
		}
		*sum += n
		samples++
	}
	if samples == 0 {
		return 0, 0, fmt.Errorf("the gateway does not say: %s", a.Status)
	}
	return open, ever, nil
}
