package contract

import (
	"encoding/json"
	"fmt"
	"strings"
)

// embed returns the schema that goes by an $id as a part of the document at a place, so that the document
// is whole wherever it is kept. A schema that refers to other schemas cannot be; where the gateway serves
// it is then the reference.
func (b *builder) embed(id, place, served string) any {
	var text []byte
	if b.Schema != nil {
		text, _ = b.Schema(id)
	}
	if text == nil {
		return obj("$ref", served)
	}
	var schema any
	if err := json.Unmarshal(text, &schema); err != nil {
		b.schemas.errs = append(b.schemas.errs, fmt.Errorf("schema %s: %w", id, err))
		return obj()
	}
	if o, ok := schema.(map[string]any); ok { // what makes it a document of its own
		delete(o, "$id")
		delete(o, "$schema")
	}
	if !rebase(schema, place) {
		return obj("$ref", served)
	}
	return schema
}

// rebase has a schema's references to its own parts lead to the place where it is now, and reports whether
// it has no others.
func rebase(v any, place string) bool {
	switch v := v.(type) {
	case []any:
		for _, item := range v {
			if !rebase(item, place) {
				return false
			}
		}
	case map[string]any:
		for keyword, item := range v {
			if !rebaseKeyword(v, keyword, item, place) {
				return false
			}
		}
	}
	return true
}

// rebaseKeyword does it for one keyword of a schema.
func rebaseKeyword(schema map[string]any, keyword string, value any, place string) bool {
	switch keyword {
	case "const", "enum", "default", "examples": // no schemas
		return true
	case "$id", "$anchor", "$dynamicAnchor", "$dynamicRef":
		return false
	case "$ref":
		target, ok := value.(string)
		if !ok || target != "#" && !strings.HasPrefix(target, "#/") {
			return false
		}
		schema[keyword] = place + target[1:]
		return true
	case "properties", "patternProperties", "$defs", "definitions", "dependentSchemas": // names, not keywords
		named, _ := value.(map[string]any)
		for _, item := range named {
			if !rebase(item, place) {
				return false
			}
		}
		return true
	}
	return rebase(value, place)
}
