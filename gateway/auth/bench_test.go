package auth

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

func manyPermissions() *Principal {
	patterns := make([]string, 0, 16)
	for _, name := range []string{"a", "b", "c", "d", "e", "f", "g"} {
		patterns = append(patterns, name+":$user", name+":*")
	}
	return &Principal{User: "alice", TokenID: "t-1", Permissions: Permissions{Subscribe: append(patterns, "jobs:*")}}
}

func TestMayAndRevokedDoNotAllocate(t *testing.T) {
	list := NewMemory(nil)
	require.NoError(t, list.Revoke(t.Context(), Revocation{User: "bob"}))
	a := newAuthenticator(t, Options{Insecure: true, Revocations: list})
	_, err := a.Authenticate(t.Context(), "")
	require.NoError(t, err)
	p := manyPermissions()
	allowed := false
	allocs := testing.AllocsPerRun(100, func() {
		allowed = p.May(Subscribe, "jobs:42") && !p.May(Publish, "jobs:42") && p.May(History, "jobs:42") && !a.Revoked(p)
	})
	require.True(t, allowed)
	require.Zero(t, allocs)
}

func BenchmarkMay(b *testing.B) {
	p := manyPermissions()
	b.ReportAllocs()
	for b.Loop() {
		if !p.May(Subscribe, "jobs:42") {
			b.Fatal("refused")
		}
	}
}

func BenchmarkRevoked(b *testing.B) {
	list := NewMemory(nil)
	require.NoError(b, list.Revoke(b.Context(), Revocation{User: "bob"}))
	a := newAuthenticator(b, Options{Insecure: true, Revocations: list})
	_, err := a.Authenticate(b.Context(), "")
	require.NoError(b, err)
	p := manyPermissions()
	b.ReportAllocs()
	for b.Loop() {
		if a.Revoked(p) {
			b.Fatal("revoked")
		}
	}
}

func BenchmarkAuthenticate(b *testing.B) {
	keys := testKeys()
	o, _ := everyKey(b)
	a := newAuthenticator(b, o)
	for _, c := range []struct {
		alg, kid string
		sign     signer
	}{
		{"HS256", "any", hmacSigner(testSecret)},
		{"RS256", "r", rsaSigner(keys.rsa)},
		{"ES256", "e", ecdsaSigner(keys.ecdsa)},
		{"EdDSA", "d", ed25519Signer(keys.ed25519)},
	} {
		token := forge(b, object{"alg": c.alg, "kid": c.kid}, goodClaims(time.Now()), c.sign)
		b.Run(c.alg, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				if _, err := a.Authenticate(b.Context(), token); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
