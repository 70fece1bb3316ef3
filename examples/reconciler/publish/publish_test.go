package publish_test

import (
	"bytes"
	"context"
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/tallywire/tallywire/events"
	"github.com/tallywire/tallywire/examples/reconciler/publish"
	"github.com/tallywire/tallywire/examples/reconciler/reconcile"
	"github.com/tallywire/tallywire/internal/redistest"
)

const library = "../../../broker/redisbroker/functions/tallywire.lua"

func event(id string) events.Event {
	return events.Event{ID: id, Source: "worker-1", Type: "job.progress", Subject: "job/42", Data: json.RawMessage(`{"job_id":"42","percent":1}`)}
}

func batch(ids ...string) []reconcile.Publication {
	var out []reconcile.Publication
	for _, id := range ids {
		out = append(out, reconcile.Publication{Channel: "jobs:42", Event: event(id)})
	}
	return out
}

func startRedis(t *testing.T) (*redistest.Server, *publish.Redis) {
	t.Helper()
	server := redistest.Start(t)
	p, err := publish.NewRedis(server.URL(), "")
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, p.Close()) })
	return server, p
}

func load(t *testing.T, server *redistest.Server) {
	t.Helper()
	source, err := os.ReadFile(library)
	require.NoError(t, err)
	server.Do("FUNCTION", "LOAD", "REPLACE", string(source))
}

func TestRedisAppendsOnce(t *testing.T) {
	server, p := startRedis(t)
	load(t, server)
	ctx := t.Context()
	require.NoError(t, p.Publish(ctx, "jobs:42", event("a")))
	require.NoError(t, p.Publish(ctx, "jobs:42", event("a")), "a repetition is answered, not appended")
	require.NoError(t, p.PublishBatch(ctx, batch("a", "b", "c")))

	entries, err := server.Admin().XRange(ctx, "tw:{jobs:42}", "-", "+").Result()
	require.NoError(t, err)
	var ids []string
	for _, e := range entries[1:] { // the first opens the stream
		var got events.Event
		require.NoError(t, json.Unmarshal([]byte(e.Values["e"].(string)), &got))
		ids = append(ids, got.ID)
	}
	require.Equal(t, []string{"a", "b", "c"}, ids)
}

func TestRedisTellsRefusalsFromTrouble(t *testing.T) {
	server, p := startRedis(t)
	ctx := t.Context()
	err := p.Publish(ctx, "jobs:42", event("a"))
	require.ErrorIs(t, err, reconcile.ErrRefused)
	require.ErrorContains(t, err, "doctor --load")

	load(t, server)
	require.ErrorIs(t, p.Publish(ctx, "jobs 42", event("a")), reconcile.ErrRefused)
	bad := batch("a", "b")
	bad[1].Channel = "_reserved"
	require.ErrorIs(t, p.PublishBatch(ctx, bad), reconcile.ErrRefused)
	require.ErrorIs(t, p.Publish(ctx, "jobs:42", events.Event{ID: "a", Type: "not a type"}), reconcile.ErrRefused)

	server.Do("CONFIG", "SET", "maxmemory", "1mb", "maxmemory-policy", "noeviction")
	err = p.Publish(ctx, "jobs:42", event("z"))
	require.Error(t, err)
	require.NotErrorIs(t, err, reconcile.ErrRefused, "memory may be free again later")
	server.Do("CONFIG", "SET", "maxmemory", "0")
	require.NoError(t, p.Publish(ctx, "jobs:42", event("z")))

	server.Kill()
	err = p.PublishBatch(ctx, batch("x", "y"))
	require.Error(t, err)
	require.NotErrorIs(t, err, reconcile.ErrRefused)
}

func TestRunOverRedis(t *testing.T) {
	server, p := startRedis(t)
	load(t, server)
	left, right := reconcile.Bundled()
	totals, err := reconcile.Run(t.Context(), reconcile.Options{
		JobID: "recon-1", Left: left, Right: right, Tolerances: reconcile.DefaultTolerances,
	}, p)
	require.NoError(t, err)
	require.Equal(t, 166, totals.Matches[reconcile.Unmatched])

	admin := server.Admin()
	last, err := admin.XRevRangeN(t.Context(), "tw:{jobs:recon-1}", "+", "-", 1).Result()
	require.NoError(t, err)
	require.Contains(t, last[0].Values["e"], `"type":"job.completed"`)
	n, err := admin.XLen(t.Context(), "tw:{matches:recon-1}").Result()
	require.NoError(t, err)
	all := totals.Matches
	least := all[reconcile.Matched] + all[reconcile.Suggested] + all[reconcile.Unmatched] + all[reconcile.Duplicate]
	require.Greater(t, n, int64(least), "every match, every exception, and the genesis")
}

