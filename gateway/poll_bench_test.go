package gateway_test

import (
	"net/http"
	"net/http/httptest"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"
)

// BenchmarkPollsWake measures what a thousand polls cost that wait for one event: to come, to be woken, and
// to be answered, without the network.
func BenchmarkPollsWake(b *testing.B) {
	r := newRig(b, rigOptions{})
	token := r.token("alice", nil)
	at := r.publish("jobs:1", event(0))
	const polls = 1000
	b.ReportAllocs()
	for b.Loop() {
		var all sync.WaitGroup
		for range polls {
			all.Go(func() {
				req := httptest.NewRequestWithContext(b.Context(), http.MethodGet, "/v1/poll?channel=jobs:1@"+at.String(), nil)
				req.Host = "localhost"
				req.Header.Set("Authorization", "Bearer "+token)
				w := httptest.NewRecorder()
				r.gateway.Handler().ServeHTTP(w, req)
				if w.Code != http.StatusOK {
					b.Error(w.Body.String())
				}
			})
		}
		r.eventually("waiting", func() bool { return r.gateway.Overview().Subscriptions == polls })
		next := r.publish("jobs:1", event(1))
		all.Wait()
		require.Equal(b, at.Offset+1, next.Offset)
		at = next
	}
}
