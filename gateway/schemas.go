package gateway

import (
	"bytes"
	"net/http"
	"net/url"
	"strconv"

	"github.com/labstack/echo/v4"

	"github.com/tallywire/tallywire/events"
	"github.com/tallywire/tallywire/gateway/wire"
)

// SchemaSource is what a Registry that can show its schemas has. *events.Registry does.
type SchemaSource interface {
	// Types returns all types, by name and version.
	Types() []events.Type
	// Schema returns the JSON Schema that goes by an $id.
	Schema(id string) ([]byte, bool)
}

// typeSchema is the media type of a JSON Schema.
const typeSchema = "application/schema+json"

// SchemaList is the answer of GET /schemas.
type SchemaList struct {
	Types []SchemaEntry `json:"types"`
}

// SchemaEntry is one version of an event type, and where its schema is.
type SchemaEntry struct {
	events.Type
	Href string `json:"href"`
}

// listSchemas handles GET and HEAD /schemas. Schemas are part of the published contract: they need no token.
func (g *Gateway) listSchemas(c echo.Context) error {
	source := g.schemaSource()
	list := SchemaList{Types: []SchemaEntry{}}
	if source != nil {
		for _, t := range source.Types() {
			list.Types = append(list.Types, SchemaEntry{Type: t, Href: schemaPath(t)})
		}
	}
	body, err := encodeJSON(list)
	if err != nil {
		return err
	}
	return answerRevalidated(c, echo.MIMEApplicationJSON, body)
}

// schema handles GET and HEAD /schemas/{type}?version=N, or ?dataschema=ID: a type's newest version unless one
// is named.
func (g *Gateway) schema(c echo.Context) error {
	name, err := url.PathUnescape(c.Param("type"))
	if err != nil {
		return wire.Errorf(wire.CodeInvalidRequest, "the type's name is badly escaped")
	}
	q := newQuery(c.Request())
	version, byVersion := q.get("version")
	id, byID := q.get("dataschema")
	number := 0
	if byVersion {
		if number, err = strconv.Atoi(version); err != nil || number < 1 {
			q.fail(wire.CodeInvalidRequest, "version: must be a number from 1")
		}
	}
	if byVersion && byID {
		q.fail(wire.CodeInvalidRequest, "version and dataschema: give one of the two")
	}
	if q.err != nil {
		return q.err
	}
	source := g.schemaSource()
	if source == nil {
		return wire.Errorf(wire.CodeNotFound, "this gateway shows no schemas")
	}
	var found *events.Type
	known := false
	var schema []byte
	wanted, _ := source.Schema(id)     // an id may have two forms, see events.Registry
	for _, t := range source.Types() { // ascending in their versions
		if t.Name != name {
			continue
		}
		known = true
		text, _ := source.Schema(t.ID)
		if !byVersion && !byID || byVersion && t.Version == number || byID && wanted != nil && bytes.Equal(text, wanted) {
			found, schema = &t, text
		}
	}
	switch {
	case !known:
		return wire.Errorf(wire.CodeNotFound, "no such event type; GET /schemas lists them")
	case found == nil:
		return wire.Errorf(wire.CodeNotFound, "the event type has no such version; GET /schemas lists them")
	}
	c.Response().Header().Set("Content-Location", schemaPath(*found))
	return answerRevalidated(c, typeSchema, schema)
}

// schemaPath is where a version's schema is. It is relative to the gateway's root.
func schemaPath(t events.Type) string {
	return "/schemas/" + url.PathEscape(t.Name) + "?version=" + strconv.Itoa(t.Version)
}

// schemaSource returns the registry, if it can show its schemas.
func (g *Gateway) schemaSource() SchemaSource {
	registry := g.options.Registry
	if safe, ok := registry.(*safeChecker); ok {
		registry = safe.Checker
	}
	source, _ := registry.(SchemaSource)
	return source
}

// answerRevalidated answers with a document that changes with the gateway's configuration only.
func answerRevalidated(c echo.Context, mediaType string, body []byte) error {
	c.Response().Header().Set(echo.HeaderCacheControl, "no-cache") // keep, but ask whether it is still so
	if notModified(c, digest(body)) {
		return c.NoContent(http.StatusNotModified) //nolint:wrapcheck // echo
	}
	c.Response().Header().Set(echo.HeaderContentLength, strconv.Itoa(len(body))) // for HEAD too
	return c.Blob(http.StatusOK, mediaType, body)                                //nolint:wrapcheck // echo
}
