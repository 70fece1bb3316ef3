package redisconn_test

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"
	"github.com/stretchr/testify/require"

	"github.com/tallywire/tallywire/internal/redisconn"
	"github.com/tallywire/tallywire/internal/redistest"
	"github.com/tallywire/tallywire/internal/tlstest"
)

// dial returns a client with an Access.
func dial(t *testing.T, url string, a redisconn.Access) redis.UniversalClient {
	t.Helper()
	return dialTarget(t, target(t, url, a))
}

func dialTarget(t *testing.T, target *redisconn.Target) redis.UniversalClient {
	t.Helper()
	client := target.Client()
	t.Cleanup(func() { _ = client.Close() })
	return client
}

func target(t *testing.T, url string, a redisconn.Access) *redisconn.Target {
	t.Helper()
	parsed, err := redisconn.Parse(url)
	require.NoError(t, err)
	parsed, err = parsed.With(a)
	require.NoError(t, err)
	return parsed
}

// refused pings, which must fail, and returns the advice.
func refused(t *testing.T, url string, a redisconn.Access) string {
	t.Helper()
	to := target(t, url, a)
	err := dialTarget(t, to).Ping(t.Context()).Err()
	require.Error(t, err)
	t.Log(err)
	return to.Advice(err)
}

func TestClientCertificates(t *testing.T) {
	authority, other := tlstest.New(t), tlstest.New(t)
	s := redistest.Start(t, redistest.WithTLS(authority, "yes"))
	mine := authority.Issue(t, tlstest.Leaf{CommonName: "gateway"})
	foreign := other.Issue(t, tlstest.Leaf{CommonName: "gateway"})
	good := redisconn.Access{CAFile: authority.File, CertFile: mine.CertFile, KeyFile: mine.KeyFile}
	require.NoError(t, dial(t, s.TLSURL(), good).Ping(t.Context()).Err())

	for name, c := range map[string]struct {
		access redisconn.Access
		advice string
	}{
		"another authority": {
			redisconn.Access{CAFile: other.File, CertFile: mine.CertFile, KeyFile: mine.KeyFile}, "give the authority's with --redis-ca-file",
		},
		"the system's authorities": {redisconn.Access{CertFile: mine.CertFile, KeyFile: mine.KeyFile}, "--redis-ca-file"},
		"no certificate":           {redisconn.Access{CAFile: authority.File}, "--redis-cert-file and --redis-key-file"},
		"a foreign certificate": {
			redisconn.Access{CAFile: authority.File, CertFile: foreign.CertFile, KeyFile: foreign.KeyFile}, "--redis-cert-file",
		},
	} {
		require.Contains(t, refused(t, s.TLSURL(), c.access), c.advice, name)
	}
	require.Contains(t, refused(t, "rediss://"+s.Addr(), good), "use redis://")
	require.Contains(t, refused(t, strings.Replace(s.TLSURL(), "rediss", "redis", 1), redisconn.Access{}), "rediss://")

	elsewhere := authority.Issue(t, tlstest.Leaf{Names: []string{"redis.example.com"}})
	s.Do("CONFIG", "SET", "tls-cert-file", elsewhere.CertFile, "tls-key-file", elsewhere.KeyFile)
	require.Contains(t, refused(t, s.TLSURL(), good), "for other names")
	expired := authority.Issue(t, tlstest.Leaf{NotAfter: time.Now().Add(-time.Minute)})
	s.Do("CONFIG", "SET", "tls-cert-file", expired.CertFile, "tls-key-file", expired.KeyFile)
	require.Contains(t, refused(t, s.TLSURL(), good), "has expired")
}

// TestRenewedClientCertificate: a certificate is renewed in its files while the client runs.
func TestRenewedClientCertificate(t *testing.T) {
	authority, next := tlstest.New(t), tlstest.New(t)
	s := redistest.Start(t, redistest.WithTLS(authority, "yes"))
	pair := authority.Issue(t, tlstest.Leaf{})
	client := dial(t, s.TLSURL(), redisconn.Access{CAFile: authority.File, CertFile: pair.CertFile, KeyFile: pair.KeyFile})
	require.NoError(t, client.Ping(t.Context()).Err())
	next.Renew(t, pair, tlstest.Leaf{})
	kill(t, s)
	require.Eventually(t, func() bool {
		return client.Ping(t.Context()).Err() != nil
	}, 10*time.Second, 10*time.Millisecond, "the new one, which Redis does not know, is presented")
	authority.Renew(t, pair, tlstest.Leaf{})
	require.Eventually(t, func() bool { return client.Ping(t.Context()).Err() == nil }, 10*time.Second, 10*time.Millisecond)
	// While a new one is not whole, the last one serves.
	require.NoError(t, os.WriteFile(pair.KeyFile, []byte("half of a k"), 0o600))
	kill(t, s)
	require.Eventually(t, func() bool { return client.Ping(t.Context()).Err() == nil }, 10*time.Second, 10*time.Millisecond)
}

// kill cuts all connections but the test's own.
func kill(t *testing.T, s *redistest.Server) {
	t.Helper()
	s.Do("CLIENT", "KILL", "TYPE", "normal", "SKIPME", "yes")
}

