package auth

import (
	"encoding/base64"
	"encoding/json"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// TestForgedTokensAreRefused is about tokens that somebody without the key could make, or that are signed
// with the right key and have the wrong shape. None of them may cause a request.
func TestForgedTokensAreRefused(t *testing.T) {
	keys, now := testKeys(), time.Now()
	o, server := everyKey(t)
	rsaPEM := pemOf(t, &keys.rsa.PublicKey)
	o.Keys = []string{rsaPEM}
	a := newAuthenticator(t, o)
	good := goodClaims(now)
	attacker := newECKey(t)
	hs, rs := hmacSigner(testSecret), rsaSigner(keys.rsa)
	unsigned := func(testing.TB, []byte) []byte { return nil }
	valid := forge(t, object{"alg": "HS256"}, good, hs)
	parts := strings.Split(valid, ".")
	_, err := a.Authenticate(t.Context(), valid)
	require.NoError(t, err, "the token that the forgeries start from")
	// The set is known before, so that the count says what the forgeries do.
	_, err = a.Authenticate(t.Context(), forge(t, object{"alg": "ES256", "kid": "e"}, good, ecdsaSigner(keys.ecdsa)))
	require.NoError(t, err)
	require.Equal(t, 1, server.count())

	jwkOf := json.RawMessage(strings.TrimSuffix(strings.TrimPrefix(
		string(jwksOf(t, published{&attacker.PublicKey, object{"kid": "x"}})), `{"keys":[`), `]}`))
	jsonForm, err := json.Marshal(object{"protected": parts[0], "payload": parts[1], "signature": parts[2]})
	require.NoError(t, err)

	for name, token := range map[string]string{
		"empty":                       "",
		"spaces":                      "   ",
		"no dots":                     "abc",
		"two parts":                   parts[0] + "." + parts[1],
		"five parts, as a JWE":        forge(t, object{"alg": "dir", "enc": "A256GCM"}, good, hs) + ".a.b",
		"JWE header on three parts":   forge(t, object{"alg": "HS256", "enc": "A256GCM"}, good, hs),
		"JSON serialisation":          string(jsonForm),
		"oversized":                   forge(t, object{"alg": "HS256"}, with(good, "pad", strings.Repeat("x", MaxTokenBytes)), hs),
		"none":                        forge(t, object{"alg": "none"}, good, unsigned),
		"None":                        forge(t, object{"alg": "None"}, good, hs),
		"no alg":                      forge(t, object{"typ": "JWT"}, good, hs),
		"alg a list":                  forge(t, object{"alg": []string{"HS256"}}, good, hs),
		"alg in other letters":        forge(t, object{"alg": "hs256"}, good, hs),
		"alg of another strength":     forge(t, object{"alg": "HS512"}, good, hs),
		"alg PS256":                   forge(t, object{"alg": "PS256", "kid": "r"}, good, rs),
		"alg twice":                   forge(t, `{"alg":"none","alg":"HS256"}`, good, hs),
		"signature missing":           parts[0] + "." + parts[1] + ".",
		"signature of another":        parts[0] + "." + segment(t, with(good, "sub", "bob")) + "." + parts[2],
		"signature with a line break": valid + "\n",
		"signature with padding":      valid + "=",
		"signature with stray bits":   strayBits(valid),
		"HS256 with the public PEM":   forge(t, object{"alg": "HS256"}, good, hmacSigner(rsaPEM)),
		"HS256 with the trimmed PEM":  forge(t, object{"alg": "HS256", "kid": "r"}, good, hmacSigner(strings.TrimSpace(rsaPEM))),
		"RS256 by a secret":           forge(t, object{"alg": "RS256"}, good, hs),
		"ES256 by another":            forge(t, object{"alg": "ES256", "kid": "e"}, good, ecdsaSigner(attacker)),
		"ES256 all zero":              forge(t, object{"alg": "ES256", "kid": "e"}, good, func(testing.TB, []byte) []byte { return make([]byte, 64) }),
		"kid of another algorithm":    forge(t, object{"alg": "RS256", "kid": "e"}, good, ecdsaSigner(attacker)),
		"kid empty":                   forge(t, object{"alg": "HS256", "kid": ""}, good, hs),
		"kid a number":                forge(t, object{"alg": "HS256", "kid": 1}, good, hs),
		"kid too long":                forge(t, object{"alg": "HS256", "kid": strings.Repeat("k", maxKIDBytes+1)}, good, hs),
		"jku":                         forge(t, object{"alg": "ES256", "kid": "x", "jku": "https://evil.example/k"}, good, ecdsaSigner(attacker)),
		"x5u":                         forge(t, object{"alg": "ES256", "x5u": "https://evil.example/c"}, good, ecdsaSigner(attacker)),
		"x5c":                         forge(t, object{"alg": "ES256", "x5c": []string{"MII="}}, good, ecdsaSigner(attacker)),
		"jwk":                         forge(t, object{"alg": "ES256", "jwk": jwkOf}, good, ecdsaSigner(attacker)),
		"jku, rightly signed":         forge(t, object{"alg": "HS256", "jku": "https://evil.example/k"}, good, hs),
		"unknown crit":                forge(t, object{"alg": "HS256", "crit": []string{"exp2"}, "exp2": 1}, good, hs),
		"empty crit":                  forge(t, object{"alg": "HS256", "crit": []string{}}, good, hs),
		"b64":                         forge(t, object{"alg": "HS256", "b64": false, "crit": []string{"b64"}}, good, hs),
		"nested":                      forge(t, object{"alg": "HS256", "cty": "JWT"}, good, hs),
		"logout token":                forge(t, object{"alg": "HS256", "typ": "logout+jwt"}, good, hs),
		"header not an object":        forge(t, `["HS256"]`, good, hs),
		"header null":                 forge(t, `null`, good, hs),
		"claims not an object":        forge(t, object{"alg": "HS256"}, `"alice"`, hs),
		"claims null":                 forge(t, object{"alg": "HS256"}, `null`, hs),
		"issuer unknown":              forge(t, object{"alg": "ES256", "kid": "x"}, with(good, "iss", "https://evil.example/"), ecdsaSigner(attacker)),
	} {
		t.Run(name, func(t *testing.T) {
			p, err := a.Authenticate(t.Context(), token)
			require.False(t, requireRefusal(t, CodeUnauthorized, err).Retry)
			require.Nil(t, p)
		})
	}
	require.Equal(t, 1, server.count(), "requests after the forgeries: %v", server.asked())
}

// strayBits changes the unused low bits of a signature's last character, so that a lax decoder reads the
// same signature from another token.
func strayBits(token string) string {
	const alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"
	last := strings.IndexByte(alphabet, token[len(token)-1])
	return token[:len(token)-1] + string(alphabet[last|1])
}

func TestStrayBitsAreOnlyStray(t *testing.T) {
	token := forge(t, object{"alg": "HS256"}, goodClaims(time.Now()), hmacSigner(testSecret))
	changed := strayBits(token)
	require.NotEqual(t, token, changed)
	was, err := base64.RawURLEncoding.DecodeString(token[strings.LastIndexByte(token, '.')+1:])
	require.NoError(t, err)
	is, err := base64.RawURLEncoding.DecodeString(changed[strings.LastIndexByte(changed, '.')+1:])
	require.NoError(t, err)
	require.Equal(t, was, is)
}

func TestRefusedHeadersAreRefusedWhoeverSigned(t *testing.T) {
	a := newAuthenticator(t, Options{Secret: testSecret})
	for _, name := range []string{
		"jku", "x5u", "x5c", "jwk", "crit", "b64", "zip", "enc", "epk", "apu", "apv", "p2s", "p2c", "iv", "tag", "cty",
	} {
		for _, value := range []any{"x", true, []string{}, json.RawMessage("null")} {
			token := forge(t, object{"alg": "HS256", name: value}, goodClaims(time.Now()), hmacSigner(testSecret))
			_, err := a.Authenticate(t.Context(), token)
			require.Equal(t, CodeUnauthorized, CodeOf(err), name)
		}
	}
}

func TestUnknownKIDNamesNothing(t *testing.T) {
	o, server := everyKey(t)
	a := newAuthenticator(t, o)
	attacker := newECKey(t)
	for _, kid := range []string{
		"../../etc/passwd", "https://evil.example/keys", "e\x00", "E", "' OR 1=1", keysURL, strings.Repeat("k", maxKIDBytes),
	} {
		token := forge(t, object{"alg": "ES256", "kid": kid}, goodClaims(time.Now()), ecdsaSigner(attacker))
		_, err := a.Authenticate(t.Context(), token)
		requireCode(t, CodeUnauthorized, err)
	}
	require.Equal(t, []string{keysURL}, server.asked())
}

func TestTwoIssuersWithOneKIDNeverMix(t *testing.T) {
	const urlA, urlB = "https://a.example/keys", "https://b.example/keys"
	keyA, keyB, server := newECKey(t), newECKey(t), newKeyServer()
	server.set(urlA, jwksOf(t, published{&keyA.PublicKey, object{"kid": "1"}}))
	server.set(urlB, jwksOf(t, published{&keyB.PublicKey, object{"kid": "1"}}))
	a := newAuthenticator(t, Options{
		HTTPClient: server.client(), Secret: testSecret,
		JWKS: []IssuerKeys{{Issuer: "a", URL: urlA}, {Issuer: "b", URL: urlB}},
	})
	header, claims := object{"alg": "ES256", "kid": "1"}, goodClaims(time.Now())
	for range 2 { // the second time with both sets known
		for issuer, key := range map[string]signer{"a": ecdsaSigner(keyA), "b": ecdsaSigner(keyB)} {
			p, err := a.Authenticate(t.Context(), forge(t, header, with(claims, "iss", issuer), key))
			require.NoError(t, err)
			require.Equal(t, issuer, p.Issuer)

			other := map[string]string{"a": "b", "b": "a"}[issuer]
			_, err = a.Authenticate(t.Context(), forge(t, header, with(claims, "iss", other), key))
			requireCode(t, CodeUnauthorized, err)
		}
	}
	// The secret belongs to its own issuer only.
	_, err := a.Authenticate(t.Context(), forge(t, object{"alg": "HS256"}, with(claims, "iss", "a"), hmacSigner(testSecret)))
	requireCode(t, CodeUnauthorized, err)
	require.Equal(t, 2, server.count())
}
