package gateway_test

import (
	"net/http"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/tallywire/tallywire/gateway"
	"github.com/tallywire/tallywire/gateway/auth"
	"github.com/tallywire/tallywire/receipt/memreceipt"
)

// TestGuestIsTheSameBySession: at a gateway without keys a guest without a name is whoever has the session,
// on every connection and in every request; else nothing that is kept by user would be found again.
func TestGuestIsTheSameBySession(t *testing.T) {
	anybody, err := auth.New(auth.Options{Insecure: true})
	require.NoError(t, err)
	book, err := memreceipt.New(memreceipt.Options{})
	require.NoError(t, err)
	r := newRig(t, rigOptions{change: func(o *gateway.Options) {
		o.Auth, o.Receipts = anybody, book
	}})
	connect := func(session string) string {
		c := r.dial(nil)
		c.send(`{"type":"connect","session":"%s"}`, session)
		return c.expect("connected").User
	}
	first, again, other := connect("tab-1"), connect("tab-1"), connect("tab-2")
	require.Equal(t, first, again)
	require.NotEqual(t, first, other)
	one, two := connect(""), connect("")
	require.NotEqual(t, one, two)
	batch := `{"session":"tab-1","seq":1,"frames":[{"type":"publish","id":1,"channel":"jobs:1","event":{"type":"x.test"}}]}`
	header := http.Header{"Content-Type": {"application/json"}}
	done := r.request(http.MethodPost, "/v1/commands", "", header, strings.NewReader(batch))
	repeated := r.request(http.MethodPost, "/v1/commands", "", header, strings.NewReader(batch))
	require.Equal(t, http.StatusOK, done.status, done.body)
	require.Equal(t, done.body, repeated.body, "it was done once")
}
