package events

import "strconv"

// scanner walks once over JSON text. Its methods advance pos over what they are named for and report
// whether it is there; after the first false, pos and problem say what is wrong, and it is done.
// It accepts exactly what RFC 8259 (and encoding/json) accepts, up to MaxDepth, MaxNumberLen and MaxExponent.
type scanner struct {
	b   []byte
	pos int
	// problem is set where the trouble is not simply the byte at pos.
	problem string
	// path is the attribute meant by problem; "" for the whole event.
	path string
}

// malformed begins the message about text that is not JSON.
const malformed = "malformed JSON: "

// err returns what is wrong after a method returned false.
func (s *scanner) err() *InvalidError {
	switch {
	case s.path != "":
		return invalid(s.path, s.problem)
	case s.problem != "":
		return &InvalidError{Message: s.problem}
	case s.pos >= len(s.b):
		return &InvalidError{Message: malformed + "it ends too early"}
	}
	return &InvalidError{Message: malformed + "unexpected " + describeByte(s.b[s.pos]) + " at byte " + strconv.Itoa(s.pos)}
}

// fail notes a problem that is not one of JSON's grammar.
func (s *scanner) fail(path, problem string) bool {
	s.path, s.problem = path, problem
	return false
}

// space skips white space and returns the byte after it, 0 at the end.
func (s *scanner) space() byte {
	for s.pos < len(s.b) {
		switch c := s.b[s.pos]; c {
		case ' ', '\t', '\n', '\r':
			s.pos++
		default:
			return c
		}
	}
	return 0
}

// expect skips white space and the byte c.
func (s *scanner) expect(c byte) bool {
	if s.space() != c || s.pos >= len(s.b) {
		return false
	}
	s.pos++
	return true
}

// value skips one value; depth is how many objects and arrays are open around it.
func (s *scanner) value(depth int) bool {
	switch c := s.space(); c {
	case '"':
		_, _, ok := s.str()
		return ok
	case '{', '[':
		return s.nested(c, depth+1)
	case 't':
		return s.word("true")
	case 'f':
		return s.word("false")
	case 'n':
		return s.word("null")
	default:
		return s.number()
	}
}

// nested skips an object or an array, as open says.
func (s *scanner) nested(open byte, depth int) bool {
	if depth > MaxDepth {
		return s.fail("", "nested deeper than "+strconv.Itoa(MaxDepth)+" levels")
	}
	end := open + 2 // in ASCII, '}' follows '{' and ']' follows '[' at this distance
	s.pos++
	if s.space() == end {
		s.pos++
		return true
	}
	for {
		if open == '{' {
			if s.space() != '"' {
				return false
			}
			if _, _, ok := s.str(); !ok || !s.expect(':') {
				return false
			}
		}
		if !s.value(depth) {
			return false
		}
		switch s.space() {
		case ',':
			s.pos++
		case end:
			s.pos++
			return true
		default:
			return false
		}
	}
}

// str skips a string, pos being at its first quote, and returns what is between the quotes, and whether
// that holds escapes.
func (s *scanner) str() (body []byte, escaped, ok bool) {
	b := s.b
	i := s.pos + 1
	start := i
	for i < len(b) {
		switch c := b[i]; {
		case classes[c]&plain != 0:
			i++
		case c == '"':
			s.pos = i + 1
			return b[start:i], escaped, true
		case c == '\\':
			escaped = true
			n := escapeLen(b[i:])
			if n == 0 {
				s.pos = i
				return nil, false, s.fail("", malformed+"bad escape at byte "+strconv.Itoa(i))
			}
			i += n
		default: // a control character
			s.pos = i
			return nil, false, false
		}
	}
	s.pos = i
	return nil, false, false
}

// escapeLen returns the length of the escape at the start of b, 0 if there is none.
func escapeLen(b []byte) int {
	if len(b) < 2 {
		return 0
	}
	switch b[1] {
	case '"', '\\', '/', 'b', 'f', 'n', 'r', 't':
		return 2
	case 'u':
		if len(b) < 6 {
			return 0
		}
		for _, c := range b[2:6] {
			if !isHex(c) {
				return 0
			}
		}
		return 6
	}
	return 0
}

func isHex(c byte) bool {
	return c >= '0' && c <= '9' || c >= 'a' && c <= 'f' || c >= 'A' && c <= 'F'
}

// word skips a literal.
func (s *scanner) word(w string) bool {
	for i := range len(w) {
		if s.pos >= len(s.b) || s.b[s.pos] != w[i] {
			return false
		}
		s.pos++
	}
	return true
}

// number skips a number.
func (s *scanner) number() bool {
	start := s.pos
	return s.numeral() && (s.pos-start <= MaxNumberLen || s.fail("", "a number is too long at byte "+strconv.Itoa(start)))
}

// numeral skips a number of any length.
func (s *scanner) numeral() bool {
	if s.at('-') {
		s.pos++
	}
	if s.at('0') {
		s.pos++
	} else if !s.digits() {
		return false
	}
	if s.at('.') {
		s.pos++
		if !s.digits() {
			return false
		}
	}
	if !s.at('e') && !s.at('E') {
		return true
	}
	s.pos++
	if s.at('+') || s.at('-') {
		s.pos++
	}
	start := s.pos
	if !s.digits() {
		return false
	}
	exponent := 0
	for _, c := range s.b[start:s.pos] {
		if exponent = exponent*10 + int(c-'0'); exponent > MaxExponent {
			return s.fail("", "a number is out of range at byte "+strconv.Itoa(start))
		}
	}
	return true
}

// at reports whether the next byte is c.
func (s *scanner) at(c byte) bool { return s.pos < len(s.b) && s.b[s.pos] == c }

// digits skips one digit or more.
func (s *scanner) digits() bool {
	start := s.pos
	for s.pos < len(s.b) && classes[s.b[s.pos]]&inNumber != 0 {
		s.pos++
	}
	return s.pos > start
}
