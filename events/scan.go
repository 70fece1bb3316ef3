package events

import (
	"bytes"
	"encoding/json"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"
)

// Attributes that CloudEvents or this package gives a meaning. Those up to kept are in the Envelope.
const (
	attrID = iota
	attrSource
	attrType
	attrSubject
	attrTime
	attrDataSchema
	attrTraceParent
	kept
	attrSpecVersion = iota - 1
	attrDataContentType
	attrData
	attrDataBase64
	extension
)

// attribute returns which attribute name is.
func attribute(name []byte) int {
	switch string(name) {
	case "id":
		return attrID
	case "source":
		return attrSource
	case "type":
		return attrType
	case "subject":
		return attrSubject
	case "time":
		return attrTime
	case "dataschema":
		return attrDataSchema
	case "traceparent":
		return attrTraceParent
	case "specversion":
		return attrSpecVersion
	case "datacontenttype":
		return attrDataContentType
	case "data":
		return attrData
	case "data_base64":
		return attrDataBase64
	}
	return extension
}

// text is an attribute's string as it stands in the JSON, without the quotes.
type text struct {
	body    []byte
	escaped bool
	// decoded is the string where it was needed already, because of escapes.
	decoded string
}

// Scan reads the envelope of an event and makes sure that raw can be relayed as it is. An event is
// refused, with an [*InvalidError], unless it is
//
//   - at most [MaxEventBytes] of valid UTF-8 (a text frame that is not kills a browser's socket), and
//     valid JSON, nested at most [MaxDepth] levels, its numbers with exponents up to [MaxExponent];
//   - an object of at most [MaxAttributes] members, none of them twice;
//   - named by CloudEvents' rule: a-z and 0-9, up to [MaxAttributeNameLen] characters, written without
//     escapes; data_base64 is the only exception;
//   - `type` present; `type`, `id`, `source`, `subject`, `time` (RFC 3339), `dataschema`, `traceparent` (W3C),
//     `datacontenttype` and `specversion` ("1.0") strings of limited length without control characters,
//     and not empty;
//   - one of `data` (any value) and `data_base64` (a string), or neither;
//   - scalars in all other members. `null` stands for an absent attribute, as CloudEvents says.
//
// Scan does not know types; [Registry.Check] does. It may be called from any goroutine. The returned
// strings are copies, Data is a part of raw.
func Scan(raw []byte) (Envelope, error) {
	if len(raw) > MaxEventBytes {
		return Envelope{}, &InvalidError{
			Message: "too large: " + strconv.Itoa(len(raw)) + " bytes, at most " + strconv.Itoa(MaxEventBytes) + " allowed",
		}
	}
	if !utf8.Valid(raw) {
		return Envelope{}, &InvalidError{Message: "not valid UTF-8"}
	}
	var (
		s     = scanner{b: raw}
		env   Envelope
		attrs [kept]text
	)
	if !s.event(&env, &attrs) {
		return Envelope{}, s.err()
	}
	env.fill(&attrs)
	return env, nil
}

// event reads the whole event.
func (s *scanner) event(env *Envelope, attrs *[kept]text) bool {
	if c := s.space(); c != '{' {
		if s.value(0) && s.space() == 0 && s.pos == len(s.b) {
			return s.fail("", "an event must be a JSON object")
		}
		return false
	}
	s.pos++
	if s.space() == '}' {
		return s.fail("type", "is required")
	}
	var (
		seen    uint
		inline  [8][]byte
		unknown = inline[:0] // names of the extension attributes
	)
	for n := 1; ; n++ {
		if n > MaxAttributes {
			return s.fail("", "more than "+strconv.Itoa(MaxAttributes)+" attributes")
		}
		name, ok := s.name()
		if !ok {
			return false
		}
		attr := attribute(name)
		if attr == extension {
			for _, other := range unknown {
				if bytes.Equal(other, name) {
					return s.fail(string(name), "occurs twice")
				}
			}
			unknown = append(unknown, name)
		} else if seen&(1<<attr) != 0 {
			return s.fail(string(name), "occurs twice")
		}
		seen |= 1 << attr
		if !s.member(attr, name, env, attrs) {
			return false
		}
		switch s.space() {
		case ',':
			s.pos++
			continue
		case '}':
			s.pos++
		default:
			return false
		}
		break
	}
	switch {
	case s.space() != 0 || s.pos < len(s.b):
		return false
	case attrs[attrType].body == nil:
		return s.fail("type", "is required")
	case seen&(1<<attrData|1<<attrDataBase64) == 1<<attrData|1<<attrDataBase64:
		return s.fail("data_base64", "may not stand beside data")
	}
	return true
}

// name reads an attribute's name and the colon.
func (s *scanner) name() (name []byte, ok bool) {
	if s.space() != '"' {
		return nil, false
	}
	name, escaped, ok := s.str()
	if !ok {
		return nil, false
	}
	if problem := nameProblem(name, escaped); problem != "" {
		return nil, s.fail("", problem)
	}
	return name, s.expect(':')
}

// nameProblem says what is wrong with an attribute's name. Only data_base64 may have a '_'.
func nameProblem(name []byte, escaped bool) string {
	valid := !escaped && len(name) > 0 && len(name) <= MaxAttributeNameLen
	for i := 0; valid && i < len(name); i++ {
		valid = classes[name[i]]&inAttribute != 0
	}
	if valid || string(name) == "data_base64" {
		return ""
	}
	return "attribute " + clip(strconv.Quote(string(name[:min(len(name), MaxAttributeNameLen)])), MaxAttributeLen) +
		": names are 1 to " + strconv.Itoa(MaxAttributeNameLen) + " characters of a-z and 0-9, written without escapes"
}

