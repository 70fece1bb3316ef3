package contract_test

import (
	"encoding/json"
	"strings"
	"testing"

	"github.com/santhosh-tekuri/jsonschema/v6"
	"github.com/stretchr/testify/require"
)

// openAPISchema is the meta-schema of OpenAPI 3.1, schema objects included: what the specification calls
// its schema-base.
func openAPISchema(t *testing.T) *jsonschema.Schema {
	t.Helper()
	c := jsonschema.NewCompiler()
	c.AssertFormat()
	const spec = "https://spec.openapis.org/oas/3.1/"
	schema := readJSON(t, "testdata", "openapi", "schema.json").(object) //nolint:forcetypeassert // it is one
	require.NoError(t, c.AddResource(schema["$id"].(string), schema))    //nolint:forcetypeassert // it is one
	require.NoError(t, c.AddResource(spec+"dialect/base", readJSON(t, "testdata", "openapi", "dialect.json")))
	require.NoError(t, c.AddResource(spec+"meta/base", readJSON(t, "testdata", "openapi", "vocabulary.json")))
	require.NoError(t, c.AddResource(spec+"schema-base", object{
		"$id": spec + "schema-base", "$schema": "https://json-schema.org/draft/2020-12/schema",
		"$ref":  schema["$id"],
		"$defs": object{"schema": object{"$dynamicAnchor": "meta", "$ref": spec + "dialect/base"}},
	}))
	s, err := c.Compile(spec + "schema-base")
	require.NoError(t, err)
	return s
}

func asyncAPISchema(t *testing.T) *jsonschema.Schema {
	t.Helper()
	c := jsonschema.NewCompiler()
	c.DefaultDraft(jsonschema.Draft7)
	c.AssertFormat()
	schema := readJSON(t, "testdata", "asyncapi", "3.0.0.json")
	require.NoError(t, c.AddResource("http://asyncapi.com/definitions/3.0.0/asyncapi.json", schema))
	s, err := c.Compile("http://asyncapi.com/definitions/3.0.0/asyncapi.json")
	require.NoError(t, err)
	return s
}

// Both documents are what their specifications ask for; copies with a defect are not.
func TestDocumentsAreValid(t *testing.T) {
	c := newContract(t)
	for name, d := range map[string]struct {
		text    []byte
		schema  *jsonschema.Schema
		defects map[string]string // a text of the document, and what to write in its place
	}{
		"openapi": {c.OpenAPI.Bytes(), openAPISchema(t), map[string]string{ //nolint:gosec // no credentials
			`"openapi": "3.1.0"`:    `"openapi": "2.0"`,
			`"in": "path"`:          `"in": "nowhere"`,
			`"type": "string"`:      `"type": "text"`, // of a schema object, which the dialect checks
			`"operationId"`:         `"operationName"`,
			`"bearerFormat": "JWT"`: `"bearerFormat": 7`,
			`"maxLength": 128`:      `"maxLength": -1`,
		}},
		"asyncapi": {c.AsyncAPI.Bytes(), asyncAPISchema(t), map[string]string{
			`"asyncapi": "3.0.0"`: `"asyncapi": "2.6.0"`,
			`"action": "send"`:    `"action": "subscribe"`,
			`"address"`:           `"adress"`,
			`"type": "string"`:    `"type": "text"`,
			`"protocol": "wss"`:   `"protocols": "wss"`,
			`"maxLength": 128`:    `"maxLength": -1`,
			`"payload": {`:        `"payloads": {`,
		}},
	} {
		t.Run(name, func(t *testing.T) {
			require.NoError(t, d.schema.Validate(parse(t, d.text)))
			for good, bad := range d.defects {
				text := strings.Replace(string(d.text), good, bad, 1)
				require.NotEqual(t, string(d.text), text, "the document has no %s", good)
				require.True(t, json.Valid([]byte(text)))
				require.Error(t, d.schema.Validate(parse(t, []byte(text))), bad)
			}
		})
	}
}
