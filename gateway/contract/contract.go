package contract

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/tallywire/tallywire/events"
	"github.com/tallywire/tallywire/gateway/wire"
)

// Options say what a gateway speaks beside the frames.
type Options struct {
	// Version is the program's.
	Version string
	// Cookie is the name of the cookie that holds a token.
	Cookie string
	// Types are the registered types of events, Schema returns the JSON Schema that goes by an $id.
	Types  []events.Type
	Schema func(id string) ([]byte, bool)
	// Bodies are zero values of the Go types of the HTTP bodies, by the names that the tables use.
	Bodies map[string]any
	Limits Limits
}

// Limits are those that a schema tells.
type Limits struct {
	Batch    int // events in one request to publish
	History  int // events on a page
	Channels int // channels of a stream or a session
}

// Contract is the two documents.
type Contract struct {
	OpenAPI  *Document
	AsyncAPI *Document
}

// New makes the documents. It fails where the tables, the notes and the Go types do not fit together,
// which is a defect.
func New(o Options) (*Contract, error) {
	b := &builder{Options: o, schemas: newSchemas()}
	b.addFrames()
	b.addMessages()
	b.addBodies()
	openAPI, asyncAPI := b.openAPI(), b.asyncAPI()
	if err := errors.Join(b.schemas.errs...); err != nil {
		return nil, fmt.Errorf("contract: %w", err)
	}
	var c Contract
	var err error
	if c.OpenAPI, err = newDocument(openAPI); err != nil {
		return nil, fmt.Errorf("contract: openapi: %w", err)
	}
	if c.AsyncAPI, err = newDocument(asyncAPI); err != nil {
		return nil, fmt.Errorf("contract: asyncapi: %w", err)
	}
	return &c, nil
}

// builder makes the documents. Both have all components.
type builder struct {
	Options
	schemas *schemas
}

// addFrames makes the components of frames: XCommand for what a client sends, XFrame for what it gets.
func (b *builder) addFrames() {
	var client []string
	for _, shape := range wire.ClientShapes() {
		if len(shape.Answers) > 0 {
			shape.Doc += " Answered with `" + strings.Join(shape.Answers, "`, `") + "`, or `error`."
		}
		b.schemas.frame(commandName(shape.Type), shape)
		client = append(client, shape.Type)
	}
	var server []string
	for _, shape := range wire.ServerShapes() {
		b.schemas.frame(frameName(shape.Type), shape)
		server = append(server, shape.Type)
	}
	command := obj("description", "A frame of a client. Members that a gateway does not know are ignored.",
		"oneOf", refs(client, commandName))
	b.schemas.components["Command"] = command
	b.schemas.components["ClientMessage"] = obj(
		"description", "What a client sends: a frame, or several.",
		"oneOf", []any{ref("Command"), obj("type", "array", "items", ref("Command"), "maxItems", wire.MaxFrames)},
	)
	b.schemas.components["ServerMessage"] = b.frames("What a gateway sends: frames, in order.", server...)
}

// frames returns the schema of an array of frames of some types.
func (b *builder) frames(doc string, types ...string) object {
	return obj("type", "array", "description", doc, "items", obj("oneOf", refs(types, frameName)))
}

func refs(types []string, name func(string) string) []any {
	out := make([]any, len(types))
	for i, t := range types {
		out[i] = ref(name(t))
	}
	return out
}

func commandName(frameType string) string { return title(frameType) + "Command" }
func frameName(frameType string) string   { return title(frameType) + "Frame" }
func title(s string) string               { return strings.ToUpper(s[:1]) + s[1:] }

// addBodies makes the components of HTTP bodies.
func (b *builder) addBodies() {
	known := map[string]bool{}
	for _, body := range slices.Concat(ownBodies(), gatewayBodies(b.Limits), streamBodies(b.Limits)) {
		value := body.value
		if value == nil {
			var ok bool
			if value, ok = b.Bodies[body.name]; !ok {
				b.schemas.errs = append(b.schemas.errs, fmt.Errorf("no Go type for the body %s", body.name))
				continue
			}
		}
		known[body.name] = true
		b.schemas.add(body.name, value, body.notes)
		if body.more != nil {
			o, _ := b.schemas.components[body.name].(object)
			b.schemas.components[body.name] = append(o, body.more...)
		}
	}
	for name := range b.Bodies {
		if !known[name] {
			b.schemas.errs = append(b.schemas.errs, fmt.Errorf("the body %s is not described", name))
		}
	}
}

// eventTypes returns the registered types, one entry a version, by name.
func (b *builder) eventTypes() []events.Type {
	types := slices.Clone(b.Types)
	slices.SortStableFunc(types, func(x, y events.Type) int {
		if c := strings.Compare(x.Name, y.Name); c != 0 {
			return c
		}
		return x.Version - y.Version
	})
	return types
}
