package auth

import (
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

func TestInsecureLetsEverybodyIn(t *testing.T) {
	a := newAuthenticator(t, Options{Insecure: true})
	require.True(t, a.Insecure())
	jwt, err := Mint([]byte(testSecret), Claims{User: "root", Permissions: Permissions{Admin: true}}, time.Hour)
	require.NoError(t, err)
	seen := map[string]bool{}
	for _, token := range []string{"", "", jwt, "a b", "{x}", strings.Repeat("a", maxGuestName+1)} {
		p, err := a.Authenticate(t.Context(), token)
		require.NoError(t, err)
		require.Regexp(t, `^guest-[0-9a-f]{8}$`, p.User)
		require.False(t, seen[p.User], "guests have names of their own")
		seen[p.User] = true
		for action := Subscribe; action <= Edit; action++ {
			require.True(t, p.May(action, "jobs:42"))
		}
		require.False(t, p.Permissions.Admin)
		require.WithinDuration(t, time.Now().Add(guestLifetime), p.Expires, time.Minute)

		next, err := a.Refresh(t.Context(), p, token)
		require.NoError(t, err)
		require.Equal(t, p.User, next.User)
	}
	alice, err := a.Authenticate(t.Context(), "alice")
	require.NoError(t, err)
	require.Equal(t, "alice", alice.User)
	_, err = a.Refresh(t.Context(), alice, "bob")
	requireCode(t, CodeUnauthorized, err)
}

func TestGuestsCanBeRevoked(t *testing.T) {
	list := NewMemory(nil)
	a := newAuthenticator(t, Options{Insecure: true, Revocations: list})
	require.NoError(t, list.Revoke(t.Context(), Revocation{User: "alice", Before: time.Now().Add(time.Hour)}))
	_, err := a.Authenticate(t.Context(), "alice")
	requireCode(t, CodeTokenRevoked, err)
}
