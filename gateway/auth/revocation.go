package auth

import (
	"context"
	"errors"
	"time"
)

// MaxRevocations bounds a list of revocations.
const MaxRevocations = 100_000

// DefaultRevocationKeep is how long the revocation of a user's tokens is kept when nothing else is said. It
// must be longer than any token lives.
const DefaultRevocationKeep = 30 * 24 * time.Hour

// ErrRevocationsFull means that a list holds [MaxRevocations] already, and that the new one was not taken.
var ErrRevocationsFull = errors.New("the list of revocations is full")

// Revocation takes back one token (TokenID), or all tokens of a user that were issued before a time (User,
// Before). Tokens say in whole seconds when they were issued, so that one issued in the second of Before
// counts as before, and one that does not say it always does.
type Revocation struct {
	TokenID string
	User    string
	// Before is for User only; zero stands for the moment of revoking.
	Before time.Time
	// Expires is when the last token concerned has expired: the list forgets the revocation then. Zero
	// stands for [DefaultRevocationKeep] from the moment of revoking.
	Expires time.Time
}

// Validate reports whether r names exactly one token or user.
func (r Revocation) Validate() error {
	switch {
	case (r.TokenID == "") == (r.User == ""):
		return errors.New("revocation: name either a token or a user")
	case r.TokenID != "" && !validTokenID(r.TokenID):
		return errors.New("revocation: the token's id is malformed")
	case r.User != "" && !ValidSubject(r.User):
		return errors.New("revocation: the user is malformed")
	}
	return nil
}

// Revocations is the list as an [Authenticator] reads it. Implementations are safe for concurrent use.
type Revocations interface {
	// List returns every revocation that has not expired. The caller does not change the slice.
	List(ctx context.Context) ([]Revocation, error)
	// Watch calls changed, from one goroutine, whenever the list may have changed, until ctx ends; then
	// it returns nil. It may miss changes: an Authenticator reads the list from time to time anyway.
	Watch(ctx context.Context, changed func()) error
}
