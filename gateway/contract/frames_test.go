package contract_test

import (
	"encoding/json"
	"maps"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/santhosh-tekuri/jsonschema/v6"
	"github.com/stretchr/testify/require"

	"github.com/tallywire/tallywire/events"
	"github.com/tallywire/tallywire/gateway/contract"
	"github.com/tallywire/tallywire/gateway/contract/contracttest"
	"github.com/tallywire/tallywire/gateway/wire"
)

// golden are the messages on which every codec agrees.
type golden struct {
	Client []struct {
		Name, Message string
		Frames        []struct {
			Type  string
			Error *struct{ Path string }
		}
	}
	Server []struct{ Name, Message string }
}

func readGolden(t *testing.T) (g golden) {
	t.Helper()
	b, err := os.ReadFile(filepath.Join("..", "wire", "testdata", "frames.json"))
	require.NoError(t, err)
	require.NoError(t, json.Unmarshal(b, &g))
	return g
}

// asyncAPI returns the document with the schemas that it refers to, as it is, or closed.
func asyncAPI(t *testing.T, load func(testing.TB, []byte, *jsonschema.Draft, map[string][]byte) *contracttest.Document) *contracttest.Document {
	t.Helper()
	return load(t, newContract(t).AsyncAPI.Bytes(), jsonschema.Draft7, schemas(t))
}

func TestGoldenFramesAreInTheContract(t *testing.T) {
	document := asyncAPI(t, contracttest.LoadClosed)
	server := document.Schema(t, "components", "messages", "server", "payload")
	for _, g := range readGolden(t).Server {
		require.NoError(t, server.Validate(parse(t, []byte(g.Message))), g.Name)
	}
}

// What a gateway refuses to read is not in the contract; what is in the contract it reads.
func TestTheContractHasWhatIsRead(t *testing.T) {
	// A gateway is lenient where no client needs it to be, and there are things that a schema cannot say.
	lenient := map[string]string{
		"id null is none":                                    "null, and a member that the frame does not have",
		"id of text, with escapes that are kept":             "a member that the frame does not have",
		"id of 64 bytes":                                     "a member that the frame does not have",
		"unknown fields are ignored":                         "members that the frame does not have",
		"short form beside the long one means nothing":       "no time",
		"unknown type":                                       "is read, and answered with an error",
		"the last of two counts, null is none":               "twice the same name",
		"an event is not looked at":                          "is read, and answered with an error",
		"nested in its limit":                                "is read, and answered with an error",
		"surrogates":                                         "an unknown type",
		"an array; the bad ones do not keep the others back": "is read in part",
	}
	document := asyncAPI(t, contracttest.LoadClosed)
	client := document.Schema(t, "components", "messages", "client", "payload")
	accepted, refused := 0, 0
	unused := maps.Clone(lenient)
	for _, g := range readGolden(t).Client {
		read := true
		for _, f := range g.Frames {
			read = read && f.Error == nil
		}
		v, err := jsonschema.UnmarshalJSON(strings.NewReader(g.Message))
		if err == nil {
			err = client.Validate(v)
		}
		switch {
		case lenient[g.Name] != "":
			delete(unused, g.Name)
		case read:
			accepted++
			require.NoError(t, err, g.Name)
		default:
			refused++
			require.Error(t, err, g.Name)
		}
	}
	require.Empty(t, unused)
	require.Greater(t, accepted, 12)
	require.Greater(t, refused, 15)
}

// Frames with a defect are not in the contract: each kind without each of its members that is always
// there, with a member too many, and with each member of another kind.
func TestDamagedFramesAreNotInTheContract(t *testing.T) {
	document := asyncAPI(t, contracttest.LoadClosed)
	for direction, shapes := range map[string][]wire.Shape{"client": wire.ClientShapes(), "server": wire.ServerShapes()} {
		schema := document.Schema(t, "components", "messages", direction, "payload")
		for _, shape := range shapes {
			damage := func(what string, change func(map[string]any)) {
				var frame map[string]any
				require.NoError(t, json.Unmarshal([]byte(shape.Example), &frame))
				change(frame)
				b, err := json.Marshal([]any{frame})
				require.NoError(t, err)
				require.Error(t, schema.Validate(parse(t, b)), "%s %s: %s: %s", direction, shape.Type, what, b)
			}
			require.NoError(t, schema.Validate(parse(t, []byte("["+shape.Example+"]"))), shape.Type)
			damage("one more", func(f map[string]any) { f["surplus"] = 1 })
			name := title(shape.Type) + map[string]string{"client": "Command", "server": "Frame"}[direction]
			required, _ := document.At("components", "schemas", name, "required").([]any)
			require.NotEmpty(t, required, name)
			for _, field := range required {
				damage("without "+field.(string), func(f map[string]any) { delete(f, field.(string)) })
			}
			properties, _ := document.At("components", "schemas", name, "properties").(map[string]any)
			for field := range properties {
				if field != "status" { // any JSON
					damage(field+" of another kind", func(f map[string]any) { f[field] = []any{[]any{}} })
				}
			}
		}
	}
}

