package contract

import (
	"bytes"
	"encoding/json"
	"fmt"
	"slices"
)

// object is a JSON object whose members keep their order, so that a document reads as it was written.
type object []member

type member struct {
	name  string
	value any
}

// obj returns an object of names and values in turn. A nil value leaves the member out.
func obj(pairs ...any) object {
	o := make(object, 0, len(pairs)/2)
	for pair := range slices.Chunk(pairs, 2) {
		o.set(pair[0].(string), pair[1])
	}
	return o
}

// set adds a member, unless its value is nil.
func (o *object) set(name string, value any) {
	if value != nil {
		*o = append(*o, member{name, value})
	}
}

// MarshalJSON implements json.Marshaler.
func (o object) MarshalJSON() ([]byte, error) {
	var b bytes.Buffer
	b.WriteByte('{')
	for i, m := range o {
		if i > 0 {
			b.WriteByte(',')
		}
		name, err := encode(m.name)
		if err != nil {
			return nil, err
		}
		value, err := encode(m.value)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", m.name, err)
		}
		b.Write(name)
		b.WriteByte(':')
		b.Write(value)
	}
	b.WriteByte('}')
	return b.Bytes(), nil
}

// encode returns v's JSON, with '<' and '&' as they are.
func encode(v any) ([]byte, error) {
	var b bytes.Buffer
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	if err := e.Encode(v); err != nil {
		return nil, err //nolint:wrapcheck // the caller names the place
	}
	return bytes.TrimSuffix(b.Bytes(), []byte("\n")), nil
}
