package auth

import (
	"time"

	"github.com/tallywire/tallywire/events"
)

// Principal is who a verified token speaks for. It is immutable and safe for concurrent use.
type Principal struct {
	// User is the token's subject, see [ValidSubject].
	User string
	// Name is what to call the user in front of others: the claim name, or User where the token has none
	// that can be shown.
	Name string
	// Unnamed is set for a guest of a gateway without keys who brought no name: see [Principal.Of].
	Unnamed bool
	// TokenID is the claim jti, "" when the token has none; such a token can be revoked by user only.
	TokenID string
	Issuer  string
	// IssuedAt is zero when the token has no iat.
	IssuedAt time.Time
	// Expires is when the connection must have been refreshed or closed.
	Expires     time.Time
	Permissions Permissions
}

// May reports whether the principal may do a with the channel. It does not allocate.
func (p *Principal) May(a Action, channel string) bool {
	if p.matches(p.Permissions.patterns(a), channel) {
		return true
	}
	return a == History && p.matches(p.Permissions.Subscribe, channel)
}

func (p *Principal) matches(patterns []string, channel string) bool {
	for _, pattern := range patterns {
		if events.MatchPattern(pattern, channel, p.User) {
			return true
		}
	}
	return false
}

// MaxSubjectBytes bounds a subject.
const MaxSubjectBytes = 128

// ValidSubject reports whether s may be a token's subject: 1 to 128 of A-Z a-z 0-9 and . _ @ : | / + = ~ , -
// which covers names, e-mail addresses, URIs, base64 and the "provider|id" form. Braces, globs, quotes,
// spaces, control and non-ASCII characters are refused, since a subject becomes a part of keys, logs and
// other people's screens. A subject with more than A-Z a-z 0-9 . _ - in it never matches "$user".
func ValidSubject(s string) bool {
	if s == "" || len(s) > MaxSubjectBytes {
		return false
	}
	for i := 0; i < len(s); i++ {
		switch c := s[i]; {
		case 'a' <= c && c <= 'z', 'A' <= c && c <= 'Z', '0' <= c && c <= '9':
		case c == '.', c == '_', c == '@', c == ':', c == '|', c == '/', c == '+', c == '=', c == '~', c == ',', c == '-':
		default:
			return false
		}
	}
	return true
}
