package gateway

import (
	"math"
	"slices"
	"time"
)

// Histogram counts values in buckets. Its layout is fixed.
type Histogram struct {
	Bounds []float64 // upper, inclusive; beyond the last is one more bucket
	Counts []uint64  // one more than Bounds; not cumulative
	Sum    float64
	// Fine, where it is not nil, counts the same values in buckets that grow by an eighth root of two: bucket i
	// ends at 2^(i/8). It has those only that are not empty. Values up to FineZero are in Zero.
	Fine map[int]uint64
	Zero uint64
	// Exemplars are traces of some of the values, at most one for each of Counts.
	Exemplars []Exemplar
}

// Exemplar is a value whose trace can be looked up.
type Exemplar struct {
	Value   float64
	TraceID string
	At      time.Time
}

var (
	lagBounds    = []float64{.001, .0025, .005, .01, .025, .05, .1, .25, .5, 1, 2.5, 5, 10, 30}
	batchBounds  = []float64{1, 2, 5, 10, 25, 50, 100, 250, 1000}
	fanoutBounds = []float64{1e-6, 2.5e-6, 5e-6, 1e-5, 2.5e-5, 5e-5, 1e-4, 2.5e-4, 5e-4, .001, .0025, .005, .01, .025, .05, .1, .25, 1}
	pingBounds   = []float64{.001, .0025, .005, .01, .025, .05, .1, .25, .5, 1, 2.5, 5, 10, 30}
)

func newHistogram(bounds []float64) Histogram {
	return Histogram{Bounds: bounds, Counts: make([]uint64, len(bounds)+1)}
}

func (h *Histogram) observe(v float64) {
	h.Counts[bucket(h.Bounds, v)]++
	h.Sum += v
}

// bucket returns the index of the bucket that a value is in.
func bucket(bounds []float64, v float64) int {
	i := 0
	for i < len(bounds) && v > bounds[i] {
		i++
	}
	return i
}

func (h *Histogram) add(other *Histogram) {
	for i, n := range other.Counts {
		h.Counts[i] += n
	}
	h.Sum += other.Sum
}

// The fine buckets are those of Prometheus' native histograms with FineSchema, from a microsecond to a quarter of
// an hour.
const (
	FineSchema = 3
	FineZero   = 1.0 / (1 << 20)

	fineSteps  = 1 << FineSchema // to the next power of two
	fineLowest = -20 * fineSteps // of FineZero
	fineLast   = 30 * fineSteps
)

// fineBounds are 2^(i/8) from a half on, rounded as Prometheus has them.
var fineBounds = [fineSteps]float64{
	0.5, 0.5452538663326288, 0.5946035575013605, 0.6484197773255048,
	0.7071067811865475, 0.7711054127039704, 0.8408964152537144, 0.9170040432046711,
}

// timing is a histogram of seconds with fine buckets. It belongs to one goroutine, or is guarded.
type timing struct {
	coarse Histogram
	fine   [fineLast + 1]uint64 // the first is of what is not above FineZero, the last of all that is longer
}

func newTiming(bounds []float64) timing { return timing{coarse: newHistogram(bounds)} }

func (t *timing) observe(seconds float64) {
	t.coarse.observe(seconds)
	t.fine[fineIndex(seconds)]++
}

func fineIndex(v float64) int {
	if v <= FineZero {
		return 0
	}
	fraction, exponent := math.Frexp(v)
	i := 0
	for i < fineSteps && fraction > fineBounds[i] {
		i++
	}
	return min(i+(exponent-1)*fineSteps-fineLowest, fineLast)
}

// addTo adds what was observed to a histogram with the same bounds.
func (t *timing) addTo(h *Histogram) {
	h.add(&t.coarse)
	if h.Fine == nil {
		h.Fine = map[int]uint64{}
	}
	h.Zero += t.fine[0]
	for i, n := range t.fine[1:] {
		if n > 0 {
			h.Fine[i+1+fineLowest] += n
		}
	}
}

// exemplars keeps the last trace of each bucket. The caller guards it.
type exemplars struct {
	bounds []float64
	last   []Exemplar
}

func newExemplars(bounds []float64) exemplars {
	return exemplars{bounds: bounds, last: make([]Exemplar, len(bounds)+1)}
}

func (x *exemplars) keep(e Exemplar) { x.last[bucket(x.bounds, e.Value)] = e }

func (x *exemplars) all() []Exemplar {
	return slices.DeleteFunc(slices.Clone(x.last), func(e Exemplar) bool { return e.TraceID == "" })
}
