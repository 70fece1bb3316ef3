package auth

import (
	"encoding/base64"
	"encoding/json"
	"strings"

	"github.com/lestrrat-go/jwx/v3/jwa"
)

// MaxTokenBytes bounds a token.
const MaxTokenBytes = 8 << 10

// maxKIDBytes bounds a key's id, in tokens and in key sets.
const maxKIDBytes = 256

// algorithm is one of the signature algorithms that are accepted.
type algorithm string

const (
	hs256 algorithm = "HS256"
	rs256 algorithm = "RS256"
	es256 algorithm = "ES256"
	eddsa algorithm = "EdDSA"
)

// jwa returns jwx's value for the algorithm.
func (a algorithm) jwa() jwa.SignatureAlgorithm {
	switch a {
	case hs256:
		return jwa.HS256()
	case rs256:
		return jwa.RS256()
	case es256:
		return jwa.ES256()
	case eddsa:
		return jwa.EdDSA()
	default:
		return jwa.NoSignature()
	}
}

// unverified is what a token says before its signature is checked. It may choose a configured key and
// nothing else.
type unverified struct {
	alg    algorithm
	kid    string
	hasKID bool
	issuer string
}

// refusedHeaders are the header members that no token may carry: those that bring or name a key, those
// that change what is signed, and those of encryption.
var refusedHeaders = [...]string{
	"jku", "x5u", "x5c", "jwk", "crit", "b64", "zip", "enc", "epk", "apu", "apv", "p2s", "p2c", "iv", "tag",
}

// peek takes a token apart without believing it.
func peek(token string) (unverified, *Error) {
	if len(token) > MaxTokenBytes {
		return unverified{}, unauthorized("the token is too long")
	}
	if token == "" {
		return unverified{}, unauthorized("there is no token")
	}
	head, rest, ok := strings.Cut(token, ".")
	body, signature, more := strings.Cut(rest, ".")
	if !ok || !more || strings.Contains(signature, ".") {
		return unverified{}, unauthorized("the token is not a signed JWT in compact form")
	}
	header, err := decodeObject(head)
	if err != nil {
		return unverified{}, unauthorizedBy("the token's header is malformed", err)
	}
	if _, err := strictBase64.DecodeString(signature); err != nil || strings.ContainsAny(signature, "\r\n") {
		return unverified{}, unauthorizedBy("the token's signature is malformed", err)
	}
	u, refusal := readHeader(header)
	if refusal != nil {
		return unverified{}, refusal
	}
	claims, err := decodeObject(body)
	if err != nil {
		return unverified{}, unauthorizedBy("the token's claims are malformed", err)
	}
	if json.Unmarshal(claims["iss"], &u.issuer) != nil || u.issuer == "" {
		return unverified{}, unauthorized("the claim iss is missing")
	}
	return u, nil
}

// readHeader checks everything about a header that does not need a key.
func readHeader(header map[string]json.RawMessage) (unverified, *Error) {
	for _, name := range refusedHeaders {
		if _, ok := header[name]; ok {
			return unverified{}, unauthorized("the token's header must not have " + name)
		}
	}
	var u unverified
	if json.Unmarshal(header["alg"], &u.alg) != nil || u.alg.jwa() == jwa.NoSignature() {
		return unverified{}, unauthorized("the token's algorithm is not accepted")
	}
	if raw, ok := header["kid"]; ok {
		u.hasKID = true
		if json.Unmarshal(raw, &u.kid) != nil || u.kid == "" || len(u.kid) > maxKIDBytes {
			return unverified{}, unauthorized("the token's kid is malformed")
		}
	}
	if _, ok := header["cty"]; ok {
		return unverified{}, unauthorized("nested tokens are not accepted")
	}
	if raw, ok := header["typ"]; ok {
		var typ string
		if json.Unmarshal(raw, &typ) != nil || !acceptedType(typ) {
			return unverified{}, unauthorized("the token is of another type")
		}
	}
	return u, nil
}

// acceptedType keeps tokens of other kinds out (logout tokens, security events) that the same issuer
// signs with the same key. Access tokens may call themselves at+jwt, see RFC 9068.
func acceptedType(typ string) bool {
	switch strings.TrimPrefix(strings.ToLower(typ), "application/") {
	case "jwt", "at+jwt":
		return true
	default:
		return false
	}
}

var strictBase64 = base64.RawURLEncoding.Strict()

// decodeObject decodes a JSON object in base64url. Names are compared exactly, which a struct's tags
// would not do.
func decodeObject(encoded string) (map[string]json.RawMessage, error) {
	raw, err := strictBase64.DecodeString(encoded)
	if err != nil {
		return nil, err
	}
	return parseObject(raw)
}

func parseObject(raw []byte) (map[string]json.RawMessage, error) {
	var object map[string]json.RawMessage
	if err := json.Unmarshal(raw, &object); err != nil {
		return nil, err
	}
	if object == nil {
		return nil, errNotAnObject
	}
	return object, nil
}
