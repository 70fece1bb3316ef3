package auth

import (
	"context"
	"errors"
	"strconv"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"
)

// deafStore is a list whose broadcasts are lost, and which can be out of reach.
type deafStore struct {
	*Memory
	mu    sync.Mutex
	err   error
	reads int
}

func (s *deafStore) Watch(ctx context.Context, _ func()) error {
	<-ctx.Done()
	return nil
}

func (s *deafStore) List(ctx context.Context) ([]Revocation, error) {
	s.mu.Lock()
	s.reads++
	err := s.err
	s.mu.Unlock()
	if err != nil {
		return nil, err
	}
	return s.Memory.List(ctx)
}

func (s *deafStore) fail(err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.err = err
}

func (s *deafStore) readCount() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.reads
}

// login authenticates with a fresh token.
func login(t testing.TB, a *Authenticator, user, id string) (*Principal, error) {
	t.Helper()
	token, err := Mint([]byte(testSecret), Claims{User: user, ID: id}, time.Hour)
	require.NoError(t, err)
	return a.Authenticate(t.Context(), token)
}

func mustLogin(t testing.TB, a *Authenticator, user, id string) *Principal {
	t.Helper()
	p, err := login(t, a, user, id)
	require.NoError(t, err)
	return p
}

func TestRevokedTokensAreRefusedAndAnnounced(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		list := NewMemory(nil)
		a := newAuthenticator(t, Options{Secret: testSecret, Revocations: list})
		start(t, a)
		calls := 0
		remove := a.OnRevoke(func() { calls++ })
		one, two := mustLogin(t, a, "alice", "t-1"), mustLogin(t, a, "alice", "t-2")
		bob := mustLogin(t, a, "bob", "t-3")
		synctest.Wait()
		require.Zero(t, calls)

		require.NoError(t, list.Revoke(t.Context(), Revocation{TokenID: "t-1", Expires: one.Expires}))
		synctest.Wait()
		require.Equal(t, 1, calls, "the doorbell needs no poll")
		require.True(t, a.Revoked(one))
		require.False(t, a.Revoked(two))
		_, err := login(t, a, "alice", "t-1")
		require.False(t, requireRefusal(t, CodeTokenRevoked, err).Retry)

		time.Sleep(2 * time.Second)
		require.NoError(t, list.Revoke(t.Context(), Revocation{User: "alice"}))
		synctest.Wait()
		require.Equal(t, 2, calls)
		require.True(t, a.Revoked(two), "all tokens of the user up to now")
		require.False(t, a.Revoked(bob))
		require.True(t, a.Revoked(&Principal{User: "alice"}), "a token that does not say when it was issued")
		time.Sleep(time.Second)
		mustLogin(t, a, "alice", "t-4")

		require.NoError(t, list.Revoke(t.Context(), Revocation{TokenID: "t-1", Expires: one.Expires}))
		time.Sleep(2 * DefaultRevocationsEvery)
		synctest.Wait()
		require.Equal(t, 2, calls, "nothing new, nothing announced")

		remove()
		require.NoError(t, list.Revoke(t.Context(), Revocation{TokenID: "t-9"}))
		synctest.Wait()
		require.Equal(t, 2, calls)
		require.Equal(t, 3, a.Stats().Revocations)
	})
}

func TestLostBroadcastIsCaughtByReading(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		store := &deafStore{Memory: NewMemory(nil)}
		a := newAuthenticator(t, Options{Secret: testSecret, Revocations: store})
		start(t, a)
		p := mustLogin(t, a, "alice", "t-1")
		announced := make(chan struct{}, 1)
		a.OnRevoke(func() { announced <- struct{}{} })
		synctest.Wait()
		revoked := time.Now()
		require.NoError(t, store.Revoke(t.Context(), Revocation{TokenID: "t-1"}))
		synctest.Wait()
		require.False(t, a.Revoked(p), "the broadcast is lost in this test")
		<-announced
		require.True(t, a.Revoked(p))
		require.LessOrEqual(t, time.Since(revoked), DefaultRevocationsEvery)
	})
}

func TestWithoutAListNobodyGetsIn(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		store := &deafStore{Memory: NewMemory(nil), err: errDown}
		a := newAuthenticator(t, Options{Secret: testSecret, Revocations: store})
		for range 20 {
			_, err := login(t, a, "alice", "t-1")
			require.True(t, requireRefusal(t, CodeRevocationsUnavailable, err).Retry)
			require.ErrorIs(t, err, errDown)
		}
		require.Equal(t, 1, store.readCount(), "tokens do not make a storm of reads")

		time.Sleep(revocationsCooldown)
		gone, leave := context.WithCancel(t.Context())
		leave()
		token, err := Mint([]byte(testSecret), Claims{User: "alice"}, time.Hour)
		require.NoError(t, err)
		_, err = a.Authenticate(gone, token)
		requireCode(t, CodeRevocationsUnavailable, err)

		store.fail(nil)
		mustLogin(t, a, "alice", "t-1")
		require.True(t, a.Stats().RevocationsRead)
	})
}

