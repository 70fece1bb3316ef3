package auth

import (
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rsa"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"strings"
)

const (
	minRSABits = 2048
	// maxRSABits bounds what verifying a signature can cost.
	maxRSABits = 8192
	// maxStaticKeys bounds how many keys a signature is tried with.
	maxStaticKeys = 16
)

// staticKeys are keys from the configuration. A key stands under the one algorithm it may be used with.
// They are immutable.
type staticKeys map[algorithm][]any

// newStaticKeys collects the secret and the keys in PEM.
func newStaticKeys(secret string, pems []string) (staticKeys, error) {
	keys := staticKeys{}
	if secret != "" {
		keys[hs256] = []any{[]byte(secret)}
	}
	count := 0
	for i, text := range pems {
		parsed, err := parsePEM([]byte(text))
		if err != nil {
			return nil, fmt.Errorf("keys[%d]: %w", i, err)
		}
		if count += len(parsed); count > maxStaticKeys {
			return nil, fmt.Errorf("keys: more than %d", maxStaticKeys)
		}
		for _, key := range parsed {
			alg, err := algorithmOf(key)
			if err != nil {
				return nil, fmt.Errorf("keys[%d]: %w", i, err)
			}
			keys[alg] = append(keys[alg], key)
		}
	}
	return keys, nil
}

// parsePEM returns all public keys in data.
func parsePEM(data []byte) ([]any, error) {
	var keys []any
	for {
		block, rest := pem.Decode(data)
		if block == nil {
			if len(keys) == 0 {
				return nil, errors.New("no PEM block")
			}
			if len(strings.TrimSpace(string(rest))) > 0 {
				return nil, errors.New("something other than PEM follows")
			}
			return keys, nil
		}
		var key any
		var err error
		switch {
		case block.Type == "PUBLIC KEY":
			key, err = x509.ParsePKIXPublicKey(block.Bytes)
		case block.Type == "RSA PUBLIC KEY":
			key, err = x509.ParsePKCS1PublicKey(block.Bytes)
		case strings.HasSuffix(block.Type, "PRIVATE KEY"):
			err = errors.New("is a private key; a gateway needs the public one only")
		default:
			err = fmt.Errorf("PEM type %q: want PUBLIC KEY", block.Type)
		}
		if err != nil {
			return nil, err
		}
		keys = append(keys, key)
		data = rest
	}
}

// algorithmOf returns the only algorithm that a public key is used with, or why it is not used at all.
func algorithmOf(key any) (algorithm, error) {
	switch k := key.(type) {
	case *rsa.PublicKey:
		if bits := k.N.BitLen(); bits < minRSABits || bits > maxRSABits {
			return "", fmt.Errorf("an RSA key of %d bits: want %d to %d", bits, minRSABits, maxRSABits)
		}
		return rs256, nil
	case *ecdsa.PublicKey:
		if k.Curve != elliptic.P256() {
			return "", fmt.Errorf("a key on curve %s: want P-256", k.Params().Name)
		}
		if _, err := k.ECDH(); err != nil {
			return "", fmt.Errorf("a key that is no point of its curve: %w", err)
		}
		return es256, nil
	case ed25519.PublicKey:
		if len(k) != ed25519.PublicKeySize {
			return "", fmt.Errorf("an Ed25519 key of %d bytes: want %d", len(k), ed25519.PublicKeySize)
		}
		return eddsa, nil
	default:
		return "", fmt.Errorf("a key of type %T is not a public key that is accepted", key)
	}
}
