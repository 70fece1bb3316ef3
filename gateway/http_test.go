package gateway_test

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/tallywire/tallywire/broker"
	"github.com/tallywire/tallywire/gateway/auth"
	"github.com/tallywire/tallywire/gateway/wire"
	"github.com/tallywire/tallywire/namespace"
)

// published is the answer for one event.
type published struct {
	Channel   string
	Cursor    *broker.Cursor
	Ack       string
	Duplicate bool
	Error     *wire.Problem
}

func TestPublishesOverHTTP(t *testing.T) {
	r := newRig(t, rigOptions{})
	token := r.token("alice", &auth.Permissions{Publish: []string{"jobs:*"}})
	c := r.connect("bob", nil)
	c.subscribe("jobs:1", "")

	var one published
	resp := r.post(token, `{"channel":"jobs:1","event":{"type":"x","id":"7"}}`)
	require.Equal(t, http.StatusOK, resp.status, resp.body)
	resp.decode(t, &one)
	require.Equal(t, "stored", one.Ack)
	f := c.expect("event")
	require.Equal(t, *one.Cursor, *f.Cursor)
	require.JSONEq(t, `{"source":"alice","type":"x","id":"7"}`, string(f.Event))

	var again published
	r.post(token, `{"channel":"jobs:1","event":{"type":"x","id":"7"},"ack":"stored"}`).decode(t, &again)
	require.True(t, again.Duplicate)
	require.Equal(t, one.Cursor, again.Cursor)

	for body, want := range map[string]struct {
		status     int
		code, path string
	}{
		`{"channel":"other:1","event":{"type":"x"}}`:                                {403, "forbidden", ""},
		`{"channel":"jobs:{1}","event":{"type":"x"}}`:                               {400, "invalid_channel", "/channel"},
		`{"event":{"type":"x"}}`:                                                    {400, "invalid_channel", "/channel"},
		`{"channel":"jobs:1","event":null}`:                                         {422, "invalid_event", ""},
		`{"channel":"jobs:1"}`:                                                      {422, "invalid_event", ""},
		`{"channel":"jobs:1","event":{"type":"job.progress","data":{"percent":1}}}`: {422, "invalid_event", "/data/job_id"},
		`{"channel":"jobs:1","event":{"type":"x"},"ack":"perhaps"}`:                 {400, "invalid_frame", "/ack"},
		`{"channel":"jobs:1"`:                                                       {400, "invalid_request", ""},
		`[1]`:                                                                       {400, "invalid_request", ""},
		`null`:                                                                      {400, "invalid_channel", "/channel"},
		``:                                                                          {400, "invalid_request", ""},
		`{"channel":7}`:                                                             {400, "invalid_request", ""},
		`{"events":` + "[" + strings.Repeat(`{},`, 1000) + `{}]}`: {400, "invalid_request", ""},
	} {
		resp := r.post(token, body)
		require.Equal(t, want.status, resp.status, body[:min(len(body), 100)])
		p := resp.problem(t)
		require.Equal(t, want.code, string(p.Code))
		require.Equal(t, want.path, p.Path, p.Detail)
		require.NotContains(t, p.Detail, ": :")
		require.False(t, strings.HasPrefix(p.Detail, ":"), p.Detail)
	}
	c.send(`{"type":"ping"}`)
	c.expect("pong") // and nothing was published
}

func TestPublishesABatch(t *testing.T) {
	r := newRig(t, rigOptions{})
	token := r.token("alice", &auth.Permissions{Publish: []string{"jobs:*"}})
	var out struct{ Results []published }
	resp := r.post(token, `{"events":[{"channel":"jobs:1","event":{"type":"x"}},{"channel":"jobs:1","event":{"type":"y"}}]}`)
	require.Equal(t, http.StatusOK, resp.status)
	resp.decode(t, &out)
	require.Equal(t, out.Results[0].Cursor.Offset+1, out.Results[1].Cursor.Offset)

	resp = r.post(token, `{"events":[{"channel":"jobs:1","event":{"type":"x"}},{"channel":"other","event":{"type":"x"}},
		null,{"channel":"jobs:2","event":{"type":"job.progress"}},{"channel":"jobs:2","event":{"type":"x"}}]}`)
	require.Equal(t, http.StatusMultiStatus, resp.status)
	resp.decode(t, &out)
	require.Len(t, out.Results, 5)
	require.Equal(t, "jobs:1", out.Results[0].Channel)
	require.EqualValues(t, 4, out.Results[0].Cursor.Offset)
	require.Equal(t, wire.CodeForbidden, out.Results[1].Error.Code)
	require.Equal(t, wire.CodeInvalidChannel, out.Results[2].Error.Code)
	require.Equal(t, wire.CodeInvalidEvent, out.Results[3].Error.Code)
	require.Nil(t, out.Results[3].Cursor)
	require.EqualValues(t, 2, out.Results[4].Cursor.Offset)

	resp = r.post(token, `{"events":[]}`)
	require.Equal(t, http.StatusOK, resp.status)
	require.JSONEq(t, `{"results":[]}`, resp.body)
}

