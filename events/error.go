package events

import "unicode/utf8"

// InvalidError says why an event is refused. It is what [Scan] and [Registry.Check] return.
type InvalidError struct {
	// Path is a JSON pointer into the event, as "/data/percent". It is "" when the event as a whole is
	// meant.
	Path string
	// Message is for people: the place in words and what is wanted, as "data.percent: must be <= 100".
	// It has at most [MaxMessageBytes], and no control characters.
	Message string
}

// MaxMessageBytes bounds the message of an [InvalidError].
const MaxMessageBytes = 512

// Error returns the message.
func (e *InvalidError) Error() string { return e.Message }

// invalid returns an error about the event's attribute name.
func invalid(name, problem string) *InvalidError {
	return &InvalidError{Path: "/" + name, Message: clip(name+": "+problem, MaxMessageBytes)}
}

// clip returns s without control characters and invalid UTF-8, cut to at most limit bytes.
func clip(s string, limit int) string {
	clean := len(s) <= limit
	for i := 0; clean && i < len(s); i++ {
		clean = s[i] >= 0x20 && s[i] < 0x7f
	}
	if clean {
		return s
	}
	const ellipsis = "…"
	b := make([]byte, 0, min(len(s), limit))
	for _, r := range s {
		if r == utf8.RuneError || r < 0x20 || r >= 0x7f && r < 0xa0 || r == '\u2028' || r == '\u2029' {
			r = '?'
		}
		if len(b)+utf8.RuneLen(r) > limit-len(ellipsis) {
			return string(append(b, ellipsis...))
		}
		b = utf8.AppendRune(b, r)
	}
	return string(b)
}