func TestUserAndPassword(t *testing.T) {
	const password = `p@ss/w?o#r%d:&=` //nolint:gosec // invented
	authority := tlstest.New(t)
	s := redistest.Start(t, redistest.WithTLS(authority, "no"))
	s.Do("ACL", "SETUSER", "gateway", "on", ">"+password, "+@all", "~*", "&*")
	s.Do("ACL", "SETUSER", "default", "off")
	a := redisconn.Access{Username: "gateway", Password: password, CAFile: authority.File}
	require.NoError(t, dial(t, s.TLSURL(), a).Ping(t.Context()).Err())
	a.Password = "wrong"
	require.Contains(t, refused(t, s.TLSURL(), a), "--redis-password")
	require.Contains(t, refused(t, s.TLSURL(), redisconn.Access{CAFile: authority.File}), "--redis-password")

	a.Password = password
	for _, format := range []string{"%v", "%s", "%#v"} {
		require.NotContains(t, fmt.Sprintf(format, target(t, s.TLSURL(), a)), password)
	}
}

func TestSentinelOverTLS(t *testing.T) {
	authority := tlstest.New(t)
	primary := redistest.Start(t, redistest.WithTLS(authority, "no"))
	url := redistest.StartTLSSentinel(t, primary, authority)
	client := dial(t, url, redisconn.Access{CAFile: authority.File})
	require.NoError(t, client.Set(t.Context(), "k", "v", 0).Err())
	require.Equal(t, "v", primary.Do("GET", "k"))
	require.Error(t, dial(t, url, redisconn.Access{}).Ping(t.Context()).Err())
}

func TestAccessThatDoesNotGo(t *testing.T) {
	authority := tlstest.New(t)
	pair, other := authority.Issue(t, tlstest.Leaf{}), authority.Issue(t, tlstest.Leaf{})
	none := filepath.Join(t.TempDir(), "none.pem")
	for name, c := range map[string]struct {
		url    string
		access redisconn.Access
		says   string
	}{
		"password twice":        {"redis://:a@h", redisconn.Access{Password: "b"}, "password: the URL says it too"},
		"user twice":            {"redis://u:a@h", redisconn.Access{Username: "b"}, "username: the URL says it too"},
		"user alone":            {"redis://h", redisconn.Access{Username: "b"}, "username: is nobody without a password"},
		"no sentinels":          {"redis://h", redisconn.Access{SentinelPassword: "b"}, "sentinel-password: the URL has no sentinels"},
		"files without TLS":     {"redis://h", redisconn.Access{CAFile: authority.File}, "ca-file: the URL is one without TLS"},
		"pair without TLS":      {"redis://h", redisconn.Access{CertFile: pair.CertFile, KeyFile: pair.KeyFile}, "cert-file: the URL is one without TLS"},
		"certificate alone":     {"rediss://h", redisconn.Access{CertFile: pair.CertFile}, "cert-file: needs its key"},
		"key alone":             {"rediss://h", redisconn.Access{KeyFile: pair.KeyFile}, "key-file: needs its certificate"},
		"no such authority":     {"rediss://h", redisconn.Access{CAFile: none}, "ca-file: open " + none},
		"a key as authority":    {"rediss://h", redisconn.Access{CAFile: pair.KeyFile}, "holds no certificate in PEM"},
		"no such key":           {"rediss://h", redisconn.Access{CertFile: pair.CertFile, KeyFile: none}, "open " + none},
		"the key of another":    {"rediss://h", redisconn.Access{CertFile: pair.CertFile, KeyFile: other.KeyFile}, "private key does not match public key"},
		"sentinels' name twice": {"redis-sentinel://h/m?sentinel_username=a", redisconn.Access{SentinelUsername: "b"}, "sentinel-username: the URL says"},
	} {
		target, err := redisconn.Parse(c.url)
		require.NoError(t, err, name)
		_, err = target.With(c.access)
		require.ErrorContains(t, err, c.says, name)
		var field *redisconn.AccessError
		require.ErrorAs(t, err, &field, name)
	}
	var unknown redisconn.Target
	require.Empty(t, unknown.Advice(nil))
	require.Empty(t, unknown.Advice(errors.New("something else")))
}

// TestURLErrorsNameThePart: whoever mistypes a URL learns where.
func TestURLErrorsNameThePart(t *testing.T) {
	for url, says := range map[string]string{
		"localhost:6379":              "no scheme; wanted redis://host:port",
		"http://h":                    `unknown scheme "http"`,
		"redis://":                    "empty host",
		"redis://:6379":               "no host before the port",
		"redis://h:0":                 `port of "h": must be 1 to 65535, is "0"`,
		"redis://h:99999":             `port of "h": must be 1 to 65535, is "99999"`,
		"redis://::1":                 "an address of IPv6 stands in brackets",
		"redis://h/x":                 `database: must be a number, is "x"`,
		"redis://h/-1":                "database: must not be negative, is -1",
		"redis://u:%zz@h":             "password is not percent-encoded",
		"redis://u:se/cret@h":         "user or password: / ? # % in it must be percent-encoded",
		"redis://u:se?cret@h":         "user or password: / ? # % in it must be percent-encoded",
		"redis://h?retries=3":         `unknown parameter "retries"`,
		"redis://h?pool_size=many":    "parameter pool_size",
		"redis://h?pool_size=100000":  "parameter pool_size: must be at most 10000",
		"redis-sentinel://h":          "no master name",
		"redis-cluster://h/1":         "a cluster has database 0 only",
		"redis://a,b":                 "several hosts",
		"redis-sentinel://a,b:x/name": `port of "b": must be 1 to 65535, is "x"`,
	} {
		_, err := redisconn.Parse(url)
		require.ErrorContains(t, err, says, url)
		require.NotContains(t, err.Error(), "cret", url)
	}
}
