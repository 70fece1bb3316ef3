package auth

import (
	"bytes"
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/hmac"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"encoding/pem"
	"io"
	"maps"
	"net/http"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/lestrrat-go/jwx/v3/jwk"
	"github.com/stretchr/testify/require"
)

// testSecret is a secret of the least length.
const testSecret = "0123456789abcdef0123456789abcdef"

// object is a JSON object in a test.
type object = map[string]any

// with returns o with one member set; a nil value takes it away.
func with(o object, name string, value any) object {
	o = maps.Clone(o)
	if value == nil {
		delete(o, name)
	} else {
		o[name] = value
	}
	return o
}

// signer signs what a token's dots separate, in the ways of RFC 7518, without the library under test.
type signer func(t testing.TB, input []byte) []byte

func hmacSigner(secret string) signer {
	return func(_ testing.TB, input []byte) []byte {
		mac := hmac.New(sha256.New, []byte(secret))
		mac.Write(input)
		return mac.Sum(nil)
	}
}

func rsaSigner(key *rsa.PrivateKey) signer {
	return func(t testing.TB, input []byte) []byte {
		sum := sha256.Sum256(input)
		signature, err := rsa.SignPKCS1v15(rand.Reader, key, crypto.SHA256, sum[:])
		require.NoError(t, err)
		return signature
	}
}

func ecdsaSigner(key *ecdsa.PrivateKey) signer {
	return func(t testing.TB, input []byte) []byte {
		sum := sha256.Sum256(input)
		r, s, err := ecdsa.Sign(rand.Reader, key, sum[:])
		require.NoError(t, err)
		return append(r.FillBytes(make([]byte, 32)), s.FillBytes(make([]byte, 32))...)
	}
}

func ed25519Signer(key ed25519.PrivateKey) signer {
	return func(_ testing.TB, input []byte) []byte { return ed25519.Sign(key, input) }
}

// forge makes a token with any header and claims.
func forge(t testing.TB, header, claims any, sign signer) string {
	t.Helper()
	input := segment(t, header) + "." + segment(t, claims)
	return input + "." + base64.RawURLEncoding.EncodeToString(sign(t, []byte(input)))
}

func segment(t testing.TB, v any) string {
	t.Helper()
	raw, ok := v.(string)
	if !ok {
		encoded, err := json.Marshal(v)
		require.NoError(t, err)
		raw = string(encoded)
	}
	return base64.RawURLEncoding.EncodeToString([]byte(raw))
}

// goodClaims are claims that are accepted.
func goodClaims(now time.Time) object {
	return object{
		"iss": "tallywire", "aud": "tallywire", "sub": "alice", "jti": "t-1",
		"iat": now.Unix(), "exp": now.Add(time.Hour).Unix(),
		"tw": object{"subscribe": []string{"jobs:*", "user:$user"}},
	}
}

// keyring is one key of each kind; making RSA keys is slow.
type keyring struct {
	rsa     *rsa.PrivateKey
	ecdsa   *ecdsa.PrivateKey
	ed25519 ed25519.PrivateKey
}

var testKeys = sync.OnceValue(func() keyring {
	rsaKey, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		panic(err)
	}
	ecKey, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		panic(err)
	}
	_, edKey, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		panic(err)
	}
	return keyring{rsaKey, ecKey, edKey}
})

func newECKey(t testing.TB) *ecdsa.PrivateKey {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	require.NoError(t, err)
	return key
}

func pemOf(t testing.TB, public any) string {
	t.Helper()
	der, err := x509.MarshalPKIXPublicKey(public)
	require.NoError(t, err)
	return string(pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: der}))
}

// published is a raw key, and members of its JWK.
type published struct {
	key     any
	members object
}

// jwksOf returns the document with the keys; the kid of each is in its members.
func jwksOf(t testing.TB, keys ...published) []byte {
	t.Helper()
	set := jwk.NewSet()
	for _, p := range keys {
		key, err := jwk.Import(p.key)
		require.NoError(t, err)
		for name, value := range p.members {
			require.NoError(t, key.Set(name, value))
		}
		require.NoError(t, set.AddKey(key))
	}
	document, err := json.Marshal(set)
	require.NoError(t, err)
	return document
}

// keyServer answers requests for key sets without a network. Safe for concurrent use.
type keyServer struct {
	mu        sync.Mutex
	documents map[string][]byte // by URL
	err       error
	requests  []string // URLs, in order
	hold      chan struct{}
}

func newKeyServer() *keyServer { return &keyServer{documents: map[string][]byte{}} }

func (s *keyServer) client() *http.Client { return &http.Client{Transport: s} }

func (s *keyServer) set(url string, document []byte) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.documents[url], s.err = document, nil
}

func (s *keyServer) fail(err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.err = err
}

func (s *keyServer) count() int { return len(s.asked()) }

// asked returns the URLs of all requests.
func (s *keyServer) asked() []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Clone(s.requests)
}

// RoundTrip answers 404 for URLs that are not known.
func (s *keyServer) RoundTrip(req *http.Request) (*http.Response, error) {
	s.mu.Lock()
	s.requests = append(s.requests, req.URL.String())
	document, found := s.documents[req.URL.String()]
	err, hold := s.err, s.hold
	s.mu.Unlock()
	if hold != nil {
		select {
		case <-hold:
		case <-req.Context().Done():
			return nil, req.Context().Err()
		}
	}
	if err != nil {
		return nil, err
	}
	resp := &http.Response{StatusCode: http.StatusOK, Request: req, Header: http.Header{}}
	if !found {
		resp.StatusCode = http.StatusNotFound
	}
	resp.Body = io.NopCloser(bytes.NewReader(document))
	return resp, nil
}

func requireCode(t testing.TB, want Code, err error) {
	t.Helper()
	_ = requireRefusal(t, want, err)
}

// requireRefusal returns the refusal, for those who look further than its code.
func requireRefusal(t testing.TB, want Code, err error) *Error {
	t.Helper()
	var refusal *Error
	require.ErrorAs(t, err, &refusal)
	require.Equal(t, want, refusal.Code, "%v (%v)", err, refusal.Unwrap())
	return refusal
}

func newAuthenticator(t testing.TB, o Options) *Authenticator {
	t.Helper()
	a, err := New(o)
	require.NoError(t, err)
	return a
}
