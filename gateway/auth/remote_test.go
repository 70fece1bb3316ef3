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

var errDown = errors.New("down")

// start runs an authenticator until the test ends; for use inside a synctest bubble.
func start(t *testing.T, a *Authenticator) {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { done <- a.Run(ctx) }()
	t.Cleanup(func() {
		cancel()
		require.NoError(t, <-done)
	})
}

// rotation is an authenticator over a key server with one EC key, kid "1".
func rotation(t *testing.T) (a *Authenticator, server *keyServer, token func(kid string, key signer) string, first signer) {
	t.Helper()
	key := newECKey(t)
	server = newKeyServer()
	server.set(keysURL, jwksOf(t, published{&key.PublicKey, object{"kid": "1"}}))
	a = newAuthenticator(t, Options{JWKSURL: keysURL, HTTPClient: server.client()})
	token = func(kid string, key signer) string {
		claims := with(goodClaims(time.Now()), "exp", time.Now().Add(100*time.Hour).Unix())
		return forge(t, object{"alg": "ES256", "kid": kid}, claims, key)
	}
	return a, server, token, ecdsaSigner(key)
}

func TestKeysRotate(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a, server, token, first := rotation(t)
		start(t, a)
		synctest.Wait()
		require.Equal(t, 1, server.count(), "Run fetches at once")
		_, err := a.Authenticate(t.Context(), token("1", first))
		require.NoError(t, err)
		require.Equal(t, 1, server.count(), "a known kid needs no request")

		second := newECKey(t)
		server.set(keysURL, jwksOf(t, published{&second.PublicKey, object{"kid": "2"}}))
		time.Sleep(DefaultKeysCooldown)
		_, err = a.Authenticate(t.Context(), token("2", ecdsaSigner(second)))
		require.NoError(t, err, "a new kid is looked for")
		_, err = a.Authenticate(t.Context(), token("1", first))
		requireCode(t, CodeUnauthorized, err)
		require.Equal(t, 2, server.count())

		third := newECKey(t)
		server.set(keysURL, jwksOf(t, published{&third.PublicKey, object{"kid": "3"}}))
		time.Sleep(DefaultKeysEvery)
		synctest.Wait()
		before := server.count()
		_, err = a.Authenticate(t.Context(), token("3", ecdsaSigner(third)))
		require.NoError(t, err)
		require.Equal(t, before, server.count(), "Run has fetched it already")

		stats := a.Stats().Keys
		require.Len(t, stats, 1)
		require.Equal(t, 1, stats[0].Keys)
		require.Equal(t, uint64(before), stats[0].Fetches)
	})
}

func TestLastGoodKeysAreKeptForATime(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a, server, token, first := rotation(t)
		start(t, a)
		synctest.Wait()
		began := time.Now()
		server.fail(errDown)
		for time.Since(began) < DefaultKeysKeep-time.Minute {
			time.Sleep(7 * time.Minute)
			if time.Since(began) > DefaultKeysKeep {
				break
			}
			_, err := a.Authenticate(t.Context(), token("1", first))
			require.NoError(t, err, "after %s", time.Since(began))
			_, err = a.Authenticate(t.Context(), token("2", first))
			refusal := requireRefusal(t, CodeKeysUnavailable, err)
			require.True(t, refusal.Retry, "the kid may be in a set that cannot be had")
			require.ErrorIs(t, err, errDown)
			require.NotContains(t, err.Error(), "id.example")
		}
		time.Sleep(time.Until(began.Add(DefaultKeysKeep + time.Second)))
		_, err := a.Authenticate(t.Context(), token("1", first))
		requireCode(t, CodeKeysUnavailable, err)
		limit := int(DefaultKeysKeep/DefaultKeysCooldown) + 2
		require.LessOrEqual(t, server.count(), limit)

		server.fail(nil)
		time.Sleep(3 * DefaultKeysCooldown)
		_, err = a.Authenticate(t.Context(), token("1", first))
		require.NoError(t, err, "it recovers by itself")
	})
}

func TestAnEmptySetDoesNotReplaceAGoodOne(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a, server, token, first := rotation(t)
		start(t, a)
		synctest.Wait()
		for _, document := range []string{`{"keys":[]}`, `{}`, `not JSON`, `[]`, `{"keys":[{"kty":"oct","k":"c2VjcmV0","kid":"1"}]}`} {
			before := server.count()
			server.set(keysURL, []byte(document))
			time.Sleep(DefaultKeysEvery)
			synctest.Wait()
			require.Greater(t, server.count(), before)
			_, err := a.Authenticate(t.Context(), token("1", first))
			require.NoError(t, err, "after %s", document)
		}
		require.NotZero(t, a.Stats().Keys[0].Failures)
	})
}

