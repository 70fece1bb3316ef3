package events

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"time"
)

// Event is an event as Go programs make and read it. Zero fields are left out of its JSON; what that
// means is in the package's documentation. Only Type is required.
//
// An Event is plain data: copy it, but do not share one that is being changed.
type Event struct {
	ID          string    `json:"id,omitempty"`
	Source      string    `json:"source,omitempty"`
	Type        string    `json:"type"`
	Subject     string    `json:"subject,omitempty"`
	Time        time.Time `json:"time,omitzero"`
	DataSchema  string    `json:"dataschema,omitempty"`
	TraceParent string    `json:"traceparent,omitempty"`
	// SpecVersion is "1.0" where the event is to be a complete CloudEvent for others.
	SpecVersion string `json:"specversion,omitempty"`
	// DataContentType is for DataBase64; Data is always JSON.
	DataContentType string `json:"datacontenttype,omitempty"`
	// Data is the JSON of `data`; nil for none, "null" for null.
	Data json.RawMessage `json:"data,omitempty"`
	// DataBase64 is binary data in the place of Data; nil for none.
	DataBase64 []byte `json:"data_base64,omitempty"`
	// Extensions are further attributes: strings, booleans and numbers by lower-case name. Decoding
	// yields string, bool, int64, float64 for other numbers, and json.Number for those beyond both.
	Extensions map[string]any `json:"-"`
}

// New returns an event of the type with data encoded as JSON.
func New(eventType string, data any) (Event, error) {
	b, err := json.Marshal(data)
	if err != nil {
		return Event{}, fmt.Errorf("event data: %w", err)
	}
	return Event{Type: eventType, Data: b}, nil
}

// MarshalJSON returns the event's JSON, the same bytes for the same event, on one line. It refuses, with
// an [*InvalidError], what [Scan] would refuse.
func (e Event) MarshalJSON() ([]byte, error) {
	var b bytes.Buffer
	b.Grow(256 + len(e.Data) + base64.StdEncoding.EncodedLen(len(e.DataBase64)))
	b.WriteByte('{')
	for _, a := range []struct{ name, value string }{
		{"specversion", e.SpecVersion},
		{"id", e.ID},
		{"source", e.Source},
		{"type", e.Type},
		{"subject", e.Subject},
		{"time", e.timeText()},
		{"dataschema", e.DataSchema},
		{"datacontenttype", e.DataContentType},
		{"traceparent", e.TraceParent},
	} {
		if a.value == "" {
			continue
		}
		if err := appendMember(&b, a.name, a.value); err != nil {
			return nil, err
		}
	}
	for _, name := range slices.Sorted(maps.Keys(e.Extensions)) {
		value := e.Extensions[name]
		if problem := nameProblem([]byte(name), false); problem != "" {
			return nil, &InvalidError{Message: problem}
		}
		if attribute([]byte(name)) != extension {
			return nil, invalid(name, "is no extension attribute, it has a field of its own")
		}
		if err := appendMember(&b, name, value); err != nil {
			return nil, invalid(name, wantOf(extension))
		}
	}
	if e.DataBase64 != nil {
		if err := appendMember(&b, "data_base64", base64.StdEncoding.EncodeToString(e.DataBase64)); err != nil {
			return nil, err
		}
	}
	if e.Data != nil {
		if !json.Valid(e.Data) { // else it could smuggle in attributes
			return nil, invalid("data", "must be valid JSON")
		}
		appendName(&b, "data")
		b.Write(bytes.TrimSpace(e.Data))
	}
	b.WriteByte('}')
	out := Compact(b.Bytes())
	if _, err := Scan(out); err != nil {
		return nil, err
	}
	return out, nil
}

// timeText writes the time, "" for the zero time. UTC, because RFC 3339 cannot say every zone's offset.
func (e *Event) timeText() string {
	if e.Time.IsZero() {
		return ""
	}
	return e.Time.UTC().Format(time.RFC3339Nano)
}

// appendName begins a member; the name needs no escapes.
func appendName(b *bytes.Buffer, name string) {
	if b.Len() > 1 {
		b.WriteByte(',')
	}
	b.WriteByte('"')
	b.WriteString(name)
	b.WriteString(`":`)
}

// appendMember appends a member with a scalar value.
func appendMember(b *bytes.Buffer, name string, value any) error {
	appendName(b, name)
	enc := json.NewEncoder(b)
	enc.SetEscapeHTML(false)
	if err := enc.Encode(value); err != nil {
		return err
	}
	b.Truncate(b.Len() - 1) // the encoder's line break
	return nil
}

// UnmarshalJSON reads an event, which must be one that [Scan] accepts.
func (e *Event) UnmarshalJSON(raw []byte) error {
	env, err := Scan(raw)
	if err != nil {
		return err
	}
	var rest map[string]json.RawMessage
	if err := json.Unmarshal(raw, &rest); err != nil {
		return fmt.Errorf("event: %w", err)
	}
	out := Event{
		ID: env.ID, Source: env.Source, Type: env.Type, Subject: env.Subject,
		DataSchema: env.DataSchema, TraceParent: env.TraceParent,
	}
	if env.Time != "" {
		if err := out.Time.UnmarshalText([]byte(env.Time)); err != nil {
			return invalid("time", err.Error())
		}
	}
	if env.HasData {
		out.Data = bytes.Clone(env.Data)
	}
	for name, value := range rest {
		if err := out.setMember(name, value); err != nil {
			return err
		}
	}
	*e = out
	return nil
}

// setMember sets what the envelope does not have.
func (e *Event) setMember(name string, value json.RawMessage) error {
	if string(value) == "null" {
		return nil
	}
	var err error
	switch attribute([]byte(name)) {
	case attrSpecVersion:
		err = json.Unmarshal(value, &e.SpecVersion)
	case attrDataContentType:
		err = json.Unmarshal(value, &e.DataContentType)
	case attrDataBase64:
		err = json.Unmarshal(value, &e.DataBase64)
	case extension:
		if e.Extensions == nil {
			e.Extensions = map[string]any{}
		}
		e.Extensions[name], err = extensionValue(value)
	}
	if err != nil {
		return invalid(name, err.Error())
	}
	return nil
}

// extensionValue decodes a scalar.
func extensionValue(raw json.RawMessage) (v any, err error) {
	if c := raw[0]; c == '-' || classes[c]&inNumber != 0 {
		if n, err := strconv.ParseInt(string(raw), 10, 64); err == nil {
			return n, nil
		}
		if f, err := strconv.ParseFloat(string(raw), 64); err == nil {
			return f, nil
		}
		return json.Number(raw), nil
	}
	err = json.Unmarshal(raw, &v)
	return v, err
}
