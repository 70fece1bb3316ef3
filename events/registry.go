package events

import (
	"bytes"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/santhosh-tekuri/jsonschema/v6"
)

// Options configure a [Registry]. The zero value holds the built-in types, in open mode.
type Options struct {
	// Dir is a directory with more types; "" for none. See [NewRegistry].
	Dir string
	// Strict refuses events of unknown types. In open mode they pass unchecked.
	Strict bool
}

// Type is one version of an event type.
type Type struct {
	Name    string `json:"name"`
	Version int    `json:"version"`
	// ID is the schema's $id: what an event names in `dataschema` to be held against this version.
	ID          string `json:"id"`
	Title       string `json:"title,omitempty"`
	Description string `json:"description,omitempty"`
	// Terminal events are never conflated away: what they tell is not told again by a later event.
	Terminal bool `json:"terminal,omitempty"`
	// BuiltIn is false for types of the schema directory, also where they replace a built-in one.
	BuiltIn bool `json:"built_in,omitempty"`
}

// Registry knows event types. It is immutable, and safe for concurrent use.
type Registry struct {
	strict   bool
	families map[string]*family
	byID     map[string]*version
	types    []Type
}

// family is all versions of one type.
type family struct {
	versions []*version // ascending
	terminal bool       // whether any version is
}

// version is one schema.
type version struct {
	Type
	source    []byte
	schema    *jsonschema.Schema
	canonical string // the id by name and version, which names this schema whatever its own $id
	takesNull bool   // whether an event without data is valid
}

// NewRegistry returns a registry of the built-in types and those of the schema directory.
//
// The directory's *.json files (not those of its subdirectories, nor hidden ones) are JSON Schemas, draft
// 2020-12, for the `data` of an event. `format` is asserted. A file name is the type's name, as in
// "acme.order.json"; other versions than 1 have their number in it too, as in "acme.order.v2.json".
// A type that cannot be named so has it in the schema, as "x-type" and "x-version". A file whose name begins with '_'
// is no type, but may be referred to. "x-terminal": true marks a terminal type (see [Type]).
//
// A $ref reaches the files of the directory and the built-in schemas, by $id, or by file name from a
// file that has no $id. Nothing is loaded over a network. A type of the directory replaces the built-in
// one of the same name and version.
//
// Errors name the file and, where it makes sense, the place in it as a JSON pointer; all files are
// looked at before NewRegistry returns.
func NewRegistry(o Options) (*Registry, error) {
	versions, err := load(o.Dir)
	if err != nil {
		return nil, err
	}
	r := &Registry{strict: o.Strict, families: map[string]*family{}, byID: map[string]*version{}}
	slices.SortFunc(versions, func(a, b *version) int {
		if c := strings.Compare(a.Name, b.Name); c != 0 {
			return c
		}
		return a.Version - b.Version
	})
	for _, v := range versions {
		f := r.families[v.Name]
		if f == nil {
			f = &family{}
			r.families[v.Name] = f
		}
		f.versions = append(f.versions, v)
		f.terminal = f.terminal || v.Terminal
		r.byID[v.canonical] = v
		r.types = append(r.types, v.Type)
	}
	for _, v := range versions {
		if _, taken := r.byID[v.ID]; !taken {
			r.byID[v.ID] = v
		}
	}
	return r, nil
}

// Check holds an event's data against the schema of its type, and returns nil or an [*InvalidError].
//
// The event's `dataschema` picks the version, by the schema's $id or as
// https://tallywire.dev/schemas/<name>/<version>. An event without one is of the oldest version that is
// registered: what an event means does not change because somebody adds a newer schema. Events of an
// unknown type, or with a dataschema that its type does not have, pass in open mode and are refused in
// strict mode.
//
// env is what [Scan] returned for raw.
func (r *Registry) Check(env Envelope, _ []byte) error {
	f, ok := r.families[env.Type]
	if !ok {
		if r.strict {
			return invalid("type", "unknown event type "+strconv.Quote(clip(env.Type, MaxTypeLen)))
		}
		return nil
	}
	v := f.pick(env.DataSchema)
	if v == nil {
		if r.strict {
			return invalid("dataschema", "unknown for type "+env.Type+", known are "+f.ids())
		}
		return nil
	}
	if !env.HasData {
		if v.takesNull {
			return nil
		}
		return invalid("data", "is required")
	}
	data, err := jsonschema.UnmarshalJSON(bytes.NewReader(env.Data))
	if err != nil {
		return invalid("data", "must be valid JSON")
	}
	if err := v.schema.Validate(data); err != nil {
		return dataError(err)
	}
	return nil
}

// pick returns the version that dataschema names, nil if there is none.
func (f *family) pick(dataschema string) *version {
	if dataschema == "" {
		return f.versions[0]
	}
	for _, v := range f.versions {
		if dataschema == v.ID || dataschema == v.canonical {
			return v
		}
	}
	return nil
}

// ids lists the family's schema ids.
func (f *family) ids() string {
	ids := make([]string, len(f.versions))
	for i, v := range f.versions {
		ids[i] = v.ID
	}
	return strings.Join(ids, ", ")
}

// Terminal reports whether events of the type must never be conflated away. Unknown types are not terminal.
func (r *Registry) Terminal(eventType string) bool {
	f, ok := r.families[eventType]
	return ok && f.terminal
}

// Types returns all types, by name and version.
func (r *Registry) Types() []Type { return slices.Clone(r.types) }

// Schema returns the JSON Schema of a type as it was written: of its oldest version for the bare name,
// of another for "<name>/<version>" or for the schema's $id. The caller must not change it.
func (r *Registry) Schema(name string) ([]byte, bool) {
	if f, ok := r.families[name]; ok {
		return f.versions[0].source, true
	}
	if v, ok := r.byID[name]; ok {
		return v.source, true
	}
	if v, ok := r.byID[schemaBase+name]; ok {
		return v.source, true
	}
	return nil, false
}

// schemaBase begins the id of every built-in schema.
const schemaBase = "https://tallywire.dev/schemas/"

// canonicalID is the id of a type's version.
func canonicalID(name string, version int) string {
	return fmt.Sprintf("%s%s/%d", schemaBase, name, version)
}
