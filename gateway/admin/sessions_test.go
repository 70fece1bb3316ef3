package admin_test

import (
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/tallywire/tallywire/gateway/admin"
	"github.com/tallywire/tallywire/gateway/auth"
	"github.com/tallywire/tallywire/gateway/inspect"
	"github.com/tallywire/tallywire/presence"
)

func TestSessions(t *testing.T) {
	now := time.Now()
	first, second := newLocal("gw-1"), newLocal("gw-2")
	first.sessions = []inspect.Session{
		{User: "oidc|a/b", Session: "tab-1", Transport: "websocket", Since: now, Subscriptions: []inspect.Subscription{{Channel: "jobs:1", From: "1-1", Cursor: "4-4", Behind: 2}}},
		{User: "somebody", Session: "tab-9", Transport: "websocket", Since: now},
	}
	second.sessions = []inspect.Session{{User: "oidc|a/b", Session: "tab-2", Transport: "sse", Since: now.Add(-time.Minute)}}
	r := newRig(t, rigOptions{
		cluster: &cluster{locals: []*local{first, second}, missing: []admin.Missing{{Gateway: "gw-3", Reason: admin.NoAnswer}}},
		change: func(o *admin.Options) {
			o.Directory = &directory{sessions: map[string][]presence.SessionInfo{"oidc|a/b": {
				{Session: "tab-1", Gateway: "gw-1", Transport: "websocket", Since: now},
				{Session: "gone", Gateway: "gw-2", Transport: "websocket", Since: now},
				{Session: "tab-3", Gateway: "gw-3", Transport: "poll", Since: now.Add(-time.Hour), Channels: []string{"jobs:2"}, ChannelCount: 1},
			}}}
		},
	})
	body := r.get("/admin/v1/users/oidc%7Ca%2Fb/sessions")
	require.Equal(t, "oidc|a/b", body["user"])
	require.Equal(t, false, body["complete"])
	sessions := list(t, body, "sessions")
	require.Len(t, sessions, 3, "the gateway's word counts, where it answers")
	require.Equal(t, "tab-3", sessions[0]["session"], "the oldest first")
	require.Equal(t, false, sessions[0]["confirmed"])
	require.Equal(t, []any{"jobs:2"}, sessions[0]["channels"])
	require.Equal(t, "tab-2", sessions[1]["session"])
	require.Equal(t, true, sessions[2]["confirmed"])
	require.InDelta(t, 2, list(t, sessions[2], "subscriptions")[0]["behind"], 0)

	body = r.get("/admin/v1/users/nobody/sessions")
	require.Empty(t, list(t, body, "sessions"), "an unknown user is not connected")
	r.refused(400, "invalid_request", http.MethodGet, "/admin/v1/users/a%20b/sessions", "")
	r.refused(400, "invalid_request", http.MethodGet, "/admin/v1/users/"+strings.Repeat("x", 129)+"/sessions", "")
}

func TestDisconnect(t *testing.T) {
	first, second := newLocal("gw-1"), newLocal("gw-2")
	second.sessions = []inspect.Session{{User: "alice", Session: "tab-2"}}
	r := newRig(t, rigOptions{cluster: &cluster{locals: []*local{first, second}}})
	body := r.post("/admin/v1/sessions/disconnect", `{"user":"alice","session":"tab-2"}`)
	require.InDelta(t, 1, body["closed"], 0)
	require.Equal(t, []object{{"gateway": "gw-2", "closed": 1.0}}, list(t, body, "gateways"))
	require.Equal(t, []string{"alice/tab-2"}, first.closed, "every gateway is asked: the session may have moved")
	body = r.post("/admin/v1/sessions/disconnect", `{"user":"alice","session":"tab-0"}`)
	require.InDelta(t, 0, body["closed"], 0)
	for _, content := range []string{
		`{"user":"alice"}`, `{"session":"tab-2"}`, `{"user":"*","session":"tab-2"}`, `{"user":"alice","session":"a\u0000b"}`,
		`{"user":"alice","session":"tab-2","force":true}`, `[]`, `{`, `{"user":1,"session":"x"}`, `{"user":"alice","session":"tab-2"}{}`,
	} {
		r.refused(400, "invalid_request", http.MethodPost, "/admin/v1/sessions/disconnect", content)
	}
	require.Len(t, first.closed, 2, "nothing was done")
}

