package test

import (
	"bufio"
	"context"
	"crypto/tls"
	"encoding/json"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/tallywire/tallywire/gateway/auth"
	"github.com/tallywire/tallywire/goclient"
	"github.com/tallywire/tallywire/internal/programtest"
	"github.com/tallywire/tallywire/internal/redistest"
	"github.com/tallywire/tallywire/internal/tlstest"
)

// whole puts a certificate and its key into one file, as HAProxy wants them.
func whole(t *testing.T, p tlstest.Pair) string {
	t.Helper()
	cert, err := os.ReadFile(p.CertFile)
	require.NoError(t, err)
	key, err := os.ReadFile(p.KeyFile)
	require.NoError(t, err)
	path := filepath.Join(t.TempDir(), "tallywire.pem")
	require.NoError(t, os.WriteFile(path, append(cert, key...), 0o600)) //nolint:gosec // in a folder of the test
	return path
}

// from is an HTTP client that trusts an authority and comes from one of this machine's addresses.
func from(t *testing.T, address string, authority *tlstest.Authority) *http.Client {
	t.Helper()
	dialer := net.Dialer{LocalAddr: &net.TCPAddr{IP: net.ParseIP(address)}}
	transport := &http.Transport{
		DialContext: dialer.DialContext, TLSClientConfig: &tls.Config{RootCAs: authority.Pool}, ForceAttemptHTTP2: true,
	}
	t.Cleanup(transport.CloseIdleConnections)
	return &http.Client{Transport: transport}
}

// ask makes a request and returns the answer's status and protocol, and its body.
func ask(t *testing.T, client *http.Client, method, url, body string, header http.Header) (status, protocol int, text string) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	q, err := http.NewRequestWithContext(ctx, method, url, strings.NewReader(body))
	require.NoError(t, err)
	q.Header = header
	a, err := client.Do(q)
	require.NoError(t, err)
	defer a.Body.Close()
	read, err := io.ReadAll(a.Body)
	require.NoError(t, err)
	return a.StatusCode, a.ProtoMajor, string(read)
}