func TestHTTPWantsAToken(t *testing.T) {
	r := newRig(t, rigOptions{})
	for _, header := range []http.Header{
		nil,
		{"Authorization": {"Basic YTpi"}},
		{"Authorization": {"Bearer"}},
		{"Authorization": {"Bearer not.a.token"}},
	} {
		for _, resp := range []answer{
			r.get("/v1/channels/jobs:1/events", "", header),
			r.request(http.MethodPost, "/v1/publish", "", header, strings.NewReader(`{}`)),
		} {
			require.Equal(t, http.StatusUnauthorized, resp.status)
			require.Equal(t, wire.CodeUnauthorized, resp.problem(t).Code)
			require.Equal(t, `Bearer realm="tallywire"`, resp.header.Get("WWW-Authenticate"))
		}
	}
	require.Equal(t, http.StatusUnauthorized, r.get("/v1/channels/jobs:1/events?token="+r.token("alice", nil), "", nil).status)
}

func TestHTTPBodiesAreBounded(t *testing.T) {
	r := newRig(t, rigOptions{})
	token := r.token("alice", nil)
	body := `{"pad":"` + strings.Repeat("x", 5<<20) + `"}`
	resp := r.post(token, body)
	require.Equal(t, http.StatusRequestEntityTooLarge, resp.status)
	require.Equal(t, wire.CodeFrameTooLarge, resp.problem(t).Code)
	// The same without a length.
	resp = r.request(http.MethodPost, "/v1/publish", token, nil, struct{ *strings.Reader }{strings.NewReader(body)})
	require.Equal(t, http.StatusRequestEntityTooLarge, resp.status)
	require.Equal(t, wire.CodeFrameTooLarge, resp.problem(t).Code)
	// An event that only the gateway's own addition makes too large is refused, not published and lost.
	head := `{"type":"x","data":"`
	event := head + strings.Repeat("x", 64<<10-len(head)-2) + `"}`
	resp = r.post(token, `{"channel":"jobs:1","event":`+event+`}`)
	require.Equal(t, http.StatusUnprocessableEntity, resp.status, resp.body)
	require.Equal(t, wire.CodeInvalidEvent, resp.problem(t).Code)
}

func TestUnknownPathsAndMethods(t *testing.T) {
	r := newRig(t, rigOptions{})
	for path, method := range map[string]string{
		"/": http.MethodGet, "/v1/nothing": http.MethodGet, "/v2/ws": http.MethodGet, "/v1": http.MethodPost,
	} {
		resp := r.request(method, path, "", nil, nil)
		require.Equal(t, http.StatusNotFound, resp.status, path)
		require.Equal(t, wire.CodeNotFound, resp.problem(t).Code)
	}
	resp := r.request(http.MethodDelete, "/v1/publish", "", nil, nil)
	require.Equal(t, http.StatusMethodNotAllowed, resp.status)
	require.Equal(t, wire.CodeUnsupported, resp.problem(t).Code)
	head := r.request(http.MethodHead, "/v1/nothing", "", nil, nil)
	require.Equal(t, http.StatusNotFound, head.status)
}

// historyPage is the answer of GET /v1/channels/{channel}/events.
type historyPage struct {
	Channel            string
	Head, Oldest, Next broker.Cursor
	More               bool
	Skipped            uint64
	Events             []struct {
		Cursor  broker.Cursor
		Time    time.Time
		Event   json.RawMessage
		Skipped uint64
	}
	Reset *struct {
		Reason string
		Cursor broker.Cursor
	}
}

func (r *rig) history(channel, query string) historyPage {
	r.t.Helper()
	resp := r.get("/v1/channels/"+channel+"/events?"+query, r.token("alice", nil), nil)
	require.Equal(r.t, http.StatusOK, resp.status, resp.body)
	var page historyPage
	require.NoError(r.t, json.Unmarshal([]byte(resp.body), &page))
	return page
}

