package gateway_test

import (
	"encoding/json"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/tallywire/tallywire/broker/relay"
	"github.com/tallywire/tallywire/events"
	"github.com/tallywire/tallywire/gateway"
	"github.com/tallywire/tallywire/gateway/wire"
)

// schemaRig has two versions of a type beside the built-in ones.
func schemaRig(t *testing.T) *rig {
	t.Helper()
	dir := t.TempDir()
	for name, text := range map[string]string{
		"acme.order.json":     `{"title":"An order","type":"object"}`,
		"acme.order.v10.json": `{"$id":"https://acme.example/order-10","type":"object","x-terminal":true}`,
		"acme.order.v2.json":  `{"type":"object","required":["id"]}`,
	} {
		require.NoError(t, os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600))
	}
	registry, err := events.NewRegistry(events.Options{Dir: dir})
	require.NoError(t, err)
	return newRig(t, rigOptions{change: func(o *gateway.Options) { o.Registry = registry }})
}

func TestSchemas(t *testing.T) {
	r := schemaRig(t)
	list := r.get("/schemas", "", nil)
	var types gateway.SchemaList
	list.decode(t, &types)
	orders := 0
	for _, entry := range types.Types {
		resp := r.get(entry.Href, "", nil)
		require.Equal(t, http.StatusOK, resp.status, entry.Href)
		require.Equal(t, "application/schema+json", resp.header.Get("Content-Type"))
		require.Equal(t, entry.Href, resp.header.Get("Content-Location"))
		require.True(t, json.Valid([]byte(resp.body)))
		byID := r.get("/schemas/"+entry.Name+"?dataschema="+url.QueryEscape(entry.ID), "", nil)
		require.Equal(t, resp.body, byID.body)
		canonical := "https://tallywire.dev/schemas/" + entry.Name + "/" + strconv.Itoa(entry.Version)
		require.Equal(t, resp.body, r.get("/schemas/"+entry.Name+"?dataschema="+canonical, "", nil).body)
		if entry.Name == "acme.order" {
			orders++
		}
	}
	require.Equal(t, 3, orders)
	require.Greater(t, len(types.Types), 12, "the built-in ones too")

	newest := r.get("/schemas/acme.order", "", nil)
	require.Contains(t, newest.body, "order-10")
	require.Equal(t, "/schemas/acme.order?version=10", newest.header.Get("Content-Location"))
	require.Contains(t, r.get("/schemas/acme.order?version=1", "", nil).body, "An order")
	// A page may read it, a token or not.
	page := http.Header{"Origin": {r.url}}
	require.Equal(t, r.url, r.get("/schemas/acme.order", "", page).header.Get("Access-Control-Allow-Origin"))

	for _, path := range []string{"/schemas", "/schemas/acme.order", "/schemas/acme.order?version=2"} {
		full := r.get(path, "", nil)
		tag := full.header.Get("ETag")
		require.Regexp(t, `^"[\w-]+"$`, tag)
		require.Equal(t, "no-cache", full.header.Get("Cache-Control"))
		again := r.get(path, "", http.Header{"If-None-Match": {tag}})
		require.Equal(t, http.StatusNotModified, again.status)
		require.Empty(t, again.body)
		require.Equal(t, tag, again.header.Get("ETag"))
		require.Equal(t, http.StatusOK, r.get(path, "", http.Header{"If-None-Match": {`"other"`}}).status)
		head := r.request(http.MethodHead, path, "", nil, nil)
		require.Equal(t, http.StatusOK, head.status)
		require.Empty(t, head.body)
		require.Equal(t, tag, head.header.Get("ETag"))
		require.Equal(t, strconv.Itoa(len(full.body)), head.header.Get("Content-Length"))
	}
}

func TestSchemasThatAreNotThere(t *testing.T) {
	r := schemaRig(t)
	for path, want := range map[string]struct {
		status int
		code   wire.Code
	}{
		"/schemas/acme.nothing":                            {404, wire.CodeNotFound},
		"/schemas/":                                        {404, wire.CodeNotFound},
		"/schemas/acme.order/1":                            {404, wire.CodeNotFound},
		"/schemas/..%2Fgo.mod":                             {404, wire.CodeNotFound},
		"/schemas/" + strings.Repeat("x", 1000):            {404, wire.CodeNotFound},
		"/schemas/acme.order?version=3":                    {404, wire.CodeNotFound},
		"/schemas/acme.order?dataschema=https://x.example": {404, wire.CodeNotFound},
		"/schemas/acme.order?dataschema=":                  {404, wire.CodeNotFound},
		"/schemas/acme.order?dataschema=job.progress":      {404, wire.CodeNotFound},
		"/schemas/acme.order?version=0":                    {400, wire.CodeInvalidRequest},
		"/schemas/acme.order?version=two":                  {400, wire.CodeInvalidRequest},
		"/schemas/acme.order?version=1&version=2":          {400, wire.CodeInvalidRequest},
		"/schemas/acme.order?version=1&dataschema=x":       {400, wire.CodeInvalidRequest},
	} {
		resp := r.get(path, "", nil)
		require.Equal(t, want.status, resp.status, "%s: %s", path, resp.body)
		require.Equal(t, want.code, resp.problem(t).Code, path)
	}
	require.Equal(t, http.StatusMethodNotAllowed, r.request(http.MethodPost, "/schemas/acme.order", "", nil, nil).status)

	// A registry that only checks has nothing to show.
	bare := newRig(t, rigOptions{change: func(o *gateway.Options) { o.Registry = struct{ relay.Checker }{o.Registry} }})
	require.Equal(t, http.StatusNotFound, bare.get("/schemas/job.progress", "", nil).status)
	require.JSONEq(t, `{"types":[]}`, bare.get("/schemas", "", nil).body)
}
