package main

import (
	"bufio"
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/tallywire/tallywire/internal/tlstest"
)

// secured is a gateway over TLS.
type secured struct {
	*running
	t         *testing.T
	authority *tlstest.Authority
	pair      tlstest.Pair
	reload    chan os.Signal
}

func serveTLS(t *testing.T, l tlstest.Leaf, args ...string) *secured {
	t.Helper()
	s := &secured{t: t, authority: tlstest.New(t), reload: make(chan os.Signal)}
	s.pair = s.authority.Issue(t, l)
	p := Program{
		Environ: []string{"TALLYWIRE_AUTH_SECRET=" + secret}, Reload: func() <-chan os.Signal { return s.reload },
	}
	s.running = serveWith(t, p, append([]string{"--tls-cert", s.pair.CertFile, "--tls-key", s.pair.KeyFile}, args...)...)
	return s
}

func (s *secured) address() string { return strings.TrimPrefix(s.public, "https://") }

// shown makes a handshake and returns the certificate.
func (s *secured) shown(c *tls.Config) (*x509.Certificate, string, error) {
	s.t.Helper()
	c.RootCAs = s.authority.Pool
	conn, err := tls.Dial("tcp", s.address(), c)
	if err != nil {
		return nil, "", err
	}
	defer func() { _ = conn.Close() }()
	return conn.ConnectionState().PeerCertificates[0], conn.ConnectionState().NegotiatedProtocol, nil
}

// told is when the certificate ends as the metrics say, in seconds since 1970.
func (s *secured) told() int64 {
	s.t.Helper()
	_, after, found := strings.Cut(get(s.t, s.admin+"/metrics", nil).body, "\ntallywire_tls_certificate_expiry_timestamp_seconds ")
	require.True(s.t, found)
	line, _, _ := strings.Cut(after, "\n")
	at, err := strconv.ParseFloat(line, 64)
	require.NoError(s.t, err)
	return int64(at)
}

func TestServeTLS(t *testing.T) {
	g := serveTLS(t, tlstest.Leaf{})
	for _, asked := range []string{"h2", "http/1.1"} {
		_, protocol, err := g.shown(&tls.Config{NextProtos: []string{asked}})
		require.NoError(t, err)
		require.Equal(t, asked, protocol)
	}
	_, _, err := g.shown(&tls.Config{MinVersion: tls.VersionTLS10, MaxVersion: tls.VersionTLS11}) //nolint:gosec // which is to fail
	require.ErrorContains(t, err, "protocol version not supported")
	_, _, err = g.shown(&tls.Config{MaxVersion: tls.VersionTLS12}) //nolint:gosec // old, and good enough
	require.NoError(t, err)
	_, _, err = g.shown(&tls.Config{ServerName: "events.example.com"})
	require.ErrorContains(t, err, "not events.example.com")
	require.Equal(t, http.StatusBadRequest, status(t, "http://"+g.address()+"/healthz"), "no HTTP without TLS")

	// The tools, with a token from a file.
	token := filepath.Join(t.TempDir(), "token")
	write(t, token, mint(t, "--user", "alice", "--subscribe", "jobs:*", "--publish", "jobs:*")+"\n")
	args := []string{"--url", g.public, "--ca-file", g.authority.File, "--token-file", token}
	publishOne(t, nil, append([]string{"--data", `{"job_id":"1","percent":5}`}, args...)...)
	o := command(t, nil, "", append([]string{"tail", "jobs:1", "--cursor", "0", "--count", "1"}, args...)...)
	require.Equal(t, exitDone, o.status, o.stderr)
	require.Contains(t, o.stdout, `"percent":5`)
	o = command(t, nil, "", "publish", "jobs:1", "--type", "x", "--url", g.public, "--token-file", token)
	require.Equal(t, exitFailed, o.status)
	require.Contains(t, o.stderr, "unknown authority")
	o = command(t, nil, "", append([]string{"publish", "jobs:1", "--type", "x"}, append(args, "--url",
		strings.Replace(g.public, "127.0.0.1", "127.0.0.2", 1))...)...)
	require.Equal(t, exitFailed, o.status)
	require.Contains(t, o.stderr, "127.0.0.2")
	require.Equal(t, exitDone, g.stop())
}

