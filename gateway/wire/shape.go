package wire

// Shape is one kind of frame as JSON has it: what the Append functions write and Decode reads, as a Go
// type. Nothing encodes with it; the contract that is published describes it, and tests hold the codec
// against it in both directions.
type Shape struct {
	Type string // of the frame
	Doc  string // what it says, for people
	// Value is the zero value of the Go type. Its fields have `json` tags, of which those without
	// omitempty are always there, and `doc` tags.
	Value any
	// Answers are the types of the frames that answer it, for frames of clients.
	Answers []string
	// Example is a frame of the golden file.
	Example string
}

// Schema is a JSON Schema that both draft 7 and draft 2020-12 read alike.
type Schema = map[string]any

// Described is a type whose values JSON Schema can tell more about than their kind.
type Described interface{ JSONSchema() Schema }

// Extended is a type whose schema, as it is made of the Go type, lacks something.
type Extended interface{ ExtendSchema(s Schema) }

// Union is a type whose values are those of one of several types.
type Union interface{ OneOf() []any }