func title(s string) string { return strings.ToUpper(s[:1]) + s[1:] }

// Every schema can be compiled, so that no reference leads nowhere, and every member of an object says
// what it is.
func TestSchemasAreWholeAndExplained(t *testing.T) {
	c := newContract(t)
	for name, d := range map[string]*contracttest.Document{
		"openapi":  contracttest.Load(t, c.OpenAPI.Bytes(), jsonschema.Draft2020, schemas(t)),
		"asyncapi": contracttest.Load(t, c.AsyncAPI.Bytes(), jsonschema.Draft7, schemas(t)),
	} {
		components, _ := d.At("components", "schemas").(map[string]any)
		require.Greater(t, len(components), 50, name)
		for component, schema := range components {
			d.Schema(t, "components", "schemas", component)
			properties, _ := schema.(map[string]any)["properties"].(map[string]any)
			for field, property := range properties {
				p, _ := property.(map[string]any)
				explained := p["description"] != nil || p["const"] != nil || p["$ref"] != nil || p["enum"] != nil
				require.True(t, explained, "%s: %s.%s says nothing", name, component, field)
			}
		}
	}
}

// An event's message takes data as the type's schema says.
func TestEventsAreInTheContract(t *testing.T) {
	document := asyncAPI(t, contracttest.Load)
	schema := document.Schema(t, "components", "messages", "job.progress.v1", "payload", "schema")
	for text, good := range map[string]bool{
		`{"type":"job.progress","data":{"job_id":"1","percent":5}}`:                       true,
		`{"type":"job.progress","id":"1","ext":true,"data":{"job_id":"1","processed":5}}`: true,
		`{"type":"job.progress","data":{"job_id":"1","percent":500}}`:                     false,
		`{"type":"job.progress","data":{"percent":5}}`:                                    false,
		`{"type":"job.started","data":{"job_id":"1","percent":5}}`:                        false,
		`{"type":"job.progress","id":7,"data":{"job_id":"1","percent":5}}`:                false,
		`{"type":"job.progress","time":"noon","data":{"job_id":"1","percent":5}}`:         false,
	} {
		err := schema.Validate(parse(t, []byte(text)))
		require.Equal(t, good, err == nil, "%s: %v", text, err)
	}
	other := document.Schema(t, "components", "messages", "other", "payload")
	require.NoError(t, other.Validate(parse(t, []byte(`{"type":"acme.order"}`))))
	require.Error(t, other.Validate(parse(t, []byte(`{"type":"job.progress"}`))))
}

// Schemas of one's own are part of the document, references to their parts included; one that refers to
// another file is referred to.
func TestSchemasOfTheDirectoryAreEmbedded(t *testing.T) {
	dir := t.TempDir()
	for name, text := range map[string]string{
		"acme.order.json": `{"type":"object","required":["const"],"properties":{"const":{"$ref":"#/$defs/price"},"more":{"$ref":"#"}},
			"$defs":{"price":{"type":"integer","minimum":1}},"examples":[{"$ref":"#/nowhere"}]}`,
		"acme.order.v2.json": `{"type":"object","properties":{"price":{"$ref":"_price.json"}}}`,
		"_price.json":        `{"type":"integer"}`,
	} {
		require.NoError(t, os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600))
	}
	registry, err := events.NewRegistry(events.Options{Dir: dir})
	require.NoError(t, err)
	o := options(t)
	o.Types, o.Schema = registry.Types(), registry.Schema
	c, err := contract.New(o)
	require.NoError(t, err)
	require.NoError(t, asyncAPISchema(t).Validate(parse(t, c.AsyncAPI.Bytes())))
	document := contracttest.Load(t, c.AsyncAPI.Bytes(), jsonschema.Draft7, nil)
	payload := func(message string) []string {
		return []string{"components", "messages", message, "payload", "schema"}
	}
	schema := document.Schema(t, payload("acme.order.v1")...)
	require.NoError(t, schema.Validate(parse(t, []byte(`{"type":"acme.order","data":{"const":7,"more":{"const":1}}}`))))
	require.Error(t, schema.Validate(parse(t, []byte(`{"type":"acme.order","data":{"const":0}}`))))
	require.Error(t, schema.Validate(parse(t, []byte(`{"type":"acme.order","data":{"const":7,"more":{}}}`))))
	parts, _ := document.At(payload("acme.order.v2")...).(map[string]any)["allOf"].([]any)
	second, err := json.Marshal(parts[1])
	require.NoError(t, err)
	require.Contains(t, string(second), `"$ref":"/schemas/acme.order?version=2"`)
	require.Contains(t, string(second), `"required":["dataschema"]`, "an event that names no schema is of the first version")
}
