package events

import (
	"errors"
	"fmt"
	"strings"
)

// ErrInvalidPattern is what every error of [ValidatePattern] wraps.
var ErrInvalidPattern = errors.New("invalid channel pattern")

// MaxPatternLen is the greatest length of a pattern in bytes.
const MaxPatternLen = 2 * MaxChannelLen

// userVariable stands for the subject of the token in a pattern.
const userVariable = "$user"

// ValidatePattern reports whether pattern may stand in a permission: a channel's name in which
//
//   - one '*' at the very end stands for any rest, also an empty one ("*" alone for every channel);
//   - "$user", as a whole part between ':', stands for the token's subject ("user:$user").
//
// "$user" must be a whole part because "user:$user*" would let al read what is alice's.
// The error wraps [ErrInvalidPattern] and never repeats the pattern.
func ValidatePattern(pattern string) error {
	body, _ := strings.CutSuffix(pattern, "*")
	switch {
	case pattern == "":
		return fmt.Errorf("%w: empty", ErrInvalidPattern)
	case len(pattern) > MaxPatternLen:
		return fmt.Errorf("%w: %d bytes, at most %d allowed", ErrInvalidPattern, len(pattern), MaxPatternLen)
	case pattern[0] == '_':
		return fmt.Errorf("%w: a leading '_' is reserved", ErrInvalidPattern)
	case strings.Contains(body, "*"):
		return fmt.Errorf("%w: '*' may stand at the end only", ErrInvalidPattern)
	}
	for part := range strings.SplitSeq(body, ":") {
		if part == userVariable {
			continue
		}
		if strings.Contains(part, "$") {
			return fmt.Errorf("%w: the only variable is $user, and it must be a whole part between ':'", ErrInvalidPattern)
		}
		for i := 0; i < len(part); i++ {
			if classes[part[i]]&inChannel == 0 {
				return fmt.Errorf("%w: %s, allowed are A-Z a-z 0-9 _ . : - and '*' at the end",
					ErrInvalidPattern, describeByte(part[i]))
			}
		}
	}
	if strings.HasSuffix(body, userVariable) && len(body) != len(pattern) {
		return fmt.Errorf("%w: '*' may not follow $user, write $user:*", ErrInvalidPattern)
	}
	return nil
}

// MatchPattern reports whether pattern covers the channel for the given user. See [ValidatePattern] for
// what a pattern is; one that is not valid covers no more than the channel of its own name. A pattern
// with "$user" covers nothing for a user whose name could not be told apart from a part of a channel's
// name: the empty one, and one with characters other than A-Z a-z 0-9 _ . -
func MatchPattern(pattern, channel, user string) bool {
	pattern, open := strings.CutSuffix(pattern, "*")
	if strings.IndexByte(pattern, '$') < 0 {
		if open {
			return strings.HasPrefix(channel, pattern)
		}
		return pattern == channel
	}
	if !plainUser(user) || open && strings.HasSuffix(pattern, userVariable) {
		return false
	}
	for {
		part, rest, more := strings.Cut(pattern, ":")
		if part == userVariable {
			part = user
		}
		if !more {
			if open {
				return strings.HasPrefix(channel, part)
			}
			return channel == part
		}
		got, after, ok := strings.Cut(channel, ":")
		if !ok || got != part {
			return false
		}
		pattern, channel = rest, after
	}
}

// plainUser reports whether user can be one part of a channel's name.
func plainUser(user string) bool {
	for i := 0; i < len(user); i++ {
		if classes[user[i]]&inType == 0 {
			return false
		}
	}
	return user != ""
}
