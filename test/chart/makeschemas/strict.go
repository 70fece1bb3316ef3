package main

import (
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"

	"sigs.k8s.io/yaml"
)

// object is a JSON object.
type object = map[string]any

// kubernetes is where the schemas of the built-in kinds come from.
type kubernetes struct {
	module string
	kinds  map[string]string // file → definition
}

const (
	definitionPrefix = "#/definitions/"
	quantity         = "io.k8s.apimachinery.pkg.api.resource.Quantity"
	sharedFile       = "kubernetes"
)

// write makes one file with all definitions that are needed, and a small one for each kind.
func (k kubernetes) write(folder string) error {
	source, err := moduleFile(k.module, "api/openapi-spec/swagger.json")
	if err != nil {
		return err
	}
	var swagger struct {
		Definitions map[string]object `json:"definitions"`
	}
	if err := json.Unmarshal(source, &swagger); err != nil {
		return fmt.Errorf("%s: %w", k.module, err)
	}
	definitions := map[string]any{}
	for file, name := range k.kinds {
		if err := collect(swagger.Definitions, name, definitions); err != nil {
			return err
		}
		if err := write(folder, file, object{"$ref": sharedFile + ".json" + definitionPrefix + name}); err != nil {
			return err
		}
	}
	definitions[quantity] = object{"type": []string{"string", "number"}}
	return write(folder, sharedFile, object{"$comment": "from " + k.module, "definitions": definitions})
}

// collect puts a definition, and those that it refers to, into out.
func collect(all map[string]object, name string, out map[string]any) error {
	if out[name] != nil {
		return nil
	}
	definition := all[name]
	if definition == nil {
		return fmt.Errorf("there is no definition %s", name)
	}
	if kinds, ok := definition["x-kubernetes-group-version-kind"].([]any); ok && len(kinds) == 1 {
		named(definition, kinds[0].(object))
	}
	out[name] = strict(definition)
	for _, reference := range references(definition) {
		if err := collect(all, reference, out); err != nil {
			return err
		}
	}
	return nil
}

// named demands the kind and the version that a definition is for.
func named(definition, kind object) {
	version := fmt.Sprint(kind["version"])
	if group := fmt.Sprint(kind["group"]); group != "" {
		version = group + "/" + version
	}
	properties := definition["properties"].(object)
	properties["apiVersion"] = object{"const": version}
	properties["kind"] = object{"const": kind["kind"]}
	required, _ := definition["required"].([]any)
	definition["required"] = append(required, "apiVersion", "kind")
}

// references lists the definitions that a schema names.
func references(v any) (names []string) {
	switch x := v.(type) {
	case object:
		for _, key := range slices.Sorted(maps.Keys(x)) {
			if text, ok := x[key].(string); ok && key == "$ref" {
				names = append(names, strings.TrimPrefix(text, definitionPrefix))
			} else {
				names = append(names, references(x[key])...)
			}
		}
	case []any:
		for _, item := range x {
			names = append(names, references(item)...)
		}
	}
	return names
}

// custom is where the schema of a custom kind comes from.
type custom struct{ module, path, version, file string }

func (c custom) write(folder string) error {
	source, err := moduleFile(c.module, c.path)
	if err != nil {
		return err
	}
	var crd struct {
		Spec struct {
			Group    string `json:"group"`
			Names    object `json:"names"`
			Versions []struct {
				Name   string `json:"name"`
				Schema struct {
					OpenAPI object `json:"openAPIV3Schema"`
				} `json:"schema"`
			} `json:"versions"`
		} `json:"spec"`
	}
	if err := yaml.Unmarshal(source, &crd); err != nil {
		return fmt.Errorf("%s: %s: %w", c.module, c.path, err)
	}
	for _, v := range crd.Spec.Versions {
		if v.Name != c.version {
			continue
		}
		named(v.Schema.OpenAPI, object{"group": crd.Spec.Group, "version": v.Name, "kind": crd.Spec.Names["kind"]})
		v.Schema.OpenAPI["properties"].(object)["metadata"] = object{"$ref": sharedFile + ".json" + definitionPrefix + "io.k8s.apimachinery.pkg.apis.meta.v1.ObjectMeta"}
		schema := strict(v.Schema.OpenAPI).(object)
		schema["$comment"] = "from " + c.module
		return write(folder, c.file, schema)
	}
	return fmt.Errorf("%s: %s: there is no version %s", c.module, c.path, c.version)
}

// strict returns a schema without descriptions, that takes no unknown fields.
func strict(v any) any {
	switch x := v.(type) {
	case object:
		out := object{}
		for key, value := range x {
			switch {
			case key == "description" && isText(value), key == "x-kubernetes-validations", key == "default":
			case strings.HasPrefix(key, "x-kubernetes-") && key != preserve && key != intOrString:
			case key == "properties":
				out[key] = properties(value.(object))
			default:
				out[key] = strict(value)
			}
		}
		return closed(out)
	case []any:
		out := make([]any, len(x))
		for i, item := range x {
			out[i] = strict(item)
		}
		return out
	}
	return v
}

const (
	preserve    = "x-kubernetes-preserve-unknown-fields"
	intOrString = "x-kubernetes-int-or-string"
)

// properties are a mapping whose keys are names, whatever they look like.
func properties(in object) object {
	out := object{}
	for name, schema := range in {
		out[name] = strict(schema)
	}
	return out
}

// closed finishes an object schema.
func closed(schema object) object {
	_, hasProperties := schema["properties"]
	_, hasMore := schema["additionalProperties"]
	if hasProperties && !hasMore && schema[preserve] != true {
		schema["additionalProperties"] = false
	}
	if schema["format"] == "int-or-string" || schema[intOrString] == true {
		delete(schema, "format")
		delete(schema, "anyOf")
		schema["type"] = []string{"integer", "string"}
	}
	delete(schema, preserve)
	delete(schema, intOrString)
	if format, ok := schema["format"].(string); ok && format != "date-time" && format != "uri" {
		delete(schema, "format") // int32, byte and such: notes, not checks
	}
	return schema
}

func isText(v any) bool {
	_, ok := v.(string)
	return ok
}
