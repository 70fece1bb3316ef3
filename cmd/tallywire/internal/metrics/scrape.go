package metrics

import (
	"github.com/prometheus/client_golang/prometheus"

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

// histogram tells a histogram of the gateway's, whose counts are not cumulative.
func (s scrape) histogram(d *prometheus.Desc, h *gateway.Histogram) {
	buckets := make(map[float64]uint64, len(h.Bounds))
	count := uint64(0)
	for i, n := range h.Counts {
		count += n
		if i < len(h.Bounds) {
			buckets[h.Bounds[i]] = count
		}
	}
	s.ch <- prometheus.MustNewConstHistogram(d, count, h.Sum, buckets)
}

func truth(b bool) float64 {
	if b {
		return 1
	}
	return 0
}
