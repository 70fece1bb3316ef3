package auth

import (
	"crypto/ed25519"
	"strings"
	"testing"
	"time"
)

// FuzzAuthenticate looks for input that panics, that is accepted without the one right signature, or that
// causes a request to an address that is not configured.
//
// Inputs go from one process to another, so that the keys and the time are the same in all of them.
func FuzzAuthenticate(f *testing.F) {
	now := time.Unix(1_800_000_000, 0)
	key := ed25519.NewKeyFromSeed([]byte(testSecret))
	server := newKeyServer()
	server.set(keysURL, jwksOf(f, published{key.Public(), object{"kid": "d"}}))
	a := newAuthenticator(f, Options{
		Secret: testSecret, Keys: []string{pemOf(f, &testKeys().rsa.PublicKey), pemOf(f, &testKeys().ecdsa.PublicKey)},
		JWKSURL: keysURL, HTTPClient: server.client(), Clock: func() time.Time { return now },
	})
	good := goodClaims(now)
	valid := []string{
		forge(f, object{"alg": "HS256"}, good, hmacSigner(testSecret)),
		forge(f, object{"alg": "EdDSA", "kid": "d"}, good, ed25519Signer(key)),
	}
	known := map[string]bool{}
	for _, token := range valid {
		known[token] = true
		f.Add(token)
		f.Add(strings.ToUpper(token))
		f.Add(token + ".")
	}
	f.Add(forge(f, object{"alg": "RS256", "kid": "r"}, good, hmacSigner(testSecret)))
	f.Add(forge(f, object{"alg": "ES256", "kid": "e"}, good, ecdsaSigner(newECKey(f))))
	f.Add(forge(f, object{"alg": "none"}, good, func(testing.TB, []byte) []byte { return nil }))
	f.Add(forge(f, object{"alg": "HS256", "crit": []string{"x"}, "kid": "../"}, good, hmacSigner("")))
	f.Add(`{"protected":"e30","payload":"e30","signature":""}`)
	f.Add("..")
	f.Fuzz(func(t *testing.T, token string) {
		p, err := a.Authenticate(t.Context(), token)
		switch {
		case err == nil && !known[token]:
			t.Fatalf("accepted as %q: %s", p.User, token)
		case err != nil && CodeOf(err) == "":
			t.Fatalf("not an error of this package: %v", err)
		case err != nil && known[token]:
			t.Fatalf("refused: %v", err)
		}
		for _, url := range server.asked() {
			if url != keysURL {
				t.Fatalf("asked for %s", url)
			}
		}
	})
}

// FuzzClaims gives the claims of a token that is rightly signed.
func FuzzClaims(f *testing.F) {
	now := time.Unix(1_800_000_000, 0)
	f.Add(`{"iss":"tallywire","aud":["tallywire"],"sub":"a","exp":1800000001,"tw":{"subscribe":["a:*"],"admin":["*"]}}`)
	f.Add(`{"iss":"tallywire","aud":"tallywire","sub":"a","exp":1e12,"iat":-0.0,"nbf":null,"name":"\ud800"}`)
	f.Fuzz(func(t *testing.T, claims string) {
		want := expected{issuer: "tallywire", audience: "tallywire", skew: DefaultSkew, now: now}
		p, refusal := want.principal([]byte(claims))
		if (p == nil) == (refusal == nil) {
			t.Fatalf("neither or both: %v, %v", p, refusal)
		}
		if p == nil {
			return
		}
		if !ValidSubject(p.User) || !p.Expires.After(now) || p.Issuer != "tallywire" || p.Name == "" {
			t.Fatalf("accepted: %+v", p)
		}
		if err := p.Permissions.Validate(); err != nil {
			t.Fatalf("accepted: %v", err)
		}
	})
}
