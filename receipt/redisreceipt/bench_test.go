package redisreceipt_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/tallywire/tallywire/internal/redistest"
	"github.com/tallywire/tallywire/receipt/redisreceipt"
)

// BenchmarkBatch opens and closes batches of one session, one after another.
func BenchmarkBatch(b *testing.B) {
	s := redistest.Start(b)
	book := open(b, s.URL(), redisreceipt.Options{})
	require.NoError(b, book.Load(b.Context()))
	answer := make([]byte, 500)
	b.ResetTimer()
	for i := range b.N {
		seq := uint64(i) + 1
		o, err := book.Open(b.Context(), key, seq)
		require.NoError(b, err)
		require.NoError(b, book.Close(b.Context(), key, seq, o.Token, answer))
	}
}
