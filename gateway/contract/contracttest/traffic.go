package contracttest

import (
	"fmt"
	"maps"
	"mime"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/santhosh-tekuri/jsonschema/v6"
	"github.com/stretchr/testify/require"
)

// Traffic is what a test sent and got. It is not safe for concurrent use.
type Traffic struct {
	t        testing.TB
	closed   *Document // OpenAPI, for answers
	open     *Document // OpenAPI, for requests
	messages *Document // AsyncAPI, for what goes over a WebSocket
	seen     map[string]bool
}

// New returns the traffic for the two documents as the gateway serves them.
func New(t testing.TB, openAPI, asyncAPI []byte, schemas map[string][]byte) *Traffic {
	t.Helper()
	return &Traffic{
		t: t, seen: map[string]bool{},
		closed:   LoadClosed(t, openAPI, jsonschema.Draft2020, schemas),
		open:     Load(t, openAPI, jsonschema.Draft2020, schemas),
		messages: LoadClosed(t, asyncAPI, jsonschema.Draft7, schemas),
	}
}

// Exchange is one request over HTTP and its answer.
type Exchange struct {
	Method, URL  string
	RequestType  string // media type of the body, "" for none
	Request      []byte
	Status       int
	Header       http.Header
	Body         []byte
	StreamEvents [][]byte // the data of an event stream's events, in the place of Body
}

// HTTP checks an exchange. What a client sent is checked where the gateway took it.
func (tr *Traffic) HTTP(x Exchange) {
	tr.t.Helper()
	require.NoError(tr.t, tr.Check(x))
}

// Check returns what is wrong with an exchange, and notes it as seen when nothing is.
func (tr *Traffic) Check(x Exchange) error {
	u, err := url.Parse(x.URL)
	if err != nil {
		return err //nolint:wrapcheck // says the URL
	}
	path := tr.route(u.EscapedPath())
	method := strings.ToLower(x.Method)
	place := []string{"paths", path, method}
	if tr.closed.At(place...) == nil {
		return fmt.Errorf("%s %s: not in the document", x.Method, u.Path)
	}
	status := strconv.Itoa(x.Status)
	answer, ok := tr.closed.At(append(place, "responses", status)...).(Object)
	if !ok {
		return fmt.Errorf("%s %s: no answer %s in the document: %s", x.Method, path, status, x.Body)
	}
	if err := tr.answer(x, append(place, "responses", status), answer); err != nil {
		return fmt.Errorf("%s %s %s: %w", x.Method, u.Path, status, err)
	}
	if x.Status < http.StatusBadRequest {
		if err := tr.request(x, place, u.Query()); err != nil {
			return fmt.Errorf("request %s %s: %w", x.Method, u, err)
		}
	}
	tr.note(fmt.Sprintf("%s %s %s", x.Method, path, status))
	return nil
}

// answer checks the body and the headers of an answer.
func (tr *Traffic) answer(x Exchange, place []string, described Object) error {
	headers, _ := described["headers"].(Object)
	for name := range headers {
		values := x.Header.Values(name)
		if len(values) == 0 {
			continue
		}
		if err := tr.closed.Schema(tr.t, append(place, "headers", name, "schema")...).Validate(values[0]); err != nil {
			return fmt.Errorf("header %s: %w", name, err)
		}
		tr.note(fmt.Sprintf("%s %s %s header %s", x.Method, place[1], place[4], name))
	}
	content, _ := described["content"].(Object)
	kind, _, _ := mime.ParseMediaType(x.Header.Get("Content-Type"))
	if content == nil || x.Method == http.MethodHead {
		if len(x.Body) > 0 {
			return fmt.Errorf("a body where the document has none: %s", x.Body)
		}
		return nil
	}
	if content[kind] == nil {
		return fmt.Errorf("media type %q is not in the document", kind)
	}
	if kind == "text/event-stream" {
		schema := tr.closed.Schema(tr.t, "components", "schemas", "StreamMessage")
		for _, data := range x.StreamEvents {
			if err := tr.frames(schema, "sse", data); err != nil {
				return err
			}
		}
		return nil
	}
	body, err := jsonschema.UnmarshalJSON(strings.NewReader(string(x.Body)))
	if err != nil {
		return fmt.Errorf("%w: %s", err, x.Body)
	}
	if err := tr.closed.Schema(tr.t, append(place, "content", kind, "schema")...).Validate(body); err != nil {
		return fmt.Errorf("%w: %s", err, x.Body)
	}
	if o, ok := body.(Object); ok && kind == "application/problem+json" {
		tr.note(fmt.Sprintf("%s %s %v", x.Method, place[1], o["code"]))
	}
	if list, ok := body.([]any); ok {
		tr.noteFrames(strings.TrimPrefix(place[1], "/v1/"), list)
	}
	return nil
}

