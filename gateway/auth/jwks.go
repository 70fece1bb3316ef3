package auth

import (
	"errors"
	"fmt"

	"github.com/lestrrat-go/jwx/v3/jwk"
)

const (
	// maxJWKSBytes bounds the document with an issuer's keys.
	maxJWKSBytes = 256 << 10
	// maxJWKSKeys bounds how many keys of it are kept.
	maxJWKSKeys = 256
)

// keyID is how a token names a key. The algorithm is a part of it, so that a key is never found for an
// algorithm that is not its own.
type keyID struct {
	kid string
	alg algorithm
}

// publishedKeys are the keys of one document. They are immutable.
type publishedKeys struct {
	byID map[keyID]any
	// only holds the key of an algorithm that has just one, for tokens without kid.
	only map[algorithm]any
}

// find returns the key that a token names, or nil.
func (k *publishedKeys) find(u unverified) any {
	if u.hasKID {
		return k.byID[keyID{u.kid, u.alg}]
	}
	return k.only[u.alg]
}

var errNoUsableKey = errors.New("no usable key in the set")

// parseJWKS takes the keys from a JWKS that can verify tokens, and leaves all others out: symmetric and
// private ones, those for encryption or another algorithm, those too weak. A document in which no key is left
// is an error, so that an issuer's mishap does not replace a good set.
func parseJWKS(document []byte) (*publishedKeys, error) {
	set, err := jwk.Parse(document, jwk.WithIgnoreParseError(true))
	if err != nil {
		return nil, fmt.Errorf("key set: %w", err)
	}
	keys := &publishedKeys{byID: map[keyID]any{}, only: map[algorithm]any{}}
	counts := map[algorithm]int{}
	usable := 0
	for i := 0; i < set.Len() && usable < maxJWKSKeys; i++ {
		published, ok := set.Key(i)
		if !ok {
			continue
		}
		key, alg, ok := usableKey(published)
		if !ok {
			continue
		}
		usable++
		if counts[alg]++; counts[alg] == 1 {
			keys.only[alg] = key
		} else {
			delete(keys.only, alg)
		}
		kid, _ := published.KeyID()
		if kid == "" || len(kid) > maxKIDBytes {
			continue
		}
		if _, taken := keys.byID[keyID{kid, alg}]; !taken {
			keys.byID[keyID{kid, alg}] = key
		}
	}
	if usable == 0 {
		return nil, errNoUsableKey
	}
	return keys, nil
}

// usableKey returns the raw public key and the algorithm it verifies.
func usableKey(published jwk.Key) (any, algorithm, bool) {
	if use, ok := published.KeyUsage(); ok && use != string(jwk.ForSignature) {
		return nil, "", false
	}
	if ops, ok := published.KeyOps(); ok && !containsVerify(ops) {
		return nil, "", false
	}
	var raw any
	if jwk.Export(published, &raw) != nil {
		return nil, "", false
	}
	alg, err := algorithmOf(raw)
	if err != nil {
		return nil, "", false
	}
	if named, ok := published.Algorithm(); ok && named.String() != string(alg) {
		return nil, "", false
	}
	return raw, alg, true
}

func containsVerify(ops jwk.KeyOperationList) bool {
	for _, op := range ops {
		if op == jwk.KeyOpVerify {
			return true
		}
	}
	return false
}
