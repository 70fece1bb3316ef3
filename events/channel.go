package events

import (
	"errors"
	"fmt"
	"strconv"
)

// MaxChannelLen is the greatest length of a channel's name in bytes.
const MaxChannelLen = 128

// ErrInvalidChannel is what every error of [ValidateChannel] wraps.
var ErrInvalidChannel = errors.New("invalid channel name")

// ValidateChannel reports whether name may name a channel: 1 to [MaxChannelLen] characters of
// A-Z a-z 0-9 _ . : - and no '_' at the start, which is reserved. Braces, spaces and globs are refused
// because a name becomes part of Redis keys, where they would mean something.
//
// The error wraps [ErrInvalidChannel] and is safe to show and to log: it never repeats the name.
func ValidateChannel(name string) error {
	switch {
	case name == "":
		return fmt.Errorf("%w: empty", ErrInvalidChannel)
	case len(name) > MaxChannelLen:
		return fmt.Errorf("%w: %d bytes, at most %d allowed", ErrInvalidChannel, len(name), MaxChannelLen)
	case name[0] == '_':
		return fmt.Errorf("%w: a leading '_' is reserved", ErrInvalidChannel)
	}
	for i := 0; i < len(name); i++ {
		if classes[name[i]]&inChannel == 0 {
			return fmt.Errorf("%w: %s at byte %d, allowed are A-Z a-z 0-9 _ . : -",
				ErrInvalidChannel, describeByte(name[i]), i)
		}
	}
	return nil
}

// Classes of bytes, as bits.
const (
	inChannel   = 1 << iota // may stand in a channel's name
	inType                  // may stand in an event type
	inAttribute             // may stand in an attribute's name
	plain                   // may stand in a JSON string as it is
	inNumber                // a decimal digit
)

// classes tells the classes of every byte.
var classes = func() (t [256]uint8) {
	for c := range 256 {
		lower, digit := c >= 'a' && c <= 'z', c >= '0' && c <= '9'
		if c >= 0x20 && c != '"' && c != '\\' {
			t[c] |= plain
		}
		if lower || digit {
			t[c] |= inAttribute
		}
		if digit {
			t[c] |= inNumber
		}
		if lower || digit || c >= 'A' && c <= 'Z' || c == '_' || c == '.' || c == '-' {
			t[c] |= inChannel | inType
		}
	}
	t[':'] |= inChannel
	return t
}()

// describeByte names a byte without repeating what a terminal or a log would take as a command.
func describeByte(c byte) string {
	switch {
	case c == ' ':
		return "a space"
	case c < 0x20 || c == 0x7f:
		return "a control character"
	case c >= 0x80:
		return "a character outside ASCII"
	}
	return strconv.QuoteRune(rune(c))
}
