package metrics_test

import (
	"context"
	"fmt"
	"sync"
	"syscall"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/tallywire/tallywire/goclient"
)

// BenchmarkScrape scrapes a gateway with 5,000 connections to 500 channels.
func BenchmarkScrape(b *testing.B) {
	const connections, channels, dialers = 5000, 500, 50
	var limit syscall.Rlimit
	require.NoError(b, syscall.Getrlimit(syscall.RLIMIT_NOFILE, &limit))
	if limit.Cur < 2*connections+200 {
		b.Skipf("needs %d open files, %d are allowed", 2*connections+200, limit.Cur)
	}
	r := newRig(b, nil)
	token := r.token("alice")
	conns := make([]*goclient.Conn, connections)
	var wg sync.WaitGroup
	for d := range dialers {
		wg.Go(func() {
			for i := d; i < connections; i += dialers {
				c, err := goclient.Dial(context.Background(), r.url, token)
				if err != nil {
					b.Error(err)
					return
				}
				conns[i] = c
				_ = c.SendRaw(context.Background(), fmt.Appendf(nil, `{"type":"subscribe","channel":"jobs:%d"}`, i%channels))
			}
		})
	}
	wg.Wait()
	b.Cleanup(func() {
		for _, c := range conns {
			if c != nil {
				c.CloseNow()
			}
		}
	})
	r.untilIs("tallywire_subscriptions", connections)
	b.ReportAllocs()
	b.ResetTimer()
	for b.Loop() {
		r.scrape()
	}
}
