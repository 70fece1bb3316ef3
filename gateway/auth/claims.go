package auth

import (
	"encoding/json"
	"errors"
	"math"
	"slices"
	"time"
	"unicode"
	"unicode/utf8"
)

var (
	errNotAnObject = errors.New("not a JSON object")
	errNotADate    = errors.New("not a number of seconds")
)

const (
	// maxTokenIDBytes bounds jti.
	maxTokenIDBytes = 128
	// maxNameBytes bounds a display name.
	maxNameBytes = 128
	// maxSeconds is the end of the year 9999.
	maxSeconds = 253402300799
)

// expected is what the claims of a verified token are compared with.
type expected struct {
	issuer   string
	audience string
	skew     time.Duration
	now      time.Time
}

// principal turns the payload of a token whose signature is good into a principal.
func (e expected) principal(payload []byte) (*Principal, *Error) {
	claims, err := parseObject(payload)
	if err != nil {
		return nil, unauthorizedBy("the token's claims are malformed", err)
	}
	p := &Principal{}
	if json.Unmarshal(claims["iss"], &p.Issuer) != nil || p.Issuer != e.issuer {
		return nil, unauthorized("the issuer is not accepted")
	}
	if !hasAudience(claims["aud"], e.audience) {
		return nil, unauthorized("the audience is not accepted")
	}
	if json.Unmarshal(claims["sub"], &p.User) != nil || !ValidSubject(p.User) {
		return nil, unauthorized("the claim sub is missing or malformed")
	}
	if refusal := e.times(claims, p); refusal != nil {
		return nil, refusal
	}
	if raw, ok := claims["jti"]; ok {
		if json.Unmarshal(raw, &p.TokenID) != nil || !validTokenID(p.TokenID) {
			return nil, unauthorized("the claim jti is malformed")
		}
	}
	if raw, ok := claims["tw"]; ok {
		if err := json.Unmarshal(raw, &p.Permissions); err != nil {
			return nil, unauthorizedBy("the claim tw is malformed", err)
		}
		if err := p.Permissions.Validate(); err != nil {
			return nil, unauthorizedBy("the claim tw is refused: "+err.Error(), err)
		}
	}
	p.Name = displayName(claims["name"], p.User)
	return p, nil
}

// times checks exp, nbf and iat.
func (e expected) times(claims map[string]json.RawMessage, p *Principal) *Error {
	var err error
	if p.Expires, err = parseDate(claims["exp"]); err != nil || p.Expires.IsZero() {
		return unauthorizedBy("the claim exp is missing or malformed", err)
	}
	if !e.now.Before(p.Expires) {
		return &Error{Code: CodeTokenExpired, Message: "the token has expired"}
	}
	notBefore, err := parseDate(claims["nbf"])
	if err != nil {
		return unauthorizedBy("the claim nbf is malformed", err)
	}
	if notBefore.After(e.now.Add(e.skew)) {
		return unauthorized("the token is not valid yet")
	}
	if p.IssuedAt, err = parseDate(claims["iat"]); err != nil {
		return unauthorizedBy("the claim iat is malformed", err)
	}
	if p.IssuedAt.After(e.now.Add(e.skew)) {
		return unauthorized("the token was issued in the future")
	}
	return nil
}

// parseDate reads a NumericDate; without one it returns the zero time.
func parseDate(raw json.RawMessage) (time.Time, error) {
	if len(raw) == 0 {
		return time.Time{}, nil
	}
	var seconds *float64
	if err := json.Unmarshal(raw, &seconds); err != nil {
		return time.Time{}, err
	}
	if seconds == nil || *seconds <= 0 || *seconds > maxSeconds {
		return time.Time{}, errNotADate
	}
	whole, part := math.Modf(*seconds)
	return time.Unix(int64(whole), int64(part*1e9)), nil
}

// hasAudience reports whether aud, a string or a list of strings, contains want.
func hasAudience(raw json.RawMessage, want string) bool {
	var one string
	if json.Unmarshal(raw, &one) == nil {
		return one == want
	}
	var many []string
	return json.Unmarshal(raw, &many) == nil && slices.Contains(many, want)
}

// validTokenID reports whether s may be a jti: 1 to 128 printable ASCII characters without spaces.
func validTokenID(s string) bool {
	if s == "" || len(s) > maxTokenIDBytes {
		return false
	}
	for i := 0; i < len(s); i++ {
		if s[i] <= ' ' || s[i] > '~' {
			return false
		}
	}
	return true
}

// displayName returns the claim name, or the user where it cannot be shown as it is.
func displayName(raw json.RawMessage, user string) string {
	var name string
	if json.Unmarshal(raw, &name) != nil || name == "" || len(name) > maxNameBytes || !utf8.ValidString(name) {
		return user
	}
	for _, r := range name {
		if !unicode.IsPrint(r) {
			return user
		}
	}
	return name
}
