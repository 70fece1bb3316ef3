package auth

import (
	"bytes"
	"crypto/ecdh"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func TestFetchKeysOverHTTP(t *testing.T) {
	key := testKeys().ecdsa
	document := jwksOf(t, published{&key.PublicKey, object{"kid": "1"}})
	var elsewhere atomic.Int32
	other := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		elsewhere.Add(1)
		w.Write(document)
	}))
	t.Cleanup(other.Close)

	mux := http.NewServeMux()
	mux.HandleFunc("/good", func(w http.ResponseWriter, r *http.Request) {
		assert.Contains(t, r.Header.Get("Accept"), "application/json")
		w.Write(document)
	})
	mux.Handle("/moved", http.RedirectHandler("/good", http.StatusFound))
	mux.Handle("/loop", http.RedirectHandler("/loop", http.StatusFound))
	mux.Handle("/elsewhere", http.RedirectHandler(other.URL+"/good", http.StatusFound))
	mux.Handle("/file", http.RedirectHandler("file:///etc/passwd", http.StatusFound))
	mux.HandleFunc("/large", func(w http.ResponseWriter, _ *http.Request) {
		w.Write(document)
		w.Write(bytes.Repeat([]byte(" "), maxJWKSBytes))
	})
	mux.HandleFunc("/error", func(w http.ResponseWriter, _ *http.Request) {
		w.WriteHeader(http.StatusInternalServerError)
		w.Write(document)
	})
	server := httptest.NewServer(mux)
	t.Cleanup(server.Close)

	client := newKeysClient(nil)
	for path, want := range map[string]string{
		"/good":      "",
		"/moved":     "",
		"/loop":      "too many redirects",
		"/elsewhere": "another host",
		"/file":      "another host",
		"/large":     "more than",
		"/error":     "status 500",
		"/missing":   "status 404",
	} {
		keys, err := fetchKeys(t.Context(), client, server.URL+path)
		if want == "" {
			require.NoError(t, err, path)
			require.Len(t, keys.byID, 1)
			continue
		}
		require.ErrorContains(t, err, want, path)
	}
	require.Zero(t, elsewhere.Load())
}

func TestRedirectsMayNotLeaveTLS(t *testing.T) {
	plain := httptest.NewRequest(http.MethodGet, "http://id.example/keys", http.NoBody)
	secure := httptest.NewRequest(http.MethodGet, "https://id.example/keys", http.NoBody)
	require.NoError(t, sameHostOnly(secure, []*http.Request{plain}))
	require.ErrorContains(t, sameHostOnly(plain, []*http.Request{secure}), "another scheme")
}

func TestTheCallersClientIsNotChanged(t *testing.T) {
	mine := &http.Client{}
	newKeysClient(mine)
	require.Nil(t, mine.CheckRedirect)
}

func TestOptionsAreValidated(t *testing.T) {
	keys := testKeys()
	for name, c := range map[string]struct {
		o    Options
		want string
	}{
		"no key":                {Options{}, "no key"},
		"insecure with a key":   {Options{Insecure: true, Secret: testSecret}, "excludes"},
		"PEM as secret":         {Options{Secret: pemOf(t, &keys.rsa.PublicKey)}, "PEM block"},
		"skew too large":        {Options{Secret: testSecret, Skew: MaxSkew + 1}, "skew"},
		"skew negative":         {Options{Secret: testSecret, Skew: -1}, "skew"},
		"cooldown negative":     {Options{Secret: testSecret, KeysCooldown: -1}, "cooldown"},
		"jwks from a file":      {Options{JWKSURL: "file:///etc/keys"}, "http or https"},
		"jwks without a host":   {Options{JWKSURL: "https:///keys"}, "host"},
		"jwks with a user":      {Options{JWKSURL: "https://user@id.example/keys"}, "user information"},
		"jwks without issuer":   {Options{JWKS: []IssuerKeys{{URL: keysURL}}}, "issuer is empty"},
		"issuer named twice":    {Options{JWKSURL: keysURL, JWKS: []IssuerKeys{{"tallywire", keysURL}}}, "named twice"},
		"key not PEM":           {Options{Keys: []string{"abc"}}, "no PEM block"},
		"key with a tail":       {Options{Keys: []string{pemOf(t, &keys.ecdsa.PublicKey) + "abc"}}, "other than PEM"},
		"private key":           {Options{Keys: []string{strings.ReplaceAll(pemOf(t, &keys.ecdsa.PublicKey), "PUBLIC", "PRIVATE")}}, "private key"},
		"certificate":           {Options{Keys: []string{strings.ReplaceAll(pemOf(t, &keys.ecdsa.PublicKey), "PUBLIC KEY", "CERTIFICATE")}}, "want PUBLIC KEY"},
		"small RSA key":         {Options{Keys: []string{smallRSA}}, "1024 bits"},
		"key on another curve":  {Options{Keys: []string{pemOf(t, p384(t))}}, "P-384"},
		"key for key agreement": {Options{Keys: []string{pemOf(t, x25519(t))}}, "not a public key that is accepted"},
	} {
		_, err := New(c.o)
		require.ErrorContains(t, err, c.want, name)
	}
}

// smallRSA is an RSA key of 1024 bits.
const smallRSA = `-----BEGIN PUBLIC KEY-----
MIGfMA0GCSqGSIb3DQEBAQUAA4GNADCBiQKBgQDd75DUSnC/uStvUUJLltbs2hs4
wX9dZWc6n27N5UJC9L3r2i/t3Vt7E5jxUsNHpornw0cV7dXkbV1ZZd3Y0GJ5xaSK
NJGQHcQxedDR7eODBez3FwXf1ZDzfW1ftkrKqD4ORwgqtwh8bnP/cKF2gKJsjhfg
KlU/nLx1m8lkAM78BwIDAQAB
-----END PUBLIC KEY-----
`

func p384(t *testing.T) *ecdsa.PublicKey {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P384(), rand.Reader)
	require.NoError(t, err)
	return &key.PublicKey
}

func x25519(t *testing.T) *ecdh.PublicKey {
	t.Helper()
	key, err := ecdh.X25519().GenerateKey(rand.Reader)
	require.NoError(t, err)
	return key.PublicKey()
}
