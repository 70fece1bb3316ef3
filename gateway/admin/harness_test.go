package admin_test

import (
	"bytes"
	"context"
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/rs/zerolog"
	"github.com/santhosh-tekuri/jsonschema/v6"
	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"github.com/tallywire/tallywire/broker"
	"github.com/tallywire/tallywire/broker/membroker"
	"github.com/tallywire/tallywire/events"
	"github.com/tallywire/tallywire/gateway/admin"
	"github.com/tallywire/tallywire/gateway/auth"
	"github.com/tallywire/tallywire/namespace"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

const (
	secret   = "a secret of at least thirty-two bytes"
	patience = 10 * time.Second
)

// rig is an admin API over an embedded store.
type rig struct {
	t       *testing.T
	store   *membroker.Store
	broker  broker.Broker
	dead    *membroker.Dead
	revoked *auth.Memory
	log     *logBuffer
	contract
	url   string
	token string // of an operator
}

type rigOptions struct {
	cluster    admin.Cluster
	namespaces map[string]namespace.Options
	store      *membroker.Store
	change     func(*admin.Options)
}

func newRig(t *testing.T, o rigOptions) *rig {
	t.Helper()
	table, err := namespace.NewTable(o.namespaces)
	require.NoError(t, err)
	registry, err := events.NewRegistry(events.Options{})
	require.NoError(t, err)
	store := o.store
	if store == nil {
		store = membroker.NewStore(membroker.Options{Namespaces: table})
	}
	r := &rig{
		t: t, store: store, broker: store.Broker(), dead: membroker.NewDead(500), revoked: auth.NewMemory(nil), log: &logBuffer{},
		contract: loadContract(t),
	}
	authenticator, err := auth.New(auth.Options{Secret: secret, Audience: admin.DefaultAudience, Revocations: r.revoked})
	require.NoError(t, err)
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- authenticator.Run(ctx) }()
	options := admin.Options{
		Gateway: "gw-1", Cluster: o.cluster, Store: r.broker, Namespaces: table, Registry: registry, Auth: authenticator,
		Dead: r.dead, Revocations: r.revoked,
		Mint:   func(c auth.Claims, ttl time.Duration) (string, error) { return auth.Mint([]byte(secret), c, ttl) },
		Client: http.NotFoundHandler(),
		Log:    zerolog.New(r.log).Level(zerolog.InfoLevel),
	}
	if o.change != nil {
		o.change(&options)
	}
	a, err := admin.New(options)
	require.NoError(t, err)
	server := httptest.NewServer(a)
	r.url, r.token = server.URL, r.mint("ops@example.com", admin.DefaultAudience, auth.Permissions{Admin: true})
	t.Cleanup(func() {
		server.Close()
		http.DefaultClient.CloseIdleConnections()
		cancel()
		require.NoError(t, <-ended)
	})
	return r
}

func (r *rig) mint(user, audience string, p auth.Permissions) string {
	r.t.Helper()
	token, err := auth.Mint([]byte(secret), auth.Claims{User: user, Audience: audience, Permissions: p}, time.Hour)
	require.NoError(r.t, err)
	return token
}

// publish publishes past the API, as a worker would, also what is invalid.
func (r *rig) publish(channel, event string) broker.Cursor {
	r.t.Helper()
	ctx, cancel := context.WithTimeout(r.t.Context(), patience)
	defer cancel()
	receipt, err := broker.PublishWait(ctx, r.broker, broker.Publication{Channel: channel, Event: []byte(event)})
	require.NoError(r.t, err)
	return receipt.Cursor
}

// object is a decoded JSON object.
type object = map[string]any

// get asks as an operator and expects a good answer.
func (r *rig) get(path string) object {
	r.t.Helper()
	status, body := r.call(http.MethodGet, path, "", r.token)
	require.Equal(r.t, http.StatusOK, status, "%v", body)
	return body
}

// post does something as an operator and expects a good answer.
func (r *rig) post(path, content string) object {
	r.t.Helper()
	status, body := r.call(http.MethodPost, path, content, r.token)
	require.Equal(r.t, http.StatusOK, status, "%v", body)
	return body
}

// refused expects a problem with a status and a code.
func (r *rig) refused(status int, code, method, path, content string) object {
	r.t.Helper()
	got, body := r.call(method, path, content, r.token)
	require.Equal(r.t, code, body["code"], "%v", body)
	require.Equal(r.t, status, got, "%v", body)
	return body
}