// TestTokenFileIsReadAgain: what follows for long takes over a renewed token with its next connection.
func TestTokenFileIsReadAgain(t *testing.T) {
	g := serveTLS(t, tlstest.Leaf{})
	token := filepath.Join(t.TempDir(), "token")
	write(t, token, mint(t, "--user", "alice", "--subscribe", "jobs:*"))
	follower := start(t, Program{}, "tail", "jobs:1", "--url", g.public, "--ca-file", g.authority.File, "--token-file", token)
	follower.sees(follower.stderr, "as alice")
	write(t, token, mint(t, "--user", "bob", "--subscribe", "jobs:*"))
	admin := mint(t, "--user", "ops", "--admin")
	g.disconnect(admin, "alice")
	follower.sees(follower.stderr, "as bob")
}

func TestWrongTokenFiles(t *testing.T) {
	folder := t.TempDir()
	file := func(name, text string) string { return write(t, filepath.Join(folder, name), text) }
	good := file("good", "abc")
	for name, c := range map[string]struct {
		args []string
		says string
	}{
		"none":      {[]string{"--token-file", filepath.Join(folder, "none")}, "token-file: open "},
		"empty":     {[]string{"--token-file", file("empty", "\n")}, "must hold one token and nothing else"},
		"two":       {[]string{"--token-file", file("two", "a\nb\n")}, "must hold one token and nothing else"},
		"large":     {[]string{"--token-file", file("large", strings.Repeat("x", 65<<10))}, "which no token is"},
		"both":      {[]string{"--token-file", good, "--token", "x"}, "token, token-file: give one of them"},
		"no CA":     {[]string{"--ca-file", filepath.Join(folder, "none")}, "ca-file: open "},
		"CA of air": {[]string{"--ca-file", good}, "holds no certificate in PEM"},
	} {
		for _, args := range [][]string{{"publish", "jobs:1", "--type", "x"}, {"tail", "jobs:1"}} {
			o := command(t, nil, "", append(args, c.args...)...)
			require.Equal(t, exitUsage, o.status, "%s: %s", name, o.stderr)
			require.Contains(t, o.stderr, c.says, name)
		}
	}
}

// disconnect ends every session of a user, as an operator does.
func (s *secured) disconnect(admin, user string) {
	s.t.Helper()
	a := get(s.t, s.admin+"/admin/v1/users/"+user+"/sessions", func(r *http.Request) { r.Header.Set("Authorization", "Bearer "+admin) })
	require.Equal(s.t, http.StatusOK, a.status, a.body)
	_, rest, found := strings.Cut(a.body, `"session":"`)
	require.True(s.t, found, a.body)
	session, _, _ := strings.Cut(rest, `"`)
	a = get(s.t, s.admin+"/admin/v1/sessions/disconnect", func(r *http.Request) {
		r.Method, r.Body = http.MethodPost, io.NopCloser(strings.NewReader(fmt.Sprintf(`{"user":%q,"session":%q}`, user, session)))
		r.Header.Set("Authorization", "Bearer "+admin)
		r.Header.Set("Content-Type", "application/json")
	})
	require.Less(s.t, a.status, 300, a.body)
}

// TestRenewedCertificate renews the certificate under a connection that stays.
func TestRenewedCertificate(t *testing.T) {
	g := serveTLS(t, tlstest.Leaf{})
	first, _, err := g.shown(&tls.Config{})
	require.NoError(t, err)
	token := mint(t, "--user", "alice", "--subscribe", "*", "--publish", "*")
	follower := start(t, Program{}, "tail", "jobs:1", "--url", g.public, "--ca-file", g.authority.File, "--token", token)
	follower.sees(follower.stderr, "as alice")
	require.Equal(t, first.NotAfter.Unix(), g.told())

	ends := time.Now().Add(20 * time.Hour)
	g.authority.Renew(t, g.pair, tlstest.Leaf{Names: []string{"127.0.0.1", "events.example.com"}, NotAfter: ends})
	g.reload <- os.Interrupt
	g.sees(g.stderr, "events.example.com")
	second, _, err := g.shown(&tls.Config{ServerName: "events.example.com"})
	require.NoError(t, err)
	require.NotEqual(t, first.SerialNumber, second.SerialNumber)
	require.NotEqual(t, first.NotAfter, second.NotAfter)
	require.Equal(t, second.NotAfter.Unix(), g.told())

	// Half of a pair, and garbage, leave what there is in place.
	good, err := os.ReadFile(g.pair.KeyFile)
	require.NoError(t, err)
	for _, broken := range []string{"garbage", ""} {
		write(t, g.pair.KeyFile, broken)
		g.reload <- os.Interrupt
	}
	write(t, g.pair.KeyFile, string(good))
	elsewhere := g.authority.Issue(t, tlstest.Leaf{})
	other, err := os.ReadFile(elsewhere.CertFile)
	require.NoError(t, err)
	write(t, g.pair.CertFile, string(other))
	g.reload <- os.Interrupt
	g.sees(g.stderr, "private key does not match public key")
	g.sees(g.stderr, `"event":"tls_not_renewed"`)
	still, _, err := g.shown(&tls.Config{})
	require.NoError(t, err)
	require.Equal(t, second.SerialNumber, still.SerialNumber)
	g.authority.Renew(t, g.pair, tlstest.Leaf{})
	g.reload <- os.Interrupt
	require.Eventually(t, func() bool {
		last, _, err := g.shown(&tls.Config{})
		return err == nil && last.SerialNumber.Cmp(second.SerialNumber) != 0
	}, 10*time.Second, 5*time.Millisecond)

	// The connection has lived through all of it.
	publishOne(t, []string{"TALLYWIRE_TOKEN=" + token}, "--data", `{"job_id":"1","percent":5}`, "--url", g.public, "--ca-file", g.authority.File)
	follower.sees(follower.stdout, `"percent":5`)
	require.Equal(t, 1, strings.Count(follower.stderr.String(), "connected to"))
	require.NotContains(t, follower.stderr.String(), "disconnected")
}

