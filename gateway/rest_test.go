package gateway_test

import (
	"context"
	"encoding/json"
	"io"
	"net/http"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/tallywire/tallywire/gateway/wire"
)

// answer is an HTTP answer, read to its end.
type answer struct {
	status int
	header http.Header
	body   string
}

// problem returns the answer as the problem detail that it must be.
func (a answer) problem(t *testing.T) wire.Problem {
	t.Helper()
	require.Equal(t, "application/problem+json", a.header.Get("Content-Type"), a.body)
	var p wire.Problem
	require.NoError(t, json.Unmarshal([]byte(a.body), &p))
	require.Equal(t, a.status, p.Status)
	require.Equal(t, "about:blank", p.Type)
	require.Equal(t, http.StatusText(a.status), p.Title)
	require.NotEmpty(t, p.Detail)
	return p
}

// decode reads the answer, which must be JSON.
func (a answer) decode(t *testing.T, v any) {
	t.Helper()
	require.Equal(t, "application/json", a.header.Get("Content-Type"), a.body)
	require.NoError(t, json.Unmarshal([]byte(a.body), v), a.body)
}

// post publishes over HTTP.
func (r *rig) post(token, body string) answer {
	r.t.Helper()
	return r.request(http.MethodPost, "/v1/publish", token, nil, strings.NewReader(body))
}

func (r *rig) get(path, token string, header http.Header) answer {
	r.t.Helper()
	return r.request(http.MethodGet, path, token, header, nil)
}

// request makes a request. A header Host is the request's host.
func (r *rig) request(method, path, token string, header http.Header, body io.Reader) answer {
	r.t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, method, r.url+path, body)
	require.NoError(r.t, err)
	for name, values := range header {
		req.Header[name] = values
	}
	if host := header.Get("Host"); host != "" {
		req.Host = host
	}
	if token != "" {
		req.Header.Set("Authorization", "Bearer "+token)
	}
	resp, err := r.http.Do(req)
	require.NoError(r.t, err)
	defer func() { _ = resp.Body.Close() }()
	text, err := io.ReadAll(resp.Body)
	require.NoError(r.t, err)
	return answer{status: resp.StatusCode, header: resp.Header, body: string(text)}
}

// upgrade asks for a WebSocket, and hangs up once it is answered.
func (r *rig) upgrade(header http.Header) answer {
	r.t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, r.url+"/v1/ws", nil)
	require.NoError(r.t, err)
	req.Header = header
	if host := header.Get("Host"); host != "" {
		req.Host = host
	}
	resp, err := r.http.Do(req)
	require.NoError(r.t, err)
	defer func() { _ = resp.Body.Close() }()
	a := answer{status: resp.StatusCode, header: resp.Header}
	if resp.StatusCode != http.StatusSwitchingProtocols {
		text, err := io.ReadAll(resp.Body)
		require.NoError(r.t, err)
		a.body = string(text)
	}
	return a
}