// TestBodies: a form of another site cannot make one, and none is endless.
func TestBodies(t *testing.T) {
	r := newRig(t, rigOptions{cluster: &cluster{}})
	q, err := http.NewRequestWithContext(t.Context(), http.MethodPost, r.url+"/admin/v1/revocations", strings.NewReader(`{"user":"alice"}`))
	require.NoError(t, err)
	q.Header.Set("Authorization", "Bearer "+r.token)
	q.Header.Set("Content-Type", "text/plain")
	a, err := http.DefaultClient.Do(q)
	require.NoError(t, err)
	a.Body.Close()
	require.Equal(t, http.StatusBadRequest, a.StatusCode)
	revoked, err := r.revoked.List(t.Context())
	require.NoError(t, err)
	require.Empty(t, revoked)
	r.refused(413, "frame_too_large", http.MethodPost, "/admin/v1/revocations", `{"user":"`+strings.Repeat("x", 300<<10)+`"}`)
}

func TestRevocations(t *testing.T) {
	r := newRig(t, rigOptions{cluster: &cluster{}})
	body := r.post("/admin/v1/revocations", `{"user":"alice"}`)
	require.Equal(t, "alice", body["user"])
	require.NotEmpty(t, body["before"])
	body = r.post("/admin/v1/revocations", `{"token_id":"t-1","ttl":"1h"}`)
	require.NotContains(t, body, "before")
	expires, err := time.Parse(time.RFC3339, body["expires"].(string))
	require.NoError(t, err)
	require.WithinDuration(t, time.Now().Add(time.Hour), expires, time.Minute)
	r.post("/admin/v1/revocations", `{"user":"bob","before":"2026-01-02T03:04:05Z"}`)

	body = r.get("/admin/v1/revocations?limit=2")
	require.InDelta(t, 3, body["count"], 0)
	page := list(t, body, "revocations")
	require.Equal(t, "t-1", page[0]["token_id"])
	require.Equal(t, "alice", page[1]["user"])
	body = r.get("/admin/v1/revocations?after=" + body["next"].(string))
	require.Equal(t, "2026-01-02T03:04:05Z", list(t, body, "revocations")[0]["before"])
	require.Empty(t, body["next"])

	for _, content := range []string{
		`{}`, `{"user":"alice","token_id":"t"}`, `{"user":"a b"}`, `{"token_id":"a b"}`, `{"user":"alice","before":"yesterday"}`,
		`{"user":"alice","before":"2999-01-01T00:00:00Z"}`, `{"user":"alice","expires":"2001-01-01T00:00:00Z"}`,
		`{"user":"alice","ttl":"soon"}`, `{"user":"alice","ttl":"-1h"}`, `{"user":"alice","ttl":"1h","expires":"2030-01-01T00:00:00Z"}`,
		`{"token_id":"t","before":"2026-01-02T03:04:05Z"}`, `{"userr":"alice"}`,
	} {
		r.refused(400, "invalid_request", http.MethodPost, "/admin/v1/revocations", content)
	}
	require.InDelta(t, 3, r.get("/admin/v1/revocations")["count"], 0)
}

// TestRevokedOperator: a token that was revoked opens nothing any more.
func TestRevokedOperator(t *testing.T) {
	r := newRig(t, rigOptions{cluster: &cluster{}})
	other := r.mint("other", admin.DefaultAudience, auth.Permissions{Admin: true})
	status, _ := r.call(http.MethodGet, "/admin/v1/whoami", "", other)
	require.Equal(t, http.StatusOK, status)
	r.post("/admin/v1/revocations", `{"user":"other"}`)
	require.Eventually(t, func() bool {
		status, body := r.call(http.MethodGet, "/admin/v1/whoami", "", other)
		return status == http.StatusUnauthorized && body["code"] == "token_revoked"
	}, patience, 5*time.Millisecond)
}
