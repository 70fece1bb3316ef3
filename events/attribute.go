package events

import (
	"encoding/base64"
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
	switch attr {
	case attrType:
		limit = MaxTypeLen
	case attrDataBase64:
		if _, err := base64.StdEncoding.Decode(make([]byte, base64.StdEncoding.DecodedLen(len(t.body))), t.body); err != nil {
			return "must be base64"
		}
		return ""
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
		if !validTime(body) {
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
	var decoded string // not t.decoded itself, which would move t to the heap for every caller
	if err := json.Unmarshal(quoted, &decoded); err != nil {
		return "must be a string"
	}
	if strings.ContainsRune(decoded, utf8.RuneError) {
		return "must not contain half of a surrogate pair" // two different ones would decode to the same string
	}
	t.body, t.decoded = []byte(decoded), decoded
	return ""
}

// validTime reports whether b is a time of RFC 3339. The standard library lets pass what browsers do not
// read: hours of one digit, a comma before the fraction, offsets of a day and more.
func validTime(b []byte) bool {
	const seconds, offset = len("2006-01-02T15:04:05"), len("07:00")
	var t time.Time
	if len(b) <= seconds || t.UnmarshalText(b) != nil || b[seconds-3] != ':' || b[seconds] == ',' {
		return false
	}
	if b[len(b)-1] == 'Z' {
		return true
	}
	zone := b[len(b)-offset:]
	return string(zone[:2]) < "24" && string(zone[3:]) < "60"
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

// ValidTraceParent reports whether a text may be an event's `traceparent`.
func ValidTraceParent(s string) bool { return validTraceParent([]byte(s)) }

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