// request checks a request that was taken.
func (tr *Traffic) request(x Exchange, place []string, query url.Values) error {
	operation, _ := tr.open.At(place...).(Object)
	names := map[string]bool{}
	parameters, _ := operation["parameters"].([]any)
	for i, p := range parameters {
		p, _ := p.(Object)
		name, _ := p["name"].(string)
		if p["in"] != "query" {
			continue
		}
		names[name] = true
		values := query[name]
		if len(values) == 0 {
			continue
		}
		schema := tr.open.Schema(tr.t, append(place, "parameters", strconv.Itoa(i), "schema")...)
		if err := schema.Validate(parameterValue(values, schema)); err != nil {
			return fmt.Errorf("parameter %s: %w", name, err)
		}
		tr.note(fmt.Sprintf("%s %s ?%s", x.Method, place[1], name))
	}
	for name := range query {
		if !names[name] {
			return fmt.Errorf("parameter %s is not in the document", name)
		}
	}
	if len(x.Request) == 0 {
		return nil
	}
	content, _ := tr.open.At(append(place, "requestBody", "content")...).(Object)
	kind, _, _ := mime.ParseMediaType(x.RequestType)
	if content[kind] == nil {
		if kind = "*/*"; content[kind] == nil {
			return fmt.Errorf("media type %q is not in the document", x.RequestType)
		}
		tr.note(fmt.Sprintf("%s %s takes %s", x.Method, place[1], kind))
		return nil
	}
	body, err := jsonschema.UnmarshalJSON(strings.NewReader(string(x.Request)))
	if err != nil {
		return err //nolint:wrapcheck // the caller names the request
	}
	if err := tr.open.Schema(tr.t, append(place, "requestBody", "content", kind, "schema")...).Validate(body); err != nil {
		return fmt.Errorf("%w: %s", err, x.Request)
	}
	tr.note(fmt.Sprintf("%s %s takes %s", x.Method, place[1], kind))
	return nil
}

// parameterValue reads the values of a parameter as its schema wants them.
func parameterValue(values []string, schema *jsonschema.Schema) any {
	if schema.Types != nil && slices.Contains(schema.Types.ToStrings(), "array") {
		list := make([]any, len(values))
		for i, v := range values {
			list[i] = v
		}
		return list
	}
	if schema.Types != nil && slices.Contains(schema.Types.ToStrings(), "integer") {
		if n, err := strconv.Atoi(values[0]); err == nil {
			return n
		}
	}
	return values[0]
}

// route returns the path of the document that a request's path is one of.
func (tr *Traffic) route(path string) string {
	want := strings.Split(path, "/")
	paths, _ := tr.closed.Root["paths"].(Object)
	if paths[path] != nil {
		return path
	}
	for name := range paths {
		parts := strings.Split(name, "/")
		matches := len(parts) == len(want)
		for i := 0; matches && i < len(parts); i++ {
			matches = parts[i] == want[i] || strings.HasPrefix(parts[i], "{") && want[i] != ""
		}
		if matches {
			return name
		}
	}
	return path
}

// note remembers that something was seen.
func (tr *Traffic) note(what string) { tr.seen[what] = true }

// Seen returns what was seen, in order.
func (tr *Traffic) Seen() []string { return slices.Sorted(maps.Keys(tr.seen)) }