func TestCertificatesThatCannotBeUsed(t *testing.T) {
	authority := tlstest.New(t)
	pair, other := authority.Issue(t, tlstest.Leaf{}), authority.Issue(t, tlstest.Leaf{})
	none := filepath.Join(t.TempDir(), "none.pem")
	empty := write(t, filepath.Join(t.TempDir(), "empty.pem"), "")
	for name, c := range map[string]struct {
		cert, key, says string
		status          int
	}{
		"no key given":    {pair.CertFile, "", "tls-cert: needs its key: give tls-key too", exitUsage},
		"no cert given":   {"", pair.KeyFile, "tls-key: needs its certificate: give tls-cert too", exitUsage},
		"no certificate":  {none, pair.KeyFile, "tls-cert: open " + none, exitFailed},
		"no key":          {pair.CertFile, none, "tls-key: open " + none, exitFailed},
		"another's key":   {pair.CertFile, other.KeyFile, "private key does not match public key", exitFailed},
		"an empty file":   {empty, pair.KeyFile, "failed to find any PEM data in certificate input", exitFailed},
		"the wrong order": {pair.KeyFile, pair.CertFile, "tls-cert, tls-key: ", exitFailed},
	} {
		t.Run(name, func(t *testing.T) {
			args := []string{"serve", "--insecure", "--listen", "127.0.0.1:0", "--admin-listen", "off"}
			if c.cert != "" {
				args = append(args, "--tls-cert", c.cert)
			}
			if c.key != "" {
				args = append(args, "--tls-key", c.key)
			}
			o := command(t, nil, "", args...)
			require.Equal(t, c.status, o.status, o.stderr)
			require.Contains(t, o.stderr, c.says)
		})
	}
}

func TestExpiredCertificateIsWarnedOf(t *testing.T) {
	g := serveTLS(t, tlstest.Leaf{NotAfter: time.Now().Add(-time.Minute)})
	require.Contains(t, g.stderr.String(), "the certificate has expired")
	_, _, err := g.shown(&tls.Config{})
	require.ErrorContains(t, err, "expired")
}

// TestDrainOverTLS: clients over HTTP/2 are told to go elsewhere.
func TestDrainOverTLS(t *testing.T) {
	g := serveTLS(t, tlstest.Leaf{})
	token := mint(t, "--user", "alice", "--subscribe", "*")
	client := &http.Client{Transport: &http.Transport{TLSClientConfig: &tls.Config{RootCAs: g.authority.Pool}, ForceAttemptHTTP2: true}}
	defer client.CloseIdleConnections()
	q, err := http.NewRequestWithContext(t.Context(), http.MethodGet, g.public+"/v1/sse?channel=jobs:1", nil)
	require.NoError(t, err)
	q.Header.Set("Authorization", "Bearer "+token)
	a, err := client.Do(q)
	require.NoError(t, err)
	defer a.Body.Close()
	require.Equal(t, 2, a.ProtoMajor)
	lines := bufio.NewScanner(a.Body)
	heard := func(part string) {
		for lines.Scan() {
			if strings.Contains(lines.Text(), part) {
				return
			}
		}
		require.Fail(t, "the stream ended", "before %q: %v", part, lines.Err())
	}
	heard(`"subscribed"`)
	g.cancel()
	heard(`"moving"`)
	for lines.Scan() {
	}
	require.NoError(t, lines.Err(), "the stream ends in order")
	require.Equal(t, exitDone, g.wait())
	_, err = net.DialTimeout("tcp", g.address(), time.Second)
	require.Error(t, err)
}
