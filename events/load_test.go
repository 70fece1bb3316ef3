package events

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"
)

// schemaDir writes files into a new directory.
func schemaDir(t *testing.T, files map[string]string) string {
	t.Helper()
	dir := t.TempDir()
	for name, content := range files {
		require.NoError(t, os.WriteFile(filepath.Join(dir, name), []byte(content), 0o600))
	}
	return dir
}

func TestSchemaDirectoryAddsTypes(t *testing.T) {
	dir := schemaDir(t, map[string]string{
		"acme.order.json": `{"title":"Order","type":"object","required":["total"],"x-terminal":true,
			"properties":{"total":{"$ref":"_money.json"},"job":{"$ref":"https://tallywire.dev/schemas/job.started/1#/properties/job_id"}}}`,
		"_money.json":  `{"type":"string","pattern":"^[0-9]+$"}`,
		"odd.json":     `{"x-type":"com.acme.order.v2","x-version":3,"$id":"https://acme.example/order","type":["object","null"]}`,
		"by-id.json":   `{"$ref":"https://acme.example/order"}`,
		"README.md":    `not a schema`,
		".hidden.json": `nor this`,
	})
	require.NoError(t, os.Mkdir(filepath.Join(dir, "more.json"), 0o700))
	r := newRegistry(t, Options{Dir: dir, Strict: true})

	require.NoError(t, check(t, r, event("acme.order", `{"total":"12","job":"42"}`)))
	requireInvalid(t, check(t, r, event("acme.order", `{}`)), "/data/total", "data.total: is required")
	requireInvalid(t, check(t, r, event("acme.order", `{"total":"x"}`)), "/data/total", "data.total: must match the pattern ^[0-9]+$")
	requireInvalid(t, check(t, r, event("acme.order", `{"total":"1","job":""}`)), "/data/job", "data.job: must have at least 1 character, has 0")
	requireInvalid(t, check(t, r, `{"type":"acme.order"}`), "/data", "data: is required")
	require.NoError(t, check(t, r, `{"type":"com.acme.order.v2"}`), "a schema that takes null takes an event without data")
	require.NoError(t, check(t, r, `{"type":"com.acme.order.v2","dataschema":"https://acme.example/order","data":{}}`))
	require.NoError(t, check(t, r, `{"type":"com.acme.order.v2","dataschema":"https://tallywire.dev/schemas/com.acme.order.v2/3","data":{}}`))
	requireInvalid(t, check(t, r, event("by-id", `1`)), "/data", "data: must be a null or object, is a number")

	require.True(t, r.Terminal("acme.order"))
	require.Len(t, r.Types(), 12+3)
	require.Contains(t, r.Types(), Type{Name: "acme.order", Version: 1, ID: "https://tallywire.dev/schemas/acme.order/1", Title: "Order", Terminal: true})
	require.Contains(t, r.Types(), Type{Name: "com.acme.order.v2", Version: 3, ID: "https://acme.example/order"})
	for _, name := range []string{"com.acme.order.v2", "com.acme.order.v2/3", "https://acme.example/order"} {
		got, ok := r.Schema(name)
		require.True(t, ok, name)
		require.Contains(t, string(got), `"x-version":3`)
	}
}

func TestVersions(t *testing.T) {
	r := newRegistry(t, Options{Strict: true, Dir: schemaDir(t, map[string]string{
		"job.progress.v2.json":  `{"required":["ratio"],"x-terminal":true}`,
		"job.progress.v10.json": `{"required":["share"]}`,
		"acme.order.v2.json":    `{"required":["two"]}`,
	})})
	at := func(version, data string) string {
		return `{"type":"job.progress","dataschema":"https://tallywire.dev/schemas/job.progress/` + version + `","data":` + data + `}`
	}
	// Without a dataschema an event is of the oldest version, so that a new schema breaks no publisher.
	require.NoError(t, check(t, r, event("job.progress", `{"job_id":"42","percent":1}`)))
	require.Error(t, check(t, r, event("job.progress", `{"ratio":1,"share":1}`)))
	require.NoError(t, check(t, r, at("1", `{"job_id":"42","percent":1}`)))
	require.NoError(t, check(t, r, at("2", `{"ratio":1}`)))
	require.NoError(t, check(t, r, at("10", `{"share":1}`)))
	requireInvalid(t, check(t, r, at("2", `{"share":1}`)), "/data/ratio", "data.ratio: is required")
	requireInvalid(t, check(t, r, at("3", `{}`)), "/dataschema", "dataschema: unknown for type job.progress, known are "+
		"https://tallywire.dev/schemas/job.progress/1, https://tallywire.dev/schemas/job.progress/2, https://tallywire.dev/schemas/job.progress/10")
	requireInvalid(t, check(t, r, event("acme.order", `{}`)), "/data/two", "data.two: is required")

	require.True(t, r.Terminal("job.progress"), "a type is terminal if any of its versions is")
	var versions []int
	for _, typ := range r.Types() {
		if typ.Name == "job.progress" {
			versions = append(versions, typ.Version)
		}
	}
	require.Equal(t, []int{1, 2, 10}, versions)
	v2, ok := r.Schema("job.progress/2")
	require.True(t, ok)
	require.Contains(t, string(v2), "ratio")
}

