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

// encode returns v's JSON, with '<' and '&' as they are.
func encode(v any) ([]byte, error) {
	var b bytes.Buffer
	err := write(&b, v)
	return b.Bytes(), err
}

// write appends v's JSON. It walks objects and lists itself: encoding/json would copy what is in an object
// once for every object around it.
func write(b *bytes.Buffer, v any) error {
	switch v := v.(type) {
	case object:
		b.WriteByte('{')
		for i, m := range v {
			if i > 0 {
				b.WriteByte(',')
			}
			if err := write(b, m.name); err != nil {
				return err
			}
			b.WriteByte(':')
			if err := write(b, m.value); err != nil {
				return fmt.Errorf("%s: %w", m.name, err)
			}
		}
		b.WriteByte('}')
	case map[string]any:
		return write(b, sorted(v))
	case []any:
		b.WriteByte('[')
		for i, item := range v {
			if i > 0 {
				b.WriteByte(',')
			}
			if err := write(b, item); err != nil {
				return err
			}
		}
		b.WriteByte(']')
	default:
		e := json.NewEncoder(b)
		e.SetEscapeHTML(false)
		if err := e.Encode(v); err != nil {
			return fmt.Errorf("%T: %w", v, err)
		}
		b.Truncate(b.Len() - 1) // the line end
	}
	return nil
}