func TestFloodOfUnknownKIDsIsOneRequestACooldown(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a, server, token, first := rotation(t)
		attacker := ecdsaSigner(newECKey(t))
		const seconds, perSecond = 60, 50
		for second := range seconds {
			var calls sync.WaitGroup
			for i := range perSecond {
				forged := token("unknown-"+strconv.Itoa(second*perSecond+i), attacker)
				calls.Go(func() {
					_, err := a.Authenticate(t.Context(), forged)
					requireCode(t, CodeUnauthorized, err)
				})
			}
			calls.Wait()
			_, err := a.Authenticate(t.Context(), token("1", first))
			require.NoError(t, err, "others get in all the time")
			time.Sleep(time.Second)
		}
		require.Equal(t, int(seconds*time.Second/DefaultKeysCooldown), server.count())
	})
}

func TestCallersShareOneRequest(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a, server, token, first := rotation(t)
		server.hold = make(chan struct{})
		good := token("1", first)

		// The first caller goes away: the request goes on for the others.
		leader, leave := context.WithCancel(t.Context())
		var calls sync.WaitGroup
		calls.Go(func() {
			_, err := a.Authenticate(leader, good)
			require.NoError(t, err)
		})
		synctest.Wait()
		for range 10 {
			calls.Go(func() {
				_, err := a.Authenticate(t.Context(), good)
				require.NoError(t, err)
			})
		}
		// One that waits may give up.
		impatient, giveUp := context.WithTimeout(t.Context(), time.Second)
		defer giveUp()
		_, err := a.Authenticate(impatient, good)
		requireCode(t, CodeKeysUnavailable, err)
		require.ErrorIs(t, err, context.DeadlineExceeded)

		leave()
		synctest.Wait()
		close(server.hold)
		calls.Wait()
		require.Equal(t, 1, server.count())
	})
}

func TestASlowIssuerIsGivenUp(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a, server, token, first := rotation(t)
		server.hold = make(chan struct{}) // never answers
		began := time.Now()
		_, err := a.Authenticate(t.Context(), token("1", first))
		require.True(t, requireRefusal(t, CodeKeysUnavailable, err).Retry)
		require.Equal(t, DefaultKeysTimeout, time.Since(began))
	})
}

func TestParseJWKSKeepsWhatCanVerify(t *testing.T) {
	keys := testKeys()
	ec := newECKey(t)
	document := jwksOf(t,
		published{&keys.rsa.PublicKey, object{"kid": "same"}},
		published{&keys.ecdsa.PublicKey, object{"kid": "same"}}, // another algorithm
		published{&ec.PublicKey, object{"kid": "encrypts", "use": "enc"}},
		published{keys.ed25519.Public(), object{"kid": "d", "use": "sig", "alg": "EdDSA", "key_ops": []string{"verify"}}},
		published{keys.ecdsa, object{"kid": "private"}},
		published{[]byte(testSecret), object{"kid": "secret"}},
	)
	set, err := parseJWKS(document)
	require.NoError(t, err)
	found := make([]keyID, 0, len(set.byID))
	for id := range set.byID {
		found = append(found, id)
	}
	require.ElementsMatch(t, []keyID{{"same", rs256}, {"same", es256}, {"d", eddsa}}, found)
	require.Nil(t, set.find(unverified{alg: es256, kid: "d", hasKID: true}))
	require.Equal(t, &keys.rsa.PublicKey, set.find(unverified{alg: rs256, kid: "same", hasKID: true}))

	// Two keys for an algorithm: a token has to say which.
	set, err = parseJWKS(jwksOf(t,
		published{&ec.PublicKey, object{"kid": "1"}}, published{&keys.ecdsa.PublicKey, object{"kid": "2"}}))
	require.NoError(t, err)
	require.Nil(t, set.find(unverified{alg: es256}))
	require.NotNil(t, set.find(unverified{alg: es256, kid: "2", hasKID: true}))
}

func TestParseJWKSLeavesOutKeysForOtherAlgorithms(t *testing.T) {
	key := testKeys().rsa
	for _, alg := range []string{"RS512", "PS256", "RSA-OAEP"} {
		_, err := parseJWKS(jwksOf(t, published{&key.PublicKey, object{"kid": "1", "alg": alg}}))
		require.ErrorIs(t, err, errNoUsableKey, alg)
	}
}
