package auth

import (
	"crypto/rand"
	"errors"
	"fmt"
	"time"

	"github.com/lestrrat-go/jwx/v3/jwa"
	"github.com/lestrrat-go/jwx/v3/jwt"
)

// Claims are what [Mint] puts into a token.
type Claims struct {
	// Issuer and Audience mean their defaults when empty.
	Issuer, Audience string
	// MoreAudiences accept the token too.
	MoreAudiences []string
	// User is the subject, see [ValidSubject].
	User string
	// Name is the display name; empty means none.
	Name string
	// ID is jti; empty means one by chance.
	ID string
	// IssuedAt is iat; zero means now.
	IssuedAt    time.Time
	Permissions Permissions
}

// Mint returns an HS256 token that is good for ttl, for development and tests. What it makes is accepted by
// an [Authenticator] with the same secret, issuer and audience; what would not be is an error.
func Mint(secret []byte, c Claims, ttl time.Duration) (string, error) {
	setDefault(&c.Issuer, DefaultIssuer)
	setDefault(&c.Audience, DefaultAudience)
	setDefault(&c.ID, rand.Text())
	setDefault(&c.IssuedAt, time.Now())
	switch {
	case !ValidSubject(c.User):
		return "", errors.New("mint: the user is missing or malformed")
	case !validTokenID(c.ID):
		return "", errors.New("mint: the id is malformed")
	case ttl < time.Second:
		return "", fmt.Errorf("mint: ttl must be at least 1s, is %s", ttl)
	}
	if err := errors.Join(validateSecret(secret), c.Permissions.Validate()); err != nil {
		return "", fmt.Errorf("mint: %w", err)
	}
	build := jwt.NewBuilder().
		Issuer(c.Issuer).Audience(append([]string{c.Audience}, c.MoreAudiences...)).Subject(c.User).JwtID(c.ID).
		IssuedAt(c.IssuedAt).Expiration(c.IssuedAt.Add(ttl)).
		Claim("tw", c.Permissions)
	if c.Name != "" {
		build = build.Claim("name", c.Name)
	}
	token, err := build.Build()
	if err != nil {
		return "", fmt.Errorf("mint: %w", err)
	}
	signed, err := jwt.Sign(token, jwt.WithKey(jwa.HS256(), secret))
	if err != nil {
		return "", fmt.Errorf("mint: %w", err)
	}
	if len(signed) > MaxTokenBytes {
		return "", fmt.Errorf("mint: the token has more than %d bytes", MaxTokenBytes)
	}
	return string(signed), nil
}
