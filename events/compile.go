package events

import (
	"errors"
	"fmt"
	"strings"

	"github.com/santhosh-tekuri/jsonschema/v6"
)

// localLoader finds schemas by their URL among those at hand, and never anywhere else.
type localLoader map[string]any

var errNotLocal = errors.New("neither in the schema directory nor built in, and nothing is loaded from elsewhere")

// Load implements jsonschema.URLLoader.
func (l localLoader) Load(url string) (any, error) {
	if doc, ok := l[url]; ok {
		return doc, nil
	}
	return nil, errNotLocal
}

// compile compiles the schemas, which may refer to each other.
func compile(files []*schemaFile) ([]*version, error) {
	loader := localLoader{}
	for _, f := range files {
		loader[f.url] = f.doc
		if f.header.ID != "" {
			loader[f.header.ID] = f.doc
		}
	}
	for _, f := range files {
		if canonical := canonicalID(f.typ.Name, f.typ.Version); !f.library && loader[canonical] == nil {
			loader[canonical] = f.doc
		}
	}
	c := jsonschema.NewCompiler()
	c.DefaultDraft(jsonschema.Draft2020)
	c.AssertFormat()
	c.UseLoader(loader)
	var (
		versions []*version
		errs     []error
	)
	for _, f := range files {
		schema, err := c.Compile(f.url)
		if err != nil {
			errs = append(errs, fmt.Errorf("%s: %w", f.name, schemaError(err)))
			continue
		}
		if f.library {
			continue
		}
		versions = append(versions, &version{
			Type: f.typ, source: f.source, schema: schema,
			canonical: canonicalID(f.typ.Name, f.typ.Version),
			takesNull: schema.Validate(nil) == nil,
		})
	}
	return versions, errors.Join(errs...)
}

// schemaError puts what is wrong with a schema into words, with the place in it where that is known.
func schemaError(err error) error {
	var invalid *jsonschema.SchemaValidationError
	var details *jsonschema.ValidationError
	if errors.As(err, &invalid) && errors.As(invalid.Err, &details) {
		problem := worst(details)
		return fmt.Errorf("%s: %s", clip("/"+strings.TrimPrefix(pointer(problem.location), "/"), 256), problem.text)
	}
	var load *jsonschema.LoadURLError
	if errors.As(err, &load) {
		return fmt.Errorf("$ref to %s: %w", load.URL, load.Err)
	}
	return err
}