// call sends a request and holds the answer against the contract.
func (r *rig) call(method, path, content, token string) (int, object) {
	r.t.Helper()
	q, err := http.NewRequestWithContext(r.t.Context(), method, r.url+path, strings.NewReader(content))
	require.NoError(r.t, err)
	if content != "" {
		q.Header.Set("Content-Type", "application/json")
	}
	if token != "" {
		q.Header.Set("Authorization", "Bearer "+token)
	}
	a, err := http.DefaultClient.Do(q)
	require.NoError(r.t, err)
	defer a.Body.Close()
	raw, err := io.ReadAll(a.Body)
	require.NoError(r.t, err)
	r.check(r.t, method, q.URL, a, raw)
	var body object
	require.NoError(r.t, json.Unmarshal(raw, &body), "%s", raw)
	return a.StatusCode, body
}

// contract is the OpenAPI document.
type contract struct {
	document object
	compiler *jsonschema.Compiler
}

func loadContract(t *testing.T) contract {
	t.Helper()
	raw := admin.OpenAPI()
	document, err := jsonschema.UnmarshalJSON(bytes.NewReader(raw))
	require.NoError(t, err)
	compiler := jsonschema.NewCompiler()
	compiler.AssertFormat()
	require.NoError(t, compiler.AddResource("https://contract.example/openapi.json", document))
	return contract{document.(object), compiler}
}

// schema compiles what stands at a place of the document.
func (c contract) schema(t *testing.T, pointer ...string) *jsonschema.Schema {
	t.Helper()
	var b strings.Builder
	for _, token := range pointer {
		b.WriteString("/" + url.PathEscape(strings.NewReplacer("~", "~0", "/", "~1").Replace(token)))
	}
	s, err := c.compiler.Compile("https://contract.example/openapi.json#" + b.String())
	require.NoError(t, err)
	return s
}

// route returns the path of the document that a request's path is one of.
func (c contract) route(path string) string {
	want := strings.Split(path, "/")
	for name := range c.document["paths"].(object) {
		parts := strings.Split(name, "/")
		matches := len(parts) == len(want)
		for i := 0; matches && i < len(parts); i++ {
			matches = parts[i] == want[i] || strings.HasPrefix(parts[i], "{")
		}
		if matches {
			return name
		}
	}
	return ""
}

// check holds an answer against the contract. Where no operation is, a problem has to be.
func (c contract) check(t *testing.T, method string, u *url.URL, a *http.Response, raw []byte) {
	t.Helper()
	value, err := jsonschema.UnmarshalJSON(bytes.NewReader(raw))
	require.NoError(t, err, "%s", raw)
	kind, _, _ := strings.Cut(a.Header.Get("Content-Type"), ";")
	route, method := c.route(u.EscapedPath()), strings.ToLower(method)
	operations, _ := c.document["paths"].(object)[route].(object)
	if operations[method] == nil {
		require.Equal(t, "application/problem+json", kind)
		require.NoError(t, c.schema(t, "components", "schemas", "Problem").Validate(value))
		return
	}
	response := "default"
	if a.StatusCode == http.StatusOK {
		response = "200"
	}
	schema := c.schema(t, "paths", route, method, "responses", response, "content", kind, "schema")
	require.NoError(t, schema.Validate(value), "%s %s: %s", method, route, raw)
}

// logBuffer collects a log.
type logBuffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (l *logBuffer) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.Write(p)
}

func (l *logBuffer) text() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.String()
}

// lines returns the lines of an event.
func (l *logBuffer) lines(t *testing.T, event string) (out []object) {
	t.Helper()
	for line := range strings.Lines(l.text()) {
		var o object
		require.NoError(t, json.Unmarshal([]byte(line), &o))
		if o["event"] == event {
			out = append(out, o)
		}
	}
	return out
}

// list returns a member that is a list of objects.
func list(t *testing.T, o object, name string) []object {
	t.Helper()
	items, ok := o[name].([]any)
	require.True(t, ok, "%s in %v", name, o)
	out := make([]object, len(items))
	for i, item := range items {
		out[i], ok = item.(object)
		require.True(t, ok)
	}
	return out
}
