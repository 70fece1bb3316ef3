package main

import (
	"bufio"
	"encoding/json"
	"fmt"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/coder/websocket"
	"github.com/stretchr/testify/require"
)

// remotes are the addresses that the gateway knows a user's sessions by.
func remotes(t *testing.T, g *running, user string) (out []string) {
	t.Helper()
	admin := mint(t, "--user", "ops", "--admin")
	a := get(t, g.admin+"/admin/v1/users/"+user+"/sessions", func(r *http.Request) { r.Header.Set("Authorization", "Bearer "+admin) })
	require.Equal(t, http.StatusOK, a.status, a.body)
	var said struct{ Sessions []struct{ Remote string } }
	require.NoError(t, json.Unmarshal([]byte(a.body), &said))
	for _, s := range said.Sessions {
		out = append(out, s.Remote)
	}
	return out
}

// connectAs opens a WebSocket over a connection that says something first, and returns the gateway's word on
// where it comes from.
func connectAs(t *testing.T, g *running, user, first string, header http.Header) []string {
	t.Helper()
	conn, err := net.Dial("tcp", strings.TrimPrefix(g.public, "http://"))
	require.NoError(t, err)
	_, err = conn.Write([]byte(first))
	require.NoError(t, err)
	client := &http.Client{Transport: &http.Transport{Dial: func(string, string) (net.Conn, error) { return conn, nil }}}        //nolint:staticcheck // made already
	ws, _, err := websocket.Dial(t.Context(), g.public+"/v1/ws", &websocket.DialOptions{HTTPClient: client, HTTPHeader: header}) //nolint:bodyclose // an upgrade has none
	require.NoError(t, err)
	defer ws.CloseNow()
	token := mint(t, "--user", user, "--subscribe", "*")
	require.NoError(t, ws.Write(t.Context(), websocket.MessageText, fmt.Appendf(nil, `{"type":"connect","token":%q}`, token)))
	_, message, err := ws.Read(t.Context())
	require.NoError(t, err)
	require.Contains(t, string(message), `"connected"`)
	return remotes(t, g, user)
}

const (
	proxyV1 = "PROXY TCP4 203.0.113.9 198.51.100.1 56324 443\r\n"
	proxyV2 = "\r\n\r\n\x00\r\nQUIT\n\x21\x11\x00\x0c\xcb\x00\x71\x0a\xc6\x33\x64\x01\xdc\x04\x01\xbb"
	// localV2 is what a proxy says that asks for itself, as of its health checks.
	localV2 = "\r\n\r\n\x00\r\nQUIT\n\x20\x00\x00\x00"
)

func TestProxyProtocol(t *testing.T) {
	g := serve(t, []string{"TALLYWIRE_AUTH_SECRET=" + secret}, "--trusted-proxies", "10.0.0.0/8,127.0.0.1", "--proxy-protocol")
	require.Equal(t, []string{"203.0.113.9"}, connectAs(t, g, "alice", proxyV1, nil))
	require.Equal(t, []string{"203.0.113.10"}, connectAs(t, g, "bob", proxyV2, nil))
	require.Equal(t, []string{"127.0.0.1"}, connectAs(t, g, "carol", localV2, nil))
	forwarded := http.Header{"X-Forwarded-For": {"192.0.2.1"}}
	require.Equal(t, []string{"203.0.113.9"}, connectAs(t, g, "dave", proxyV1, forwarded), "the client is no proxy")
	require.Equal(t, []string{"192.0.2.1"}, connectAs(t, g, "erin", localV2, forwarded), "the proxy itself is")
	for _, wrong := range []string{"", "PROXY TCP4 one two 3 4\r\n", "PROXY", proxyV2[:12], "\x00\x00\x00"} {
		require.Empty(t, answered(t, g, wrong), "a proxy that does not speak the protocol gets no answer: %q", wrong)
	}
	require.Equal(t, exitDone, g.stop())
}

// TestProxyProtocolOfStrangers: who is no trusted proxy gains nothing by what it says.
func TestProxyProtocolOfStrangers(t *testing.T) {
	for _, args := range [][]string{
		{"--trusted-proxies", "10.0.0.0/8,::1", "--proxy-protocol"},
		{"--trusted-proxies", "127.0.0.1"},
		nil,
	} {
		g := serve(t, []string{"TALLYWIRE_AUTH_SECRET=" + secret}, args...)
		for _, first := range []string{proxyV1, proxyV2} {
			require.Contains(t, answered(t, g, first), "400 Bad Request", "%v", args)
		}
		want := []string{"127.0.0.1"}
		if len(args) == 2 {
			want = []string{"192.0.2.1"}
		}
		require.Equal(t, want, connectAs(t, g, "alice", "", http.Header{"X-Forwarded-For": {"192.0.2.1"}}), "%v", args)
		require.Equal(t, exitDone, g.stop())
	}
}

// answered is the first line that the gateway answers to a request after something else, "" where it hangs up.
func answered(t *testing.T, g *running, first string) string {
	t.Helper()
	conn, err := net.Dial("tcp", strings.TrimPrefix(g.public, "http://"))
	require.NoError(t, err)
	defer conn.Close()
	require.NoError(t, conn.SetDeadline(time.Now().Add(20*time.Second)))
	_, err = conn.Write([]byte(first + "GET /healthz HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n"))
	require.NoError(t, err)
	line, _ := bufio.NewReader(conn).ReadString('\n')
	return line
}
