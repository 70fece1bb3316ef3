package contract

import (
	"net/http"
	"slices"
	"strconv"

	"github.com/tallywire/tallywire/gateway/wire"
)

// operation is a method of a path.
type operation struct {
	method, path string
	id           string
	tag          string
	summary      string
	description  string
	public       bool // no token is asked for
	bearer       bool // the token has to be in the Authorization header
	parameters   []parameter
	request      *content // nil for none
	answers      []answer
	codes        []wire.Code // of its problems; the statuses are theirs
}

// parameter is one of a path, of a query or of a header.
type parameter struct {
	name, in string
	doc      string
	required bool
	schema   any
	// list is set for a parameter that may be there several times.
	list bool
}

// content is a body in one of several media types.
type content struct {
	description string
	media       []media
}

// media is the schema of a body of a media type.
type media struct {
	kind     string
	schema   any
	examples []example
}

type example struct {
	name  string
	value any
}

// answer is a response that is no problem.
type answer struct {
	status  int
	doc     string
	headers []header
	media   []media
}

type header struct {
	name, doc string
	schema    any
}

const jsonKind = "application/json"

// Codes of every request but those of an orchestrator, which are for any host.
var guarded = []wire.Code{wire.CodeHostNotAllowed, wire.CodeOriginNotAllowed}

// Codes that every request with a token may get; unavailable while it is not known which are revoked.
var tokenCodes = append([]wire.Code{
	wire.CodeUnauthorized, wire.CodeTokenExpired, wire.CodeTokenRevoked, wire.CodeKeysUnavailable, wire.CodeUnavailable,
	wire.CodeInternal,
}, guarded...)

// Codes that every request with a token or its cookie may get.
var authorised = append([]wire.Code{wire.CodeOriginRequired}, tokenCodes...)

// with returns the codes of a kind of request and some more.
func with(base []wire.Code, more ...wire.Code) []wire.Code { return slices.Concat(more, base) }

// write returns the OpenAPI operation object.
func (op *operation) write() object {
	o := obj("operationId", op.id, "tags", []string{op.tag}, "summary", op.summary)
	if op.description != "" {
		o.set("description", op.description)
	}
	switch {
	case op.public:
		o.set("security", []any{})
	case op.bearer:
		o.set("security", []any{obj("bearer", []any{})})
	}
	var parameters []any
	for _, p := range op.parameters {
		parameters = append(parameters, p.write())
	}
	if parameters != nil {
		o.set("parameters", parameters)
	}
	if op.request != nil {
		r := obj()
		if op.request.description != "" {
			r.set("description", op.request.description)
		}
		r.set("required", true)
		r.set("content", contentOf(op.request.media))
		o.set("requestBody", r)
	}
	o.set("responses", op.responses())
	return o
}

func (p *parameter) write() object {
	o := obj("name", p.name, "in", p.in, "description", p.doc)
	if p.required {
		o.set("required", true)
	}
	schema := p.schema
	if p.list {
		o.set("style", "form")
		o.set("explode", true)
		schema = obj("type", "array", "items", schema)
	}
	o.set("schema", schema)
	return o
}

func contentOf(list []media) object {
	o := obj()
	for _, m := range list {
		c := obj("schema", m.schema)
		if m.examples != nil {
			examples := obj()
			for _, e := range m.examples {
				examples.set(e.name, obj("value", e.value))
			}
			c.set("examples", examples)
		}
		o.set(m.kind, c)
	}
	return o
}

// responses returns the answers, and the problems by status, each with the codes that it may have.
func (op *operation) responses() object {
	o := obj()
	for _, a := range op.answers {
		r := obj("description", a.doc)
		if a.headers != nil {
			headers := obj()
			for _, h := range a.headers {
				headers.set(h.name, obj("description", h.doc, "schema", h.schema))
			}
			r.set("headers", headers)
		}
		if a.media != nil {
			r.set("content", contentOf(a.media))
		}
		o.set(strconv.Itoa(a.status), r)
	}
	byStatus := map[int][]wire.Code{}
	var statuses []int
	for _, c := range op.codes {
		status := op.status(c)
		if slices.Contains(byStatus[status], c) {
			continue
		}
		if byStatus[status] == nil {
			statuses = append(statuses, status)
		}
		byStatus[status] = append(byStatus[status], c)
	}
	slices.Sort(statuses)
	for _, status := range statuses {
		o.set(strconv.Itoa(status), op.problem(status, byStatus[status]))
	}
	return o
}

// status is that of a code; that of an upgrade which none was asked for is one of its own.
func (op *operation) status(c wire.Code) int {
	if op.id == "openWebSocket" && c == wire.CodeInvalidRequest {
		return http.StatusUpgradeRequired
	}
	return c.Status()
}

// problem returns the response for a status.
func (op *operation) problem(status int, codes []wire.Code) object {
	doc := http.StatusText(status)
	for i, code := range codes {
		doc += map[bool]string{true: ": `", false: ", `"}[i == 0] + string(code) + "`"
	}
	doc += "."
	schema := obj("allOf", []any{
		ref("Problem"),
		obj("properties", obj("code", obj("enum", codes), "status", obj("const", status))),
	})
	r := obj("description", doc)
	if status == http.StatusUnauthorized {
		r.set("headers", obj("WWW-Authenticate", obj("schema", obj("type", "string"))))
	}
	// An answer to HEAD has no body.
	if op.method != http.MethodHead {
		r.set("content", obj(wire.ProblemType, obj("schema", schema)))
	}
	return r
}