func TestSchemaDirectoryReplacesBuiltIn(t *testing.T) {
	for name, schema := range map[string]string{
		"without an id":       `{"properties":{"job_id":{"const":"mine"}}}`,
		"with the id":         `{"$id":"https://tallywire.dev/schemas/job.started/1","properties":{"job_id":{"const":"mine"}}}`,
		"with one of its own": `{"$id":"https://acme.example/started","properties":{"job_id":{"const":"mine"}}}`,
	} {
		t.Run(name, func(t *testing.T) {
			r := newRegistry(t, Options{Strict: true, Dir: schemaDir(t, map[string]string{
				"job.started.json": schema,
				"acme.json":        `{"$ref":"https://tallywire.dev/schemas/job.started/1"}`,
			})})
			require.Len(t, r.Types(), 12+1)
			for _, eventType := range []string{"job.started", "acme"} {
				require.NoError(t, check(t, r, event(eventType, `{"job_id":"mine"}`)))
				requireInvalid(t, check(t, r, event(eventType, `{"job_id":"42"}`)), "/data/job_id", `data.job_id: must be "mine"`)
			}
			require.NoError(t, check(t, r, `{"type":"job.started","dataschema":"https://tallywire.dev/schemas/job.started/1","data":{}}`))
		})
	}
}

func TestSchemaDirectoryErrors(t *testing.T) {
	for name, tc := range map[string]struct {
		files map[string]string
		want  string
	}{
		"no JSON":    {map[string]string{"a.json": "{\n\"type\": \n}"}, "a.json: line 3: invalid character '}'"},
		"nothing":    {map[string]string{"a.json": ""}, "a.json: EOF"},
		"two values": {map[string]string{"a.json": "{}{}"}, "a.json: invalid character after top-level value"},
		"no object":  {map[string]string{"a.json": "true"}, "a.json: must be a JSON object"},
		"an unknown JSON type": {
			map[string]string{"a.json": `{"properties":{"total":{"type":"money"}}}`},
			"a.json: /properties/total/type: must be one of array, boolean, integer, null, number, object, string",
		},
		"a negative length":  {map[string]string{"a.json": `{"properties":{"a/b":{"minLength":-1}}}`}, "a.json: /properties/a~1b/minLength: must be >= 0"},
		"a bad pattern":      {map[string]string{"a.json": `{"pattern":"("}`}, "a.json: /pattern: must be a valid regex"},
		"another draft":      {map[string]string{"a.json": `{"$schema":"http://json-schema.org/draft-07/schema#"}`}, "a.json: /$schema: must be https://json-schema.org/draft/2020-12/schema"},
		"a title of numbers": {map[string]string{"a.json": `{"title":7}`}, "a.json: /title: must be of type string, is a number"},
		"a version of text":  {map[string]string{"a.json": `{"x-version":"two"}`}, "a.json: /x-version: must be of type int, is a string"},
		"a negative version": {map[string]string{"a.json": `{"x-version":-1}`}, "a.json: /x-version: must be >= 1"},
		"two opinions":       {map[string]string{"a.v2.json": `{"x-version":3}`}, "a.v2.json: /x-version: is 3, but the file's name says 2"},
		"a bad type":         {map[string]string{"a b.json": `{}`}, "a b.json: the file's name without .json, or x-type, must be an event type"},
		"a bad x-type":       {map[string]string{"a.json": `{"x-type":"{}"}`}, "a.json: the file's name without .json, or x-type, must be an event type"},
		"one type twice":     {map[string]string{"a.json": `{}`, "b.json": `{"x-type":"a"}`}, "b.json: is a version 1, as a.json is"},
		"one id twice":       {map[string]string{"a.json": `{"$id":"urn:x"}`, "b.json": `{"$id":"urn:x"}`}, "b.json: is urn:x, as a.json is"},
		"another's id": {
			map[string]string{"a.json": `{"$id":"https://tallywire.dev/schemas/job.started/1"}`},
			"a.json: /$id: must be https://tallywire.dev/schemas/a/1 for version 1 of a",
		},
		"a remote ref": {
			map[string]string{"a.json": `{"$ref":"https://example.com/x.json"}`},
			"a.json: $ref to https://example.com/x.json: neither in the schema directory nor built in, and nothing is loaded from elsewhere",
		},
		"a file ref": {
			map[string]string{"a.json": `{"$ref":"file:///etc/passwd"}`},
			"a.json: $ref to file:///etc/passwd: neither in the schema directory nor built in",
		},
		"a ref out of the directory": {map[string]string{"a.json": `{"$ref":"../b.json"}`}, "a.json: $ref to schemas:///b.json: neither in"},
		"a ref to nowhere":           {map[string]string{"a.json": `{"$ref":"#/$defs/x"}`}, "a.json: "},
		"a remote meta-schema":       {map[string]string{"_a.json": `{"$schema":"https://example.com/meta"}`}, "_a.json: /$schema: must be"},
		"a broken library":           {map[string]string{"_a.json": `{"type":"money"}`}, "_a.json: /type: must be one of"},
	} {
		t.Run(name, func(t *testing.T) {
			dir := schemaDir(t, tc.files)
			_, err := NewRegistry(Options{Dir: dir})
			require.ErrorContains(t, err, "schema directory "+dir+": "+tc.want)
		})
	}

	t.Run("all files are named", func(t *testing.T) {
		_, err := NewRegistry(Options{Dir: schemaDir(t, map[string]string{"a.json": `{"type":"x"}`, "b.json": `{"type":"y"}`})})
		require.ErrorContains(t, err, "a.json: /type")
		require.ErrorContains(t, err, "b.json: /type")
	})
	t.Run("a file too large", func(t *testing.T) {
		_, err := NewRegistry(Options{Dir: schemaDir(t, map[string]string{"a.json": string(make([]byte, maxSchemaBytes+1))})})
		require.ErrorContains(t, err, "a.json: larger than 1048576 bytes")
	})
	t.Run("no directory", func(t *testing.T) {
		_, err := NewRegistry(Options{Dir: filepath.Join(t.TempDir(), "missing")})
		require.ErrorIs(t, err, os.ErrNotExist)
	})
}

