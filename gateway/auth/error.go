package auth

// Code is a stable, public name for why a token is not accepted.
type Code string

const (
	// CodeUnauthorized means that the token can never be accepted here: malformed, forged, of another
	// issuer or audience, or with claims that break the rules.
	CodeUnauthorized Code = "unauthorized"
	// CodeTokenExpired means that exp has passed; a fresh token helps.
	CodeTokenExpired Code = "token_expired"
	// CodeTokenRevoked means that the token, or all tokens of its user up to a time, were revoked.
	CodeTokenRevoked Code = "token_revoked"
	// CodeKeysUnavailable means that the issuer's keys cannot be had now; the same token may be
	// accepted later.
	CodeKeysUnavailable Code = "keys_unavailable"
	// CodeRevocationsUnavailable means that no list of revocations has been read since the start; the
	// same token may be accepted later.
	CodeRevocationsUnavailable Code = "revocations_unavailable"
)

// Error is every error of [Authenticator.Authenticate] and [Authenticator.Refresh]. Code, Message and
// Retry may be shown to the client: they never hold a part of the token or an address. What lies behind
// it, for logs, is what Unwrap returns.
type Error struct {
	Code    Code
	Message string
	// Retry says whether the same token may be accepted later.
	Retry bool

	cause error
}

// Error returns the code and the message.
func (e *Error) Error() string { return string(e.Code) + ": " + e.Message }

// Unwrap returns the cause, or nil.
func (e *Error) Unwrap() error { return e.cause }

func unauthorized(message string) *Error {
	return &Error{Code: CodeUnauthorized, Message: message}
}

func unauthorizedBy(message string, cause error) *Error {
	return &Error{Code: CodeUnauthorized, Message: message, cause: cause}
}