// TestBehindHAProxyWithTLS: HAProxy terminates TLS, with the configuration that is shipped. Clients use wss, and
// HTTP/2 for all else; gateways that trust the proxy know them by their own addresses.
func TestBehindHAProxyWithTLS(t *testing.T) {
	authority := tlstest.New(t)
	server := redistest.Start(t)
	admin := programtest.FreeAddr(t)
	var gateways []*process
	for i := range 3 {
		args := []string{"--redis", server.URL(), "--trusted-proxies", "127.0.0.1"}
		if i == 0 {
			args = append(args, "--admin-listen", admin)
		}
		gateways = append(gateways, startGateway(t, "gw-"+itoa(i+1), args...).awaitReady())
	}
	front := startHAProxyBinding(t, "ssl crt "+whole(t, authority.Issue(t, tlstest.Leaf{}))+" alpn h2,http/1.1", gateways...)
	const home = "127.0.0.5"
	client := from(t, home, authority)
	bearer := http.Header{"Authorization": {"Bearer " + token(t, "alice")}, "Content-Type": {"application/json"}}

	got := make(chan string, 10)
	socket, err := goclient.New(goclient.Options{
		URL: "wss://" + front, Token: token(t, "alice"), HTTPClient: from(t, home, authority),
	})
	require.NoError(t, err)
	_, err = socket.Subscribe("jobs:1", goclient.SubscribeOptions{Handler: goclient.Handler{
		OnEvent: func(_ context.Context, e goclient.Event) { got <- string(e.Raw) },
	}})
	require.NoError(t, err)
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() { ended <- socket.Run(ctx) }()
	stream, err := http.NewRequestWithContext(t.Context(), http.MethodGet, "https://"+front+"/v1/sse?channel=jobs:1@0", nil)
	require.NoError(t, err)
	stream.Header = bearer
	a, err := client.Do(stream)
	require.NoError(t, err)
	defer a.Body.Close()
	require.Equal(t, 2, a.ProtoMajor)

	require.Eventually(t, func() bool { return strings.Count(sessionsOf(t, admin, "alice"), home) >= 2 }, patience, poll,
		"the gateways know both by the address that the proxy says")
	status, protocol, text := ask(t, client, http.MethodPost, "https://"+front+"/v1/publish",
		`{"channel":"jobs:1","event":{"type":"x","data":{"n":7}}}`, bearer)
	require.Equal(t, []int{http.StatusOK, 2}, []int{status, protocol}, text)
	select {
	case raw := <-got:
		require.Contains(t, raw, `"n":7`)
	case <-time.After(patience):
		require.Fail(t, "nothing came over the WebSocket")
	}
	lines := bufio.NewScanner(a.Body)
	for lines.Scan() && !strings.Contains(lines.Text(), `"n":7`) {
	}
	require.NoError(t, lines.Err())

	// The proxy says that the way was TLS: a plain page of the same host is another origin.
	for origin, want := range map[string]int{"https://" + front: http.StatusOK, "http://" + front: http.StatusForbidden} {
		header := bearer.Clone()
		header.Set("Origin", origin)
		header.Set("X-Forwarded-Proto", "http") // which the proxy overwrites
		header.Set("X-Forwarded-For", "203.0.113.1")
		status, _, text := ask(t, client, http.MethodGet, "https://"+front+"/v1/channels/jobs:1/events", "", header)
		require.Equal(t, want, status, "%s: %s", origin, text)
	}
	cancel()
	require.NoError(t, <-ended)
	_, err = tls.Dial("tcp", front, &tls.Config{RootCAs: authority.Pool, ServerName: "events.example.com"})
	require.ErrorContains(t, err, "not events.example.com")
	_, err = tls.Dial("tcp", front, &tls.Config{RootCAs: authority.Pool, MinVersion: tls.VersionTLS10, MaxVersion: tls.VersionTLS10}) //nolint:gosec // which is to fail
	require.Error(t, err)
}

// sessionsOf asks the admin API where a user is connected.
func sessionsOf(t *testing.T, admin, user string) string {
	t.Helper()
	operator, err := auth.Mint([]byte(secret), auth.Claims{
		User: "ops", Audience: "tallywire-admin", Permissions: auth.Permissions{Admin: true},
	}, time.Hour)
	require.NoError(t, err)
	status, _, text := ask(t, http.DefaultClient, http.MethodGet, "http://"+admin+"/admin/v1/users/"+user+"/sessions", "",
		http.Header{"Authorization": {"Bearer " + operator}})
	require.Equal(t, http.StatusOK, status, text)
	require.True(t, json.Valid([]byte(text)))
	return text
}

// TestCertificateFollowsItsFiles: a gateway in a process of its own takes over renewed files by itself, and at
// once when it is told to.
func TestCertificateFollowsItsFiles(t *testing.T) {
	authority := tlstest.New(t)
	pair := authority.Issue(t, tlstest.Leaf{})
	p := startGateway(t, "gw-1", "--tls-cert", pair.CertFile, "--tls-key", pair.KeyFile)
	serial := func() string {
		conn, err := tls.Dial("tcp", p.addr, &tls.Config{RootCAs: authority.Pool})
		if err != nil {
			return ""
		}
		defer func() { _ = conn.Close() }()
		return conn.ConnectionState().PeerCertificates[0].SerialNumber.String()
	}
	require.Eventually(t, func() bool { return serial() != "" }, patience, poll)
	first := serial()
	authority.Renew(t, pair, tlstest.Leaf{})
	require.Eventually(t, func() bool { return serial() != first }, patience, poll, "by itself, within seconds")
	second := serial()
	authority.Renew(t, pair, tlstest.Leaf{})
	p.signal(hangup)
	require.Eventually(t, func() bool { return serial() != second }, patience, poll)
	p.stop()
	require.True(t, p.cmd.ProcessState.Success(), p.cmd.ProcessState)
}
