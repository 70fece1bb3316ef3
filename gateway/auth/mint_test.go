package auth

import (
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"
)

func TestMintedTokensAreAccepted(t *testing.T) {
	claims := Claims{
		Issuer: "dev", Audience: "staging", User: "alice", Name: "Alice", ID: "t-1",
		Permissions: Permissions{Subscribe: []string{"jobs:*"}, Edit: []string{"doc:$user"}, Admin: true},
	}
	token, err := Mint([]byte(testSecret), claims, time.Hour)
	require.NoError(t, err)
	a := newAuthenticator(t, Options{Secret: testSecret, Issuer: "dev", Audience: "staging"})
	p, err := a.Authenticate(t.Context(), token)
	require.NoError(t, err)
	require.Equal(t, claims.Permissions, p.Permissions)
	require.Equal(t, "Alice", p.Name)
	require.Equal(t, "t-1", p.TokenID)
	require.Equal(t, time.Hour, p.Expires.Sub(p.IssuedAt))

	for name, other := range map[string]Options{
		"issuer":   {Secret: testSecret, Audience: "staging"},
		"audience": {Secret: testSecret, Issuer: "dev"},
		"secret":   {Secret: testSecret + "x", Issuer: "dev", Audience: "staging"},
	} {
		_, err = newAuthenticator(t, other).Authenticate(t.Context(), token)
		require.Equal(t, CodeUnauthorized, CodeOf(err), name)
	}
}

func TestTokensExpireToTheSecond(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		token, err := Mint([]byte(testSecret), Claims{User: "alice"}, time.Minute)
		require.NoError(t, err)
		a := newAuthenticator(t, Options{Secret: testSecret})
		time.Sleep(time.Minute - time.Nanosecond)
		p, err := a.Authenticate(t.Context(), token)
		require.NoError(t, err)
		require.NotEmpty(t, p.TokenID, "one by chance")
		time.Sleep(time.Until(p.Expires))
		_, err = a.Authenticate(t.Context(), token)
		require.False(t, requireRefusal(t, CodeTokenExpired, err).Retry)
	})
}

func TestMintRefusesWhatWouldNotBeAccepted(t *testing.T) {
	patterns := make([]string, MaxPatterns)
	for i := range patterns {
		patterns[i] = strings.Repeat("a", MaxPatternBytes)
	}
	good := Claims{User: "alice"}
	for name, c := range map[string]struct {
		secret string
		claims Claims
		ttl    time.Duration
		want   string
	}{
		"no user": {testSecret, Claims{}, time.Hour, "user"},
		"id":      {testSecret, Claims{User: "alice", ID: "a b"}, time.Hour, "id"},
		"ttl":     {testSecret, good, time.Millisecond, "ttl"},
		"pattern": {testSecret, Claims{User: "alice", Permissions: Permissions{Edit: []string{"*a"}}}, time.Hour, "edit"},
		"size":    {testSecret, Claims{User: "alice", Permissions: Permissions{Edit: patterns}}, time.Hour, "bytes"},
	} {
		_, err := Mint([]byte(c.secret), c.claims, c.ttl)
		require.ErrorContains(t, err, c.want, name)
	}
}

func TestShortSecretsAreWeakButUsable(t *testing.T) {
	token, err := Mint([]byte("dev"), Claims{User: "alice"}, time.Hour)
	require.NoError(t, err)
	a, err := New(Options{Secret: "dev"})
	require.NoError(t, err)
	p, err := a.Authenticate(t.Context(), token)
	require.NoError(t, err)
	require.Equal(t, "alice", p.User)
	require.True(t, WeakSecret("dev"))
	require.False(t, WeakSecret(strings.Repeat("s", MinSecretBytes)))
	_, err = Mint(nil, Claims{User: "alice"}, time.Hour)
	require.ErrorContains(t, err, "secret: is empty")
}
