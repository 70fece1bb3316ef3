package broker

import (
	"errors"
	"strconv"
	"strings"
	"time"
)

// ErrInvalidCursor is returned for a text that is no cursor.
var ErrInvalidCursor = errors.New("invalid cursor")

// Cursor is the position of an entry in a channel's log, and the entry's id in the Redis stream.
// The zero Cursor ("0-0") stands before the first entry that a channel ever had.
type Cursor struct {
	// Offset counts entries 1, 2, 3 … without holes.
	Offset uint64
	// Stamp is the Redis server's clock in microseconds at the append, raised where needed so that
	// stamps of a channel strictly increase.
	Stamp uint64
}

// ParseCursor reads "<offset>-<stamp>". The short form "0" is the zero Cursor.
func ParseCursor(s string) (Cursor, error) {
	if s == "0" {
		return Cursor{}, nil
	}
	offset, stamp, ok := strings.Cut(s, "-")
	if !ok || len(s) > 41 {
		return Cursor{}, ErrInvalidCursor
	}
	o, err := parseDecimal(offset)
	if err != nil {
		return Cursor{}, err
	}
	st, err := parseDecimal(stamp)
	if err != nil {
		return Cursor{}, err
	}
	if (o == 0) != (st == 0) {
		return Cursor{}, ErrInvalidCursor
	}
	return Cursor{Offset: o, Stamp: st}, nil
}

// parseDecimal accepts the one canonical form of a number: no sign, no leading zero.
func parseDecimal(s string) (uint64, error) {
	if s == "" || s[0] == '+' || (len(s) > 1 && s[0] == '0') {
		return 0, ErrInvalidCursor
	}
	v, err := strconv.ParseUint(s, 10, 64)
	if err != nil {
		return 0, ErrInvalidCursor
	}
	return v, nil
}

// String returns "<offset>-<stamp>".
func (c Cursor) String() string { return string(c.Append(make([]byte, 0, 41))) }

// Append appends the cursor's text to b.
func (c Cursor) Append(b []byte) []byte {
	b = strconv.AppendUint(b, c.Offset, 10)
	b = append(b, '-')
	return strconv.AppendUint(b, c.Stamp, 10)
}

// IsZero reports whether c stands before everything.
func (c Cursor) IsZero() bool { return c == Cursor{} }

// Time returns the moment of the append.
func (c Cursor) Time() time.Time {
	return time.UnixMicro(int64(c.Stamp)) //nolint:gosec // a stamp is microseconds since 1970 and fits
}

// MarshalText implements encoding.TextMarshaler.
func (c Cursor) MarshalText() ([]byte, error) { return c.Append(nil), nil }

// UnmarshalText implements encoding.TextUnmarshaler.
func (c *Cursor) UnmarshalText(b []byte) (err error) {
	*c, err = ParseCursor(string(b))
	return err
}
