package gateway

import (
	"math"
	"testing"

	"github.com/prometheus/client_golang/prometheus"
	dto "github.com/prometheus/client_model/go"
	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"
)

// TestFineBuckets are those that the library of Prometheus would have counted the same values in.
func TestFineBuckets(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		values := rapid.SliceOfN(rapid.Float64Range(0, 900), 1, 50).Draw(t, "values")
		powers := rapid.SliceOfN(rapid.IntRange(fineLowest-20, 9*fineSteps), 1, 10).Draw(t, "powers")
		for _, p := range powers { // just where buckets end
			values = append(values, math.Exp2(float64(p)/fineSteps))
		}
		theirs := prometheus.NewHistogram(prometheus.HistogramOpts{
			Name: "x", NativeHistogramBucketFactor: 1.1, NativeHistogramZeroThreshold: FineZero,
		})
		ours := newTiming(lagBounds)
		for _, v := range values {
			theirs.Observe(v)
			ours.observe(v)
		}
		var m dto.Metric
		require.NoError(t, theirs.Write(&m))
		require.EqualValues(t, FineSchema, m.GetHistogram().GetSchema())
		h := newHistogram(lagBounds)
		ours.addTo(&h)
		require.Equal(t, m.GetHistogram().GetZeroCount(), h.Zero)
		require.Equal(t, spread(m.GetHistogram()), h.Fine)
		require.InDelta(t, m.GetHistogram().GetSampleSum(), h.Sum, 1e-6)
		total := uint64(0)
		for _, n := range h.Counts {
			total += n
		}
		require.Equal(t, m.GetHistogram().GetSampleCount(), total)
	})
}

// spread returns the buckets of a native histogram that are not empty.
func spread(h *dto.Histogram) map[int]uint64 {
	out := map[int]uint64{}
	at, count, delta := 0, int64(0), 0
	for _, span := range h.GetPositiveSpan() {
		at += int(span.GetOffset())
		for range span.GetLength() {
			count += h.GetPositiveDelta()[delta]
			delta++
			if count > 0 {
				out[at] = uint64(count)
			}
			at++
		}
	}
	return out
}

// TestFineBucketsEnd: whatever the clock says, there is a bucket for it.
func TestFineBucketsEnd(t *testing.T) {
	for _, v := range []float64{-1, 0, math.SmallestNonzeroFloat64, 1e9, math.MaxFloat64, math.Inf(1)} {
		require.NotPanics(t, func() { fineIndex(v) }, v)
	}
	require.Equal(t, fineLast, fineIndex(1e9))
}

func BenchmarkTiming(b *testing.B) {
	h := newTiming(lagBounds)
	for i := 0; b.Loop(); i++ {
		h.observe(float64(i%1000) / 1e5)
	}
}
