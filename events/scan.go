package events

import (
	"bytes"
	"strconv"
	"strings"
	"unicode/utf8"
)

// Scan reads the envelope of an event and makes sure that raw can be relayed as it is. An event is
// refused, with an [*InvalidError], unless it is
//
//   - at most [MaxEventBytes] of valid UTF-8 (a text frame that is not kills a browser's socket), and
//     valid JSON, nested at most [MaxDepth] levels, its numbers within [MaxNumberLen] and [MaxExponent];
//   - an object with at most [MaxExtensions] extension attributes and no name twice;
//   - named by CloudEvents' rule: a-z and 0-9, up to [MaxAttributeNameLen] characters, written without
//     escapes; data_base64 is the only exception;
//   - `type` present; `type`, `id`, `source`, `subject`, `time` (RFC 3339), `dataschema`, `traceparent` (W3C),
//     `datacontenttype` and `specversion` ("1.0") strings of limited length without control characters,
//     and not empty;
//   - one of `data` (any value) and `data_base64` (padded base64), or neither;
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
		seen   uint // a bit per attribute
		inline [8][]byte
		others = inline[:0] // the names of extension attributes
	)
	for more := true; more; {
		name, ok := s.name()
		if !ok {
			return false
		}
		attr := attribute(name)
		switch {
		case attr != extension && seen&(1<<attr) != 0, attr == extension && contains(others, name):
			return s.fail(string(name), "occurs twice")
		case attr == extension && len(others) == MaxExtensions:
			return s.fail("", "more than "+strconv.Itoa(MaxExtensions)+" extension attributes")
		case attr == extension:
			others = append(others, name)
		}
		seen |= 1 << attr
		if !s.member(attr, name, env, attrs) {
			return false
		}
		c := s.space()
		if c != ',' && c != '}' {
			return false
		}
		s.pos++
		more = c == ','
	}
	switch {
	case s.space() != 0 || s.pos < len(s.b):
		return false
	case attrs[attrType].body == nil:
		return s.fail("type", "is required")
	case seen&(1<<attrData) != 0 && seen&(1<<attrDataBase64) != 0:
		return s.fail("data_base64", "may not stand beside data")
	}
	return true
}

// contains reports whether name is one of names.
func contains(names [][]byte, name []byte) bool {
	for _, n := range names {
		if bytes.Equal(n, name) {
			return true
		}
	}
	return false
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
	if !ok || attr == extension {
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
