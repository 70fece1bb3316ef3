package contracttest

import (
	"bytes"
	"net/url"
	"strings"
	"testing"

	"github.com/santhosh-tekuri/jsonschema/v6"
	"github.com/stretchr/testify/require"
)

// Object is a JSON object.
type Object = map[string]any

// Document is an OpenAPI or AsyncAPI document whose schemas can be compiled.
type Document struct {
	Root     Object
	compiler *jsonschema.Compiler
}

const (
	base = "https://gateway.example/"
	name = base + "document.json"
)

// Parse reads JSON as the validator wants it.
func Parse(t testing.TB, b []byte) any {
	t.Helper()
	v, err := jsonschema.UnmarshalJSON(bytes.NewReader(b))
	require.NoError(t, err, "%s", b)
	return v
}

// Load reads a document whose schemas are of a draft. schemas are the documents that it refers to, by the
// path at which the gateway serves them.
func Load(t testing.TB, text []byte, draft *jsonschema.Draft, schemas map[string][]byte) *Document {
	t.Helper()
	root, ok := Parse(t, text).(Object)
	require.True(t, ok)
	return load(t, root, draft, schemas)
}

// LoadClosed reads a document as one that describes everything: an object with a member that the
// document does not name is invalid. A gateway's answers are held against this, and nobody else's.
func LoadClosed(t testing.TB, text []byte, draft *jsonschema.Draft, schemas map[string][]byte) *Document {
	t.Helper()
	root, ok := Parse(t, text).(Object)
	require.True(t, ok)
	seal(root)
	return load(t, root, draft, schemas)
}

func load(t testing.TB, root Object, draft *jsonschema.Draft, schemas map[string][]byte) *Document {
	t.Helper()
	c := jsonschema.NewCompiler()
	c.DefaultDraft(draft)
	c.AssertFormat()
	require.NoError(t, c.AddResource(name, root))
	for path, schema := range schemas {
		require.NoError(t, c.AddResource(base+strings.TrimPrefix(path, "/"), Parse(t, schema)))
	}
	return &Document{Root: root, compiler: c}
}

// seal closes every schema of an object that names its members and does not say which others there may be.
func seal(v any) {
	switch v := v.(type) {
	case []any:
		for _, item := range v {
			seal(item)
		}
	case Object:
		for _, item := range v {
			seal(item)
		}
		_, named := v["properties"].(Object)
		if _, open := v["additionalProperties"]; named && !open && v["type"] == "object" {
			v["additionalProperties"] = false
		}
	}
}

// At returns what stands at a place, nil if nothing does.
func (d *Document) At(path ...string) any {
	var v any = d.Root
	for _, token := range path {
		o, ok := v.(Object)
		if !ok {
			return nil
		}
		v = o[token]
	}
	return v
}

// Schema compiles the schema that stands at a place.
func (d *Document) Schema(t testing.TB, path ...string) *jsonschema.Schema {
	t.Helper()
	var b strings.Builder
	for _, token := range path {
		b.WriteString("/" + url.PathEscape(strings.NewReplacer("~", "~0", "/", "~1").Replace(token)))
	}
	s, err := d.compiler.Compile(name + "#" + b.String())
	require.NoError(t, err)
	return s
}
