package metrics

import (
	"time"

	"github.com/prometheus/client_golang/prometheus"
	dto "github.com/prometheus/client_model/go"

	"github.com/tallywire/tallywire/gateway"
)

// scrape is where one scrape's metrics go.
type scrape struct{ ch chan<- prometheus.Metric }

func (s scrape) gauge(d *prometheus.Desc, v float64, labels ...string) {
	s.ch <- prometheus.MustNewConstMetric(d, prometheus.GaugeValue, v, labels...)
}

func (s scrape) counter(d *prometheus.Desc, v uint64, labels ...string) {
	s.ch <- prometheus.MustNewConstMetric(d, prometheus.CounterValue, float64(v), labels...)
}

// histogram tells a histogram of the gateway's, whose counts are not cumulative, with what it has of exemplars.
func (s scrape) histogram(d *prometheus.Desc, h *gateway.Histogram) {
	buckets := make(map[float64]uint64, len(h.Bounds))
	count := uint64(0)
	for i, n := range h.Counts {
		count += n
		if i < len(h.Bounds) {
			buckets[h.Bounds[i]] = count
		}
	}
	m := prometheus.MustNewConstHistogram(d, count, h.Sum, buckets)
	if h.Fine != nil {
		m = both{m, native(d, count, h)}
	}
	if len(h.Exemplars) > 0 {
		traced := make([]prometheus.Exemplar, len(h.Exemplars))
		for i, e := range h.Exemplars {
			traced[i] = prometheus.Exemplar{Value: e.Value, Labels: prometheus.Labels{"trace_id": e.TraceID}, Timestamp: e.At}
		}
		m = prometheus.MustNewMetricWithExemplars(m, traced...)
	}
	s.ch <- m
}

// native returns the fine buckets as a native histogram.
func native(d *prometheus.Desc, count uint64, h *gateway.Histogram) prometheus.Metric {
	fine := make(map[int]int64, len(h.Fine))
	for i, n := range h.Fine {
		fine[i] = int64(n) //nolint:gosec // a count
	}
	m, err := prometheus.NewConstNativeHistogram(d, count, h.Sum, fine, nil, h.Zero, gateway.FineSchema, gateway.FineZero, time.Time{})
	if err != nil {
		return prometheus.NewInvalidMetric(d, err)
	}
	return m
}

// both is a histogram with the buckets of two: a Prometheus that takes native ones takes those.
type both struct {
	prometheus.Metric // classic

	native prometheus.Metric
}

// Write implements prometheus.Metric.
func (b both) Write(out *dto.Metric) error {
	var n dto.Metric
	if err := b.native.Write(&n); err != nil {
		return err //nolint:wrapcheck // it names the metric
	}
	if err := b.Metric.Write(out); err != nil {
		return err //nolint:wrapcheck // as above
	}
	from, to := n.GetHistogram(), out.GetHistogram()
	to.Schema, to.ZeroThreshold, to.ZeroCount = from.Schema, from.ZeroThreshold, from.ZeroCount
	to.PositiveSpan, to.PositiveDelta = from.PositiveSpan, from.PositiveDelta
	return nil
}

func truth(b bool) float64 {
	if b {
		return 1
	}
	return 0
}