func TestHistory(t *testing.T) {
	r := newRig(t, rigOptions{})
	empty := r.history("jobs:none", "")
	require.Empty(t, empty.Events)
	require.False(t, empty.More)
	var cursors []broker.Cursor
	for n := range 25 {
		if n == 12 {
			cursors = append(cursors, r.publish("jobs:1", `{"type":"job.progress","data":{}}`)) // past the gateway
			continue
		}
		cursors = append(cursors, r.publish("jobs:1", event(n)))
	}
	var got []broker.Cursor
	query := "limit=10"
	for range 3 {
		page := r.history("jobs:1", query)
		require.Equal(t, cursors[24], page.Head)
		require.Equal(t, "jobs:1", page.Channel)
		require.Nil(t, page.Reset)
		for _, e := range page.Events {
			require.JSONEq(t, event(int(e.Cursor.Offset)-2), string(e.Event))
			require.Equal(t, e.Cursor.Time().UTC(), e.Time)
			require.Equal(t, e.Cursor == cursors[13], e.Skipped == 1)
			got = append(got, e.Cursor)
		}
		query = "limit=10&after=" + page.Next.String()
		require.Equal(t, page.Next != page.Head, page.More)
	}
	require.Equal(t, append(cursors[:12:12], cursors[13:]...), got)
	require.Empty(t, r.history("jobs:1", "after="+cursors[24].String()).Events)
	since := url.QueryEscape(cursors[19].Time().UTC().Format(time.RFC3339Nano))
	require.Equal(t, cursors[20], r.history("jobs:1", "since="+since).Events[0].Cursor)
	require.Equal(t, cursors[0], r.history("jobs:1", "after=0").Events[0].Cursor)
	// encodeURIComponent escapes the colon.
	require.Len(t, r.history("jobs%3A1", "limit=5").Events, 5)
}

func TestHistoryRefusals(t *testing.T) {
	r := newRig(t, rigOptions{})
	token := r.token("alice", &auth.Permissions{History: []string{"jobs:*"}, Publish: []string{"*"}})
	for path, want := range map[string]struct {
		status int
		code   wire.Code
	}{
		"jobs:1/events?limit=0":                              {400, wire.CodeInvalidRequest},
		"jobs:1/events?limit=1001":                           {400, wire.CodeInvalidRequest},
		"jobs:1/events?limit=x":                              {400, wire.CodeInvalidRequest},
		"jobs:1/events?after=4":                              {400, wire.CodeInvalidCursor},
		"jobs:1/events?after=4-":                             {400, wire.CodeInvalidCursor},
		"jobs:1/events?limit=":                               {400, wire.CodeInvalidRequest},
		"jobs:1/events?limit=1&limit=2":                      {400, wire.CodeInvalidRequest},
		"jobs:1/events?after=":                               {400, wire.CodeInvalidCursor},
		"jobs:1/events?after=%zz":                            {400, wire.CodeInvalidRequest},
		"jobs:1/events?after=1-1;limit=1":                    {400, wire.CodeInvalidRequest},
		"jobs:1/events?before=start":                         {400, wire.CodeInvalidCursor},
		"jobs:1/events?before=":                              {400, wire.CodeInvalidCursor},
		"jobs:1/events?before=end&before=0":                  {400, wire.CodeInvalidRequest},
		"jobs:1/events?before=9-9&after=1-1":                 {400, wire.CodeInvalidRequest},
		"jobs:1/events?after=1-1&since=2026-11-24T10:00:00Z": {400, wire.CodeInvalidRequest},
		"jobs:1/events?since=2026-11-24T10:00:00Z&until=2026-11-24T10:00:00Z": {400, wire.CodeInvalidRequest},
		"jobs:1/events?since=2026-11-24T10:00:00+01:00":                       {400, wire.CodeInvalidSince},
		"jobs:1/events?until=tomorrow":                                        {400, wire.CodeInvalidSince},
		"jobs:1/events?since=today":                                           {400, wire.CodeInvalidSince},
		"other:1/events":                                                      {403, wire.CodeForbidden},
		"_dead/events":                                                        {400, wire.CodeInvalidChannel},
		"a%7Bb%7D/events":                                                     {400, wire.CodeInvalidChannel},
		"a%0d%0aSet-Cookie:x/events":                                          {400, wire.CodeInvalidChannel},
		"a%00/events":                                                         {400, wire.CodeInvalidChannel},
		"a%2Fb/events":                                                        {400, wire.CodeInvalidChannel},
		strings.Repeat("a", 500) + "/events":                                  {400, wire.CodeInvalidChannel},
	} {
		resp := r.get("/v1/channels/"+path, token, nil)
		require.Equal(t, want.status, resp.status, "%s: %s", path, resp.body)
		require.Equal(t, want.code, resp.problem(t).Code, path)
	}
}

func TestHistoryResets(t *testing.T) {
	r := newRig(t, rigOptions{namespaces: map[string]namespace.Options{"jobs": {MaxLen: 5}}})
	first := r.publish("jobs:1", event(0))
	var last broker.Cursor
	for n := range 20 {
		last = r.publish("jobs:1", event(n+1))
	}
	for reason, after := range map[string]broker.Cursor{
		"trimmed": first, "forked": {Offset: last.Offset + 100, Stamp: last.Stamp + 100},
	} {
		page := r.history("jobs:1", "after="+after.String())
		require.NotNil(t, page.Reset)
		require.Equal(t, reason, page.Reset.Reason)
		require.Equal(t, last.Offset-5, page.Reset.Cursor.Offset)
		require.Len(t, page.Events, 5)
		require.Equal(t, last, page.Next)
	}
	page := r.history("jobs:none", fmt.Sprintf("after=%s", first))
	require.Equal(t, "expired", page.Reset.Reason)
	require.Empty(t, page.Events)
}
