package contract

import (
	"encoding"
	"encoding/json"
	"fmt"
	"maps"
	"reflect"
	"slices"
	"strings"
	"time"

	"github.com/tallywire/tallywire/gateway/wire"
)

// schemas makes JSON Schemas of Go types. Types that have a name become components, which refer to each
// other. What it makes reads alike in draft 7 (AsyncAPI) and draft 2020-12 (OpenAPI).
type schemas struct {
	components map[string]any
	sources    map[string]reflect.Type // of the components
	errs       []error
}

func newSchemas() *schemas {
	return &schemas{components: map[string]any{}, sources: map[string]reflect.Type{}}
}

// Note says what a Go type does not say about one of its fields.
type Note struct {
	Doc string
	// Kind is a value of the type whose schema the field has, in the place of its own.
	Kind any
	// Optional is set where the field may be absent though the encoder always writes it, as in requests.
	Optional bool
}

// ref returns the reference to a component.
func ref(name string) object { return obj("$ref", "#/components/schemas/"+name) }

// add makes a component of a type, under a name. notes are by the JSON name of the field, "" for the type.
func (s *schemas) add(name string, value any, notes map[string]Note) {
	t := reflect.TypeOf(value)
	if known, ok := s.sources[name]; ok {
		if known != t {
			s.errs = append(s.errs, fmt.Errorf("component %s: is both %s and %s", name, known, t))
		}
		return
	}
	s.sources[name] = t
	s.components[name] = nil // so that a type may refer to itself
	s.components[name] = s.object(name, t, notes)
}

// frame makes a component of a kind of frame.
func (s *schemas) frame(name string, shape wire.Shape) {
	s.add(name, shape.Value, map[string]Note{"": {Doc: shape.Doc}, "type": {Doc: "", Kind: constant(shape.Type)}})
	if o, ok := s.components[name].(object); ok {
		o.set("examples", []json.RawMessage{json.RawMessage(shape.Example)})
		s.components[name] = o
	}
}

// constant is a kind of text that is always the same.
type constant string

// of returns the schema of values of a type.
func (s *schemas) of(t reflect.Type) any {
	switch t {
	case reflect.TypeFor[time.Time]():
		t = reflect.TypeFor[wire.TimeText]()
	case reflect.TypeFor[json.RawMessage]():
		return obj()
	}
	if t.Kind() == reflect.Pointer {
		return s.of(t.Elem())
	}
	zero := reflect.Zero(t).Interface()
	if u, ok := zero.(wire.Union); ok {
		var of []any
		for _, v := range u.OneOf() {
			of = append(of, s.of(reflect.TypeOf(v)))
		}
		return obj("oneOf", of)
	}
	if d, ok := zero.(wire.Described); ok {
		return s.described(t, d.JSONSchema())
	}
	if _, ok := zero.(encoding.TextMarshaler); ok {
		return obj("type", "string")
	}
	switch t.Kind() { //nolint:exhaustive // the others are not used
	case reflect.Struct:
		name := componentName(t)
		s.add(name, zero, nil)
		return ref(name)
	case reflect.Slice:
		o := obj("type", "array", "items", s.of(t.Elem()))
		return extend(o, zero)
	case reflect.String:
		return obj("type", "string")
	case reflect.Bool:
		return obj("type", "boolean")
	case reflect.Int, reflect.Int64:
		return obj("type", "integer")
	case reflect.Uint64:
		return obj("type", "integer", "minimum", 0)
	}
	s.errs = append(s.errs, fmt.Errorf("%s: no schema for a %s", t, t.Kind()))
	return obj()
}

// described returns the schema that a type has made itself: a component, unless it is a mere number or says
// nothing.
func (s *schemas) described(t reflect.Type, schema wire.Schema) any {
	if k := t.Kind(); k != reflect.String && k != reflect.Slice || len(schema) == 0 {
		return sorted(schema)
	}
	name := componentName(t)
	if _, ok := s.components[name]; !ok {
		s.components[name], s.sources[name] = sorted(schema), t
	}
	return ref(name)
}

// object returns the schema of a struct.
func (s *schemas) object(name string, t reflect.Type, notes map[string]Note) object {
	var required []string
	properties := obj()
	used := map[string]bool{"": true}
	for _, f := range reflect.VisibleFields(t) {
		tag, options, _ := strings.Cut(f.Tag.Get("json"), ",")
		if tag == "-" || tag == "" {
			continue
		}
		note := notes[tag]
		used[tag] = true
		if options == "" && !note.Optional {
			required = append(required, tag)
		}
		properties.set(tag, s.property(f, note))
	}
	for tag := range notes {
		if !used[tag] {
			s.errs = append(s.errs, fmt.Errorf("%s has no field %s", name, tag))
		}
	}
	o := obj("type", "object")
	if doc := notes[""].Doc; doc != "" {
		o.set("description", doc)
	}
	if required != nil {
		o.set("required", required)
	}
	o.set("properties", properties)
	return extend(o, reflect.Zero(t).Interface())
}

// property returns the schema of a field, with what its tag or a note says about it.
func (s *schemas) property(f reflect.StructField, note Note) object {
	var schema any
	switch kind := note.Kind.(type) {
	case nil:
		schema = s.of(f.Type)
	case constant:
		schema = obj("const", string(kind))
	default:
		schema = s.of(reflect.TypeOf(kind))
	}
	o, _ := schema.(object)
	doc := note.Doc
	if doc == "" {
		doc = f.Tag.Get("doc")
	}
	if doc == "" {
		return o
	}
	o = slices.DeleteFunc(slices.Clone(o), func(m member) bool { return m.name == "description" })
	o.set("description", doc)
	return o
}

// extend lets a type complete its schema.
func extend(o object, zero any) object {
	e, ok := zero.(wire.Extended)
	if !ok {
		return o
	}
	more := wire.Schema{}
	e.ExtendSchema(more)
	return append(o, sorted(more)...)
}

// sorted returns a schema as an object, what names its kind first.
func sorted(schema wire.Schema) object {
	o := obj("type", schema["type"], "description", schema["description"])
	for _, name := range slices.Sorted(maps.Keys(schema)) {
		if name != "type" && name != "description" {
			o.set(name, schema[name])
		}
	}
	return o
}

// componentName is the name that a Go type has in the documents.
func componentName(t reflect.Type) string {
	name := t.Name()
	for _, suffix := range []string{"JSON", "Text"} {
		name = strings.TrimSuffix(name, suffix)
	}
	return strings.ToUpper(name[:1]) + name[1:]
}

// list returns all components by name.
func (s *schemas) list() object {
	o := obj()
	for _, name := range slices.Sorted(maps.Keys(s.components)) {
		o.set(name, s.components[name])
	}
	return o
}