func TestTheLastListHoldsWhileTheStoreIsAway(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		store := &deafStore{Memory: NewMemory(nil)}
		require.NoError(t, store.Revoke(t.Context(), Revocation{TokenID: "t-1", Expires: time.Now().Add(time.Hour)}))
		a := newAuthenticator(t, Options{Secret: testSecret, Revocations: store})
		start(t, a)
		synctest.Wait()
		requireRevoked := func() {
			_, err := login(t, a, "alice", "t-1")
			requireCode(t, CodeTokenRevoked, err)
		}
		requireRevoked()
		store.fail(errDown)
		time.Sleep(30 * time.Minute)
		requireRevoked()
		mustLogin(t, a, "alice", "t-2")
		require.NotZero(t, a.Stats().RevocationFailures)

		// The store comes back without its data.
		store.Memory.mu.Lock()
		store.Memory.set = revokedSet{}
		store.Memory.mu.Unlock()
		store.fail(nil)
		time.Sleep(10 * time.Minute)
		requireRevoked()
		time.Sleep(25 * time.Minute)
		require.Zero(t, a.Stats().Revocations, "forgotten once the token has expired")
	})
}

func TestWatchThatFailsIsTakenUpAgain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		store := &flakyWatch{Memory: NewMemory(nil)}
		a := newAuthenticator(t, Options{Secret: testSecret, Revocations: store, RevocationsEvery: time.Hour})
		start(t, a)
		p := mustLogin(t, a, "alice", "t-1")
		time.Sleep(2 * time.Hour)
		synctest.Wait()
		require.NoError(t, store.Revoke(t.Context(), Revocation{TokenID: "t-1"}))
		synctest.Wait()
		require.True(t, a.Revoked(p))
	})
}

// flakyWatch fails to watch once.
type flakyWatch struct {
	*Memory
	failed bool // owned by the one goroutine that watches
}

func (f *flakyWatch) Watch(ctx context.Context, changed func()) error {
	if !f.failed {
		f.failed = true
		return errDown
	}
	return f.Memory.Watch(ctx, changed)
}

func TestRevocationsAreValidated(t *testing.T) {
	list := NewMemory(nil)
	for _, r := range []Revocation{
		{}, {TokenID: "a", User: "b"}, {TokenID: "a b"}, {User: "a b"}, {User: "{a}"},
	} {
		require.Error(t, list.Revoke(t.Context(), r), "%+v", r)
	}
	gone, leave := context.WithCancel(t.Context())
	leave()
	require.ErrorIs(t, list.Revoke(gone, Revocation{User: "a"}), context.Canceled)
}

func TestMemoryIsBounded(t *testing.T) {
	now := time.Unix(1_800_000_000, 0)
	list := NewMemory(func() time.Time { return now })
	short := now.Add(time.Minute)
	full := make([]Revocation, MaxRevocations)
	for i := range full {
		full[i] = Revocation{TokenID: strconv.Itoa(i), Expires: short}
	}
	list.set.add(full, now)
	require.ErrorIs(t, list.Revoke(t.Context(), Revocation{User: "alice"}), ErrRevocationsFull)
	require.NoError(t, list.Revoke(t.Context(), Revocation{TokenID: "7"}), "it is there already")
	now = short.Add(2 * MaxSkew)
	require.NoError(t, list.Revoke(t.Context(), Revocation{User: "alice"}), "room is made by what has expired")
	all, err := list.List(t.Context())
	require.NoError(t, err)
	require.Len(t, all, 2)
}

func TestMoreRevocationsThanAllowedForgetWhatTheStoreForgot(t *testing.T) {
	now := time.Unix(1_800_000_000, 0)
	list := newRevokedList(NewMemory(nil), func() time.Time { return now })
	full := make([]Revocation, MaxRevocations)
	for i := range full {
		full[i] = Revocation{TokenID: strconv.Itoa(i), Expires: now.Add(time.Hour)}
	}
	require.True(t, list.mergeLocked(full))
	require.Equal(t, MaxRevocations, list.set.Load().len())
	require.True(t, list.mergeLocked([]Revocation{{TokenID: "new", Expires: now.Add(time.Hour)}}))
	require.Equal(t, 1, list.set.Load().len())
	require.Equal(t, uint64(MaxRevocations), list.forgotten.Load())
}

func TestRunEndsWithItsContext(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		server := newKeyServer()
		server.hold = make(chan struct{})
		a := newAuthenticator(t, Options{
			JWKSURL: keysURL, HTTPClient: server.client(), Revocations: NewMemory(nil),
		})
		ctx, cancel := context.WithCancelCause(t.Context())
		done := make(chan error, 1)
		go func() { done <- a.Run(ctx) }()
		synctest.Wait()
		began := time.Now()
		cancel(errors.New("enough"))
		require.NoError(t, <-done)
		require.Zero(t, time.Since(began), "a request under way is given up")
	})
}