func TestHTTP(t *testing.T) {
	var got []string
	answer, status := `{"cursor":"2-1","ack":"stored","duplicate":false}`, http.StatusOK
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, err := io.ReadAll(r.Body)
		if err != nil {
			http.Error(w, err.Error(), http.StatusBadRequest)
			return
		}
		got = append(got, r.Method+" "+r.URL.Path+" "+r.Header.Get("Authorization")+" "+r.Header.Get("Content-Type")+" "+string(body))
		w.WriteHeader(status)
		_, _ = io.WriteString(w, answer)
	}))
	t.Cleanup(server.Close)
	p, err := publish.NewHTTP(server.URL+"/", "secret")
	require.NoError(t, err)
	ctx := t.Context()

	require.NoError(t, p.Publish(ctx, "jobs:42", event("a")))
	require.NoError(t, p.PublishBatch(ctx, batch("a", "b")))
	one := func(id string) string {
		return `{"channel":"jobs:42","event":{"id":"` + id + `","source":"worker-1","type":"job.progress","subject":"job/42","data":{"job_id":"42","percent":1}}}`
	}
	const head = "POST /v1/publish Bearer secret application/json "
	require.Equal(t, []string{head + one("a"), head + `{"events":[` + one("a") + "," + one("b") + "]}"}, got)

	for _, c := range []struct {
		status  int
		answer  string
		says    string
		refused bool
	}{
		{422, `{"code":"invalid_event","detail":"data.percent: must be <= 100"}`, "status 422: invalid_event data.percent: must be <= 100", true},
		{403, `not json`, "status 403: no reason given", true},
		{429, `{"code":"rate_limited","title":"Slow down"}`, "status 429: rate_limited Slow down", false},
		{503, ``, "status 503", false},
		{507, `{"code":"refused","title":"Insufficient Storage","retry":false}`, "status 507: refused Insufficient Storage", true},
		{401, `{"code":"token_expired","retry":true}`, "status 401: token_expired", false},
		{207, `{"results":[{"cursor":"2-1"},{"error":{"code":"unavailable","detail":"later","retry":true}}]}`, "event 1 of the batch: unavailable later", false},
		{207, `{"results":[{"error":{"code":"unavailable","retry":true}},{"error":{"code":"forbidden"}}]}`, "event 1 of the batch: forbidden", true},
	} {
		status, answer = c.status, c.answer
		err := p.PublishBatch(ctx, batch("a", "b"))
		require.ErrorContains(t, err, c.says)
		if c.refused {
			require.ErrorIs(t, err, reconcile.ErrRefused, c.says)
		} else {
			require.NotErrorIs(t, err, reconcile.ErrRefused, c.says)
		}
	}
	server.Close()
	err = p.Publish(ctx, "jobs:42", event("a"))
	require.Error(t, err)
	require.NotErrorIs(t, err, reconcile.ErrRefused)
	require.NoError(t, p.Close())
}

func TestURLsAreChecked(t *testing.T) {
	for _, url := range []string{"", "127.0.0.1:8080", "ftp://x", "http://user:pw@x", "http://x?token=1"} {
		_, err := publish.NewHTTP(url, "")
		require.Error(t, err, url)
		require.NotContains(t, err.Error(), "pw")
	}
	_, err := publish.NewRedis("http://x", "")
	require.Error(t, err)
}

func TestWriterWritesLines(t *testing.T) {
	var b bytes.Buffer
	w := publish.NewWriter(&b)
	require.NoError(t, w.Publish(context.Background(), "jobs:42", event("a")))
	require.NoError(t, w.Publish(context.Background(), "jobs:42", event("b")))
	require.NoError(t, w.Close())
	lines := strings.Split(strings.TrimSpace(b.String()), "\n")
	require.Len(t, lines, 2)
	require.JSONEq(t, `{"channel":"jobs:42","event":{"id":"a","source":"worker-1","type":"job.progress","subject":"job/42","data":{"job_id":"42","percent":1}}}`, lines[0])
	require.ErrorIs(t, w.Publish(context.Background(), "jobs:42", events.Event{}), reconcile.ErrRefused)
}
