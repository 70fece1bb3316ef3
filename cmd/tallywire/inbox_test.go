package main

import (
	"io"
	"net/http"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/tallywire/tallywire/internal/redistest"
)

// post sends a body and returns the status and the answer.
func post(t *testing.T, url, body string) (int, string) {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, url, strings.NewReader(body))
	require.NoError(t, err)
	req.Header.Set("Content-Type", "application/json")
	req.Header.Set("Authorization", "Bearer alice") // a gateway without keys takes a name for who it is
	resp, err := http.DefaultClient.Do(req)
	require.NoError(t, err)
	defer resp.Body.Close()
	answer, err := io.ReadAll(resp.Body)
	require.NoError(t, err)
	return resp.StatusCode, string(answer)
}

// TestServeTakesFromTheInbox: a gateway takes part in the inbox, unless it is told not to, and gives it away when
// it ends.
func TestServeTakesFromTheInbox(t *testing.T) {
	s := redistest.Start(t)
	add := func() {
		s.Do("XADD", "tw:_inbox", "*", "channel", "jobs:42", "event", `{"type":"job.started","data":{"job_id":"42"}}`)
	}
	published := func() bool { return s.Do("XLEN", "tw:_inbox") == int64(0) }
	add()
	idle := serve(t, nil, "--insecure", "--redis", s.URL(), "--gateway-id", "idle", "--no-inbox")
	first := serve(t, nil, "--insecure", "--redis", s.URL(), "--gateway-id", "first")
	s.Eventually("the first entry", published)
	require.EqualValues(t, 2, s.Do("XLEN", "tw:{jobs:42}"))
	require.True(t, strings.HasPrefix(s.Do("GET", "{tw:_inbox}:lease").(string), "first/"))
	require.Equal(t, exitDone, first.stop())
	require.EqualValues(t, 0, s.Do("EXISTS", "{tw:_inbox}:lease"))
	add()
	second := serve(t, []string{"TALLYWIRE_INBOX=true"}, "--insecure", "--redis", s.URL())
	s.Eventually("the second entry", published)
	require.NotContains(t, idle.stderr.String(), "inbox_active")
	require.Contains(t, second.stderr.String(), "inbox_active")
}

// TestServeKeepsReceipts: a numbered batch is done once, whichever gateway is asked, with either store.
func TestServeKeepsReceipts(t *testing.T) {
	const batch = `{"session":"s1","seq":1,"frames":[{"type":"publish","id":1,"channel":"jobs:42","event":{"type":"test.step"}}]}`
	s := redistest.Start(t)
	for name, gateways := range map[string][]*running{
		"redis": {serve(t, nil, "--insecure", "--redis", s.URL()), serve(t, nil, "--insecure", "--redis", s.URL())},
		"embedded": func() []*running {
			r := serve(t, nil, "--insecure")
			return []*running{r, r}
		}(),
	} {
		status, first := post(t, gateways[0].public+"/v1/commands", batch)
		require.Equal(t, http.StatusOK, status, "%s: %s", name, first)
		require.Contains(t, first, `"published"`)
		status, again := post(t, gateways[1].public+"/v1/commands", batch)
		require.Equal(t, http.StatusOK, status, again)
		require.Equal(t, first, again, name)
		status, problem := post(t, gateways[1].public+"/v1/commands", strings.Replace(batch, `"seq":1`, `"seq":3`, 1))
		require.Equal(t, http.StatusConflict, status, problem)
		require.Contains(t, problem, `"expected":2`)
	}
}
