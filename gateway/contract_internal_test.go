package gateway

import (
	"encoding/json"
	"net/http"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/labstack/echo/v4"
	"github.com/stretchr/testify/require"

	"github.com/tallywire/tallywire/namespace"
)

// What the contract describes is what the router has.
func TestTheContractHasTheRoutes(t *testing.T) {
	o := Options{}
	o.setDefaults()
	c, err := newContract(&o)
	require.NoError(t, err)
	g := &Gateway{options: o, contract: c}
	router, ok := g.routes().(*echo.Echo)
	require.True(t, ok)
	parameter := regexp.MustCompile(`:(\w+)`)
	var routed []string
	for _, r := range router.Routes() {
		if r.Method == echo.RouteNotFound || r.Method == http.MethodOptions {
			continue
		}
		routed = append(routed, r.Method+" "+parameter.ReplaceAllString(r.Path, "{$1}"))
	}
	var document struct{ Paths map[string]map[string]any }
	require.NoError(t, json.Unmarshal(c.OpenAPI.Bytes(), &document))
	var described []string
	for path, item := range document.Paths {
		for method := range item {
			described = append(described, strings.ToUpper(method)+" "+path)
		}
	}
	slices.Sort(routed)
	slices.Sort(described)
	require.Equal(t, described, routed)
}

// The words of package namespace, which the frames' shapes cannot import.
func TestTheContractHasTheAcks(t *testing.T) {
	o := Options{}
	o.setDefaults()
	c, err := newContract(&o)
	require.NoError(t, err)
	var document struct {
		Components struct {
			Schemas map[string]struct{ Enum []string }
		}
	}
	require.NoError(t, json.Unmarshal(c.AsyncAPI.Bytes(), &document))
	require.ElementsMatch(t, []string{string(namespace.AckStored), string(namespace.AckReplicated)}, document.Components.Schemas["AckLevel"].Enum)
}