func TestProblemsInWords(t *testing.T) {
	for _, tc := range []struct{ schema, data, path, message string }{
		{`{"additionalProperties":false}`, `{"b":1,"a":1}`, "/data/a", "data.a: is not allowed"},
		{`{"properties":{"a":false}}`, `{"a":1}`, "/data/a", "data.a: is not allowed"},
		{`{"exclusiveMinimum":0}`, `0`, "/data", "data: must be > 0"},
		{`{"exclusiveMaximum":0.5}`, `0.5`, "/data", "data: must be < 0.5"},
		{`{"multipleOf":0.01}`, `0.015`, "/data", "data: must be a multiple of 0.01"},
		{`{"maximum":9007199254740993}`, `9007199254740994`, "/data", "data: must be <= 9007199254740993"},
		{`{"maxItems":1}`, `[1,2]`, "/data", "data: must have at most 1 item, has 2"},
		{`{"minProperties":2}`, `{}`, "/data", "data: must have at least 2 fields, has 0"},
		{`{"maxProperties":1}`, `{"a":1,"b":1}`, "/data", "data: must have at most 1 field, has 2"},
		{`{"enum":[1,"a",null]}`, `2`, "/data", "data: must be one of 1, a, null"},
		{`{"const":{"a":1}}`, `2`, "/data", `data: must be {"a":1}`},
		{`{"dependentRequired":{"a":["c","b"]}}`, `{"a":1}`, "/data/b", "data.b: is required beside a"},
		{`{"propertyNames":{"maxLength":1}}`, `{"ab":1}`, "/data", "data: invalid propertyName 'ab'"},
		{`{"not":{"type":"string"}}`, `"a"`, "/data", "data: 'not' failed"},
		{`{"contains":{"type":"string"}}`, `[1]`, "/data", "data: no items match contains schema"},
		{
			`{"oneOf":[{"type":"string"},{"properties":{"a":{"properties":{"b":{"type":"null"}}}},"type":"object"}]}`, `{"a":{"b":1}}`,
			"/data/a/b", "data.a.b: must be null, is a number",
		},
		{`{"oneOf":[true,true]}`, `1`, "/data", "data: 'oneOf' failed, subschemas 0, 1 matched"},
		{`{"if":{"type":"object"},"then":{"required":["x"]}}`, `{}`, "/data/x", "data.x: is required"},
		{`{"additionalProperties":{"type":"null"}}`, `{"a/b~\n":1}`, "/data/a~1b~0?", "data.a/b~?: must be null, is a number"},
		{`{"type":"object","properties":{"a":{"$ref":"#"}}}`, `{"a":{"a":{"a":1}}}`, "/data/a/a/a", "data.a.a.a: must be an object, is a number"},
	} {
		r := newRegistry(t, Options{Dir: schemaDir(t, map[string]string{"x.json": tc.schema})})
		requireInvalid(t, check(t, r, event("x", tc.data)), tc.path, tc.message)
	}
}