// member reads the value of an attribute.
func (s *scanner) member(attr int, name []byte, env *Envelope, attrs *[kept]text) bool {
	c := s.space()
	start := s.pos
	switch {
	case attr == attrData:
		if !s.value(1) {
			return false
		}
		env.Data, env.HasData = s.b[start:s.pos:s.pos], true
		return true
	case c == 'n':
		return s.word("null")
	case c == '{' || c == '[':
		if !s.value(1) {
			return false
		}
		return s.fail(string(name), wantOf(attr))
	case c != '"':
		if !s.value(1) {
			return false
		}
		if attr != extension {
			return s.fail(string(name), wantOf(attr))
		}
		return true
	}
	body, escaped, ok := s.str()
	if !ok || attr == extension || attr == attrDataBase64 {
		return ok
	}
	t := text{body: body, escaped: escaped}
	if problem := t.check(attr); problem != "" {
		return s.fail(string(name), problem)
	}
	if attr < kept {
		attrs[attr] = t
	}
	return true
}

// wantOf says what kind of value an attribute has.
func wantOf(attr int) string {
	if attr == extension {
		return "must be a string, a number or a boolean"
	}
	return "must be a string"
}

// check says what is wrong with the attribute's string; "" if nothing is.
func (t *text) check(attr int) string {
	if t.escaped {
		if problem := t.decode(); problem != "" {
			return problem
		}
	}
	limit := MaxAttributeLen
	if attr == attrType {
		limit = MaxTypeLen
	}
	body := t.body
	switch {
	case len(body) == 0:
		return "must not be empty"
	case len(body) > limit:
		return "must be at most " + strconv.Itoa(limit) + " bytes"
	}
	for _, c := range body {
		if c < 0x20 || c >= 0x7f {
			if hasControl(body) {
				return "must not contain control characters"
			}
			break
		}
	}
	switch attr {
	case attrType:
		for _, c := range body {
			if classes[c]&inType == 0 {
				return "must consist of A-Z a-z 0-9 _ . -"
			}
		}
	case attrTime:
		var t time.Time
		if t.UnmarshalText(body) != nil {
			return "must be a time as in RFC 3339, like 2026-11-24T10:00:00Z"
		}
	case attrTraceParent:
		if !validTraceParent(body) {
			return "must be a W3C trace context, as 00-<32 hex digits>-<16 hex digits>-<2 hex digits>"
		}
	case attrSpecVersion:
		if string(body) != "1.0" {
			return `must be "1.0"`
		}
	}
	return ""
}

// decode replaces the body by what its escapes stand for.
func (t *text) decode() string {
	quoted := make([]byte, 0, len(t.body)+2)
	quoted = append(append(append(quoted, '"'), t.body...), '"')
	if err := json.Unmarshal(quoted, &t.decoded); err != nil {
		return "must be a string"
	}
	if strings.ContainsRune(t.decoded, utf8.RuneError) {
		return "must not contain half of a surrogate pair" // two different ones would decode to the same string
	}
	t.body = []byte(t.decoded)
	return ""
}

// hasControl reports whether b holds a control character (C0, DEL, C1).
func hasControl(b []byte) bool {
	for _, r := range string(b) {
		if r < 0x20 || r >= 0x7f && r < 0xa0 {
			return true
		}
	}
	return false
}

// validTraceParent checks the shape that W3C Trace Context gives to `traceparent`; versions after 00 may
// be longer.
func validTraceParent(b []byte) bool {
	const length = len("00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01")
	if len(b) < length || string(b[:2]) == "ff" || string(b[:2]) == "00" && len(b) > length ||
		len(b) > length && b[length] != '-' {
		return false
	}
	var digits [length]bool // per place: a digit other than 0
	for i, c := range b[:length] {
		if i == 2 || i == 35 || i == 52 {
			if c != '-' {
				return false
			}
			continue
		}
		if !isHex(c) || c >= 'A' && c <= 'F' {
			return false
		}
		digits[i] = c != '0'
	}
	return anyTrue(digits[3:35]) && anyTrue(digits[36:52])
}

func anyTrue(b []bool) bool {
	for _, v := range b {
		if v {
			return true
		}
	}
	return false
}

// fill copies the attributes' strings into the envelope, with one allocation for all.
func (e *Envelope) fill(attrs *[kept]text) {
	total := 0
	for i := range attrs {
		if !attrs[i].escaped {
			total += len(attrs[i].body)
		}
	}
	var b strings.Builder
	b.Grow(total)
	for i := range attrs {
		if !attrs[i].escaped {
			b.Write(attrs[i].body)
		}
	}
	all := b.String()
	for i, field := range [kept]*string{
		attrID: &e.ID, attrSource: &e.Source, attrType: &e.Type, attrSubject: &e.Subject,
		attrTime: &e.Time, attrDataSchema: &e.DataSchema, attrTraceParent: &e.TraceParent,
	} {
		if attrs[i].escaped {
			*field = attrs[i].decoded
			continue
		}
		n := len(attrs[i].body)
		*field, all = all[:n], all[n:]
	}
}
