package gateway

import (
	"net/http"
	"slices"
	"strings"

	"github.com/labstack/echo/v4"

	"github.com/tallywire/tallywire/events"
)

const (
	// corsHeaders are what a page may send, beside the attributes of an event (ce-…).
	corsHeaders = "Authorization, Cache-Control, Content-Type, If-None-Match, Last-Event-ID"
	// corsExposed are what a page may read of an answer, beside what the browser shows always.
	corsExposed = "ETag, Link, Retry-After, " + headerHead
	// corsMaxAge is for how many seconds a browser remembers a preflight; more than this none does.
	corsMaxAge = "7200"
	// attributePrefix begins the headers of an event's attributes (CloudEvents, HTTP binding, 3.1.3.1).
	attributePrefix = "ce-"
)

// allowPage tells the browser that pages of an origin, which guard has found to be allowed, may read the
// answer. Only those that are named may have the browser use its cookies for them.
func (g *Gateway) allowPage(c echo.Context, origin string) {
	h := c.Response().Header()
	h.Set(echo.HeaderAccessControlAllowOrigin, origin)
	if g.originNamed(origin, c.Request()) {
		h.Set(echo.HeaderAccessControlAllowCredentials, "true")
	}
	h.Set(echo.HeaderAccessControlExposeHeaders, corsExposed)
}

// isPreflight reports whether a browser asks what pages of an origin may do with a resource.
func isPreflight(r *http.Request) bool {
	return r.Method == http.MethodOptions && r.Header.Get(echo.HeaderOrigin) != "" &&
		r.Header.Get(echo.HeaderAccessControlRequestMethod) != ""
}

// preflight answers for the resource that the router has found, whose methods are in allow.
func preflight(c echo.Context, allow string) error {
	h := c.Response().Header()
	addVary(h, echo.HeaderAccessControlRequestMethod)
	addVary(h, echo.HeaderAccessControlRequestHeaders)
	methods := slices.DeleteFunc(strings.Split(allow, ", "), func(m string) bool { return m == http.MethodOptions })
	h.Set(echo.HeaderAccessControlAllowMethods, strings.Join(methods, ", "))
	h.Set(echo.HeaderAccessControlAllowHeaders, corsHeaders+attributesAsked(c.Request().Header))
	h.Set(echo.HeaderAccessControlMaxAge, corsMaxAge)
	h.Del(echo.HeaderAccessControlExposeHeaders)
	return c.NoContent(http.StatusNoContent) //nolint:wrapcheck // echo
}

// attributesAsked lists the headers of event attributes that a preflight asks for: there is no pattern for
// them, and any name may be an extension's.
func attributesAsked(h http.Header) string {
	const attributes = events.MaxExtensions + 16 // those of CloudEvents, and to spare
	var list strings.Builder
	n := 0
	for name := range strings.SplitSeq(strings.Join(h.Values(echo.HeaderAccessControlRequestHeaders), ","), ",") {
		name = strings.ToLower(strings.TrimSpace(name))
		attribute, ok := strings.CutPrefix(name, attributePrefix)
		if !ok || attribute == "" || len(attribute) > events.MaxAttributeNameLen ||
			strings.ContainsFunc(attribute, func(r rune) bool { return (r < 'a' || r > 'z') && (r < '0' || r > '9') }) {
			continue
		}
		if n++; n > attributes {
			break
		}
		list.WriteString(", ")
		list.WriteString(name)
	}
	return list.String()
}

// addVary adds a header's name to Vary, once.
func addVary(h http.Header, name string) {
	if !slices.Contains(h.Values(echo.HeaderVary), name) {
		h.Add(echo.HeaderVary, name)
	}
}
