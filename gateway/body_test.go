package gateway_test

import (
	"bufio"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/tallywire/tallywire/gateway"
	"github.com/tallywire/tallywire/gateway/wire"
)

// raw opens a connection, writes text to it, and reads one answer; the rest of the connection follows it.
func (r *rig) raw(text string) (answer, net.Conn, *bufio.Reader) {
	r.t.Helper()
	conn, err := net.Dial("tcp", strings.TrimPrefix(r.url, "http://"))
	require.NoError(r.t, err)
	r.t.Cleanup(func() { _ = conn.Close() })
	require.NoError(r.t, conn.SetDeadline(time.Now().Add(patience)))
	_, err = io.WriteString(conn, text)
	require.NoError(r.t, err)
	in := bufio.NewReader(conn)
	resp, err := http.ReadResponse(in, nil)
	require.NoError(r.t, err)
	defer func() { _ = resp.Body.Close() }()
	body, err := io.ReadAll(resp.Body)
	require.NoError(r.t, err)
	return answer{status: resp.StatusCode, header: resp.Header, body: string(body)}, conn, in
}

func (r *rig) publishHead(token, rest string) string {
	return fmt.Sprintf("POST /v1/publish HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer %s\r\n%s\r\n\r\n", token, rest)
}

// A body that trickles ends the request, whoever waits for it.
func TestBodiesThatDoNotCome(t *testing.T) {
	r := newRig(t, rigOptions{change: func(o *gateway.Options) { o.Limits.BodyTimeout = 50 * time.Millisecond }})
	token := r.token("alice", nil)
	for name, c := range map[string]struct {
		text string
		want int
		code wire.Code
	}{
		"half a body":                  {r.publishHead(token, "Content-Length: 100") + `{"channel":"jobs:1",`, 408, wire.CodeRequestTimeout},
		"nothing of a body":            {r.publishHead(token, "Content-Length: 100"), 408, wire.CodeRequestTimeout},
		"chunks without end":           {r.publishHead(token, "Transfer-Encoding: chunked") + "3\r\n{  \r\n", 408, wire.CodeRequestTimeout},
		"of who may not":               {r.publishHead("forged", "Content-Length: 100") + "{", 401, wire.CodeUnauthorized},
		"where none is read":           {"GET /v1/nothing HTTP/1.1\r\nHost: localhost\r\nContent-Length: 9\r\n\r\n{", 404, wire.CodeNotFound},
		"of a host that is not served": {"POST /v1/publish HTTP/1.1\r\nHost: evil.example\r\nContent-Length: 9\r\n\r\n{", 421, wire.CodeHostNotAllowed},
	} {
		t.Run(name, func(t *testing.T) {
			resp, _, in := r.raw(c.text)
			require.Equal(t, c.want, resp.status, resp.body)
			p := resp.problem(t)
			require.Equal(t, c.code, p.Code)
			require.Equal(t, c.code == wire.CodeRequestTimeout, p.Retry)
			_, err := in.ReadByte()
			require.Error(t, err)
			require.NotErrorIs(t, err, os.ErrDeadlineExceeded, "the connection is closed")
		})
	}
	require.Empty(t, r.history("jobs:1", "").Events)
}

// Once the body is there, the time that it was given no longer matters.
func TestBodiesThatCome(t *testing.T) {
	r := newRig(t, rigOptions{change: func(o *gateway.Options) { o.Limits.BodyTimeout = 100 * time.Millisecond }})
	token := r.token("alice", nil)
	const body = `{"channel":"jobs:1","event":{"type":"x"}}`
	text := r.publishHead(token, fmt.Sprintf("Content-Length: %d", len(body))) + body
	resp, conn, in := r.raw(text)
	require.Equal(t, http.StatusOK, resp.status, resp.body)
	// The next request of the connection begins after that time.
	require.NoError(t, conn.SetReadDeadline(time.Now().Add(150*time.Millisecond)))
	_, err := in.ReadByte()
	require.ErrorIs(t, err, os.ErrDeadlineExceeded, "the connection stays open")
	require.NoError(t, conn.SetReadDeadline(time.Now().Add(patience)))
	_, err = io.WriteString(conn, text)
	require.NoError(t, err)
	again, err := http.ReadResponse(in, nil)
	require.NoError(t, err)
	defer func() { _ = again.Body.Close() }()
	require.Equal(t, http.StatusOK, again.StatusCode)
	require.Len(t, r.history("jobs:1", "").Events, 2)
}

func TestBodiesOfAnotherCoding(t *testing.T) {
	r := newRig(t, rigOptions{})
	for coding, want := range map[string]int{"gzip": 415, "br": 415, "identity": 200, "Identity": 200} {
		resp := r.request(http.MethodPost, "/v1/publish", r.token("alice", nil), http.Header{"Content-Encoding": {coding}},
			strings.NewReader(`{"channel":"jobs:1","event":{"type":"x"}}`))
		require.Equal(t, want, resp.status, resp.body)
		if want != 200 {
			require.Equal(t, wire.CodeUnsupportedMediaType, resp.problem(t).Code)
		}
	}
}
