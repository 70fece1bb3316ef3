package admin_test

import (
	"net/http"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/tallywire/tallywire/gateway/admin"
	"github.com/tallywire/tallywire/gateway/auth"
)

// TestContract: what the document describes is what there is, and the reverse.
func TestContract(t *testing.T) {
	r := newRig(t, rigOptions{cluster: &cluster{}, change: func(o *admin.Options) {
		a, err := admin.New(*o)
		require.NoError(t, err)
		var described []string
		for path, operations := range loadContract(t).document["paths"].(object) {
			for method := range operations.(object) {
				described = append(described, strings.ToUpper(method)+" "+path)
			}
		}
		require.ElementsMatch(t, a.Routes(), described)
	}})
	document := r.document
	require.Equal(t, "3.1.0", document["openapi"])
	// Every schema can be compiled, so that no reference leads nowhere.
	for name := range document["components"].(object)["schemas"].(object) {
		r.schema(t, "components", "schemas", name)
	}
	// It is served without a token.
	status, body := r.call(http.MethodGet, "/admin/openapi.json", "", "")
	require.Equal(t, http.StatusOK, status)
	require.Equal(t, "3.1.0", body["openapi"])
}

// TestWhoMayUseIt: every call refuses everybody but operators.
func TestWhoMayUseIt(t *testing.T) {
	r := newRig(t, rigOptions{cluster: &cluster{locals: []*local{newLocal("gw-1")}}})
	everything := []string{"*"}
	all := auth.Permissions{Subscribe: everything, Publish: everything, Presence: everything, History: everything, Edit: everything}
	allAndAdmin := all
	allAndAdmin.Admin = true
	expired, err := auth.Mint([]byte(secret), auth.Claims{
		User: "ops", Audience: admin.DefaultAudience, IssuedAt: time.Now().Add(-time.Hour), Permissions: auth.Permissions{Admin: true},
	}, time.Minute)
	require.NoError(t, err)
	for name, c := range map[string]struct {
		token  string
		status int
		code   string
	}{
		"nobody":                          {"", 401, "unauthorized"},
		"a word":                          {"admin", 401, "unauthorized"},
		"a client's token":                {r.mint("alice", "", all), 401, "unauthorized"},
		"a client's token that says more": {r.mint("alice", "", allAndAdmin), 401, "unauthorized"},
		"the audience alone":              {r.mint("alice", admin.DefaultAudience, all), 403, "forbidden"},
		"an expired token":                {expired, 401, "token_expired"},
	} {
		t.Run(name, func(t *testing.T) {
			for _, route := range r.routes() {
				method, path, _ := strings.Cut(route, " ")
				content := ""
				if method == http.MethodPost {
					content = `{}`
				}
				status, body := r.call(method, path, content, c.token)
				require.Equal(t, c.code, body["code"], route)
				require.Equal(t, c.status, status, route)
			}
		})
	}
	for _, line := range r.log.lines(t, "admin_refused") {
		require.NotEmpty(t, line["remote"])
		require.NotEmpty(t, line["code"])
	}
	require.Len(t, r.log.lines(t, "admin_refused"), 6*len(r.routes()))
	require.NotContains(t, r.log.text(), expired, "tokens are not logged")
}

// routes returns every call of the contract but the document's own, with something in place of parameters.
func (r *rig) routes() (out []string) {
	for path, operations := range r.document["paths"].(object) {
		for method := range operations.(object) {
			if path != "/admin/openapi.json" {
				path := strings.NewReplacer("{channel}", "jobs:1", "{cursor}", "2-2", "{user}", "alice").Replace(path)
				out = append(out, strings.ToUpper(method)+" "+path)
			}
		}
	}
	slices.Sort(out)
	return out
}

// TestTokensComeInTheHeaderOnly: nothing that a browser sends by itself opens the API.
func TestTokensComeInTheHeaderOnly(t *testing.T) {
	r := newRig(t, rigOptions{cluster: &cluster{}})
	for name, change := range map[string]func(*http.Request){
		"query":  func(q *http.Request) { q.URL.RawQuery = "token=" + r.token + "&access_token=" + r.token },
		"cookie": func(q *http.Request) { q.Header.Set("Cookie", "token="+r.token) },
		"basic":  func(q *http.Request) { q.SetBasicAuth("ops", r.token) },
	} {
		t.Run(name, func(t *testing.T) {
			q, err := http.NewRequestWithContext(t.Context(), http.MethodGet, r.url+"/admin/v1/whoami", http.NoBody)
			require.NoError(t, err)
			change(q)
			a, err := http.DefaultClient.Do(q)
			require.NoError(t, err)
			defer a.Body.Close()
			require.Equal(t, http.StatusUnauthorized, a.StatusCode)
			require.Contains(t, a.Header.Get("WWW-Authenticate"), "Bearer")
			require.Empty(t, a.Header.Get("Access-Control-Allow-Origin"), "no other site may read")
		})
	}
}

func TestWhoami(t *testing.T) {
	r := newRig(t, rigOptions{cluster: &cluster{}})
	body := r.get("/admin/v1/whoami")
	require.Equal(t, "ops@example.com", body["user"])
	require.Equal(t, "gw-1", body["gateway"])
	require.Equal(t, object{"members": false, "directory": false, "dead_letters": true, "revocations": true, "tail": true}, body["can"])
	require.Empty(t, r.log.text(), "what a console asks every other second is not worth a line")
}

func TestActionsAreLogged(t *testing.T) {
	l := newLocal("gw-1")
	r := newRig(t, rigOptions{cluster: &cluster{locals: []*local{l}}})
	r.post("/admin/v1/sessions/disconnect", `{"user":"alice","session":"s1"}`)
	r.refused(400, "invalid_channel", http.MethodPost, "/admin/v1/publish", `{"channel":"a b","event":{"type":"x"}}`)
	lines := r.log.lines(t, "admin_action")
	require.Len(t, lines, 2)
	require.Equal(t, "ops@example.com", lines[0]["actor"])
	require.NotEmpty(t, lines[0]["actor_token"])
	require.Equal(t, "/admin/v1/sessions/disconnect", lines[0]["route"])
	require.Equal(t, object{"user": "alice", "session": "s1", "closed": 0.0, "complete": true}, lines[0]["did"])
	require.Equal(t, "invalid_channel", lines[1]["code"])
	r.get("/admin/v1/users/alice/sessions")
	require.Len(t, r.log.lines(t, "admin_read"), 1, "who looks at people is known")
}

func TestTooManyAtOnce(t *testing.T) {
	inside, leave := make(chan struct{}), make(chan struct{})
	letGo := sync.OnceFunc(func() { close(leave) })
	r := newRig(t, rigOptions{cluster: &cluster{}, change: func(o *admin.Options) {
		o.Inflight = 1
		o.Members = blocking{inside, leave}
	}})
	t.Cleanup(letGo) // before the server waits for the request
	done := make(chan struct{})
	go func() {
		defer close(done)
		q, _ := http.NewRequestWithContext(t.Context(), http.MethodGet, r.url+"/admin/v1/channels/jobs:1/members", http.NoBody)
		q.Header.Set("Authorization", "Bearer "+r.token)
		if a, err := http.DefaultClient.Do(q); err == nil {
			a.Body.Close()
		}
	}()
	<-inside
	body := r.refused(503, "overloaded", http.MethodGet, "/admin/v1/whoami", "")
	require.Equal(t, true, body["retry"])
	letGo()
	<-done
	r.get("/admin/v1/whoami")
}

func TestWrongAddressesAndMethods(t *testing.T) {
	r := newRig(t, rigOptions{cluster: &cluster{}})
	r.refused(404, "not_found", http.MethodGet, "/admin/v1/nothing", "")
	r.refused(404, "not_found", http.MethodGet, "/v2/", "")
	r.refused(404, "not_found", http.MethodGet, "/console/nothing.js", "")
	r.refused(404, "not_found", http.MethodGet, "/console/..%2fadmin.go", "")
	r.refused(405, "unsupported", http.MethodDelete, "/admin/v1/revocations", "")
	r.refused(405, "unsupported", http.MethodGet, "/admin/v1/publish", "")
}
