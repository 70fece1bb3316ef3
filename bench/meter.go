package bench

import (
	"fmt"
	"time"

	"github.com/HdrHistogram/hdrhistogram-go"
)

// longest is the longest time that a histogram holds; longer ones count as this.
const longest = 10 * time.Minute

// meter counts what arrives. It belongs to the goroutine that drives the load.
type meter struct {
	delivered  int64
	frames     int64
	bytes      int64
	resets     int64
	disordered int64 // stamps that are not newer than the one before on the same connection

	latency *hdrhistogram.Histogram // µs
	from    int64                   // deliveries of events stamped earlier are not in latency
	plan    *plan                   // nil where no rate is given

	target   int64 // deliveries that complete a connection; 0 for none
	begun    int64 // completion counts from here
	complete int   // connections that have them
}

func newMeter() *meter { return &meter{latency: newHistogram(), from: 1<<63 - 1} }

func newHistogram() *hdrhistogram.Histogram {
	return hdrhistogram.New(1, longest.Microseconds(), 3)
}

func record(h *hdrhistogram.Histogram, nanos, times int64) {
	us := min(max(nanos/1000, 0), longest.Microseconds())
	_ = h.RecordValues(us, times) // within the bounds
}

// count takes the events of a message.
func (m *meter) count(l *link, message []byte, now int64) {
	m.frames++
	for {
		stamp, rest, ok := nextStamp(message)
		if !ok {
			return
		}
		message = rest
		m.delivered++
		if stamp <= l.last {
			m.disordered++
		}
		l.last = stamp
		l.got++
		if l.got == m.target {
			m.complete++
			record(m.latency, now-m.begun, 1)
		}
		if stamp >= m.from {
			record(m.latency, now-stamp, 1)
		}
		if m.plan != nil {
			m.plan.arrived(stamp)
		}
	}
}

// plan is the schedule of an open loop: event n is due at start + n × interval.
type plan struct {
	start    int64
	interval int64
	counts   []int32 // deliveries by event
	sent     int     // events handed to the socket; they are the first
}

func newPlan(start time.Time, rate float64, whole time.Duration) *plan {
	interval := float64(time.Second) / rate
	return &plan{start: start.UnixNano(), interval: max(int64(interval), 1), counts: make([]int32, max(int(float64(whole)/interval), 1))}
}

func (p *plan) due(n int) int64 { return p.start + int64(n)*p.interval }

func (p *plan) arrived(stamp int64) {
	if n := (stamp - p.start) / p.interval; n >= 0 && n < int64(len(p.counts)) {
		p.counts[n]++
	}
}

// settle returns how many deliveries of the events stamped from `from` on are missing at the deadline,
// and records each with the time since it was due. fan is how many deliveries an event should have.
func (p *plan) settle(h *hdrhistogram.Histogram, from, deadline int64, fan int) (missed int64) {
	for n, got := range p.counts {
		if lost := int64(fan) - int64(got); lost > 0 && p.due(n) >= from {
			record(h, deadline-p.due(n), lost)
			missed += lost
		}
	}
	return missed
}

// Percentiles are times in microseconds.
type Percentiles struct {
	P50  int64 `json:"p50_us"`
	P99  int64 `json:"p99_us"`
	P999 int64 `json:"p999_us"`
	Max  int64 `json:"max_us"`
	// Count is how many times were measured.
	Count int64 `json:"count"`
}

// percentiles returns nil where nothing was recorded.
func percentiles(h *hdrhistogram.Histogram) *Percentiles {
	if h.TotalCount() == 0 {
		return nil
	}
	return &Percentiles{
		P50: h.ValueAtQuantile(50), P99: h.ValueAtQuantile(99), P999: h.ValueAtQuantile(99.9),
		Max: h.Max(), Count: h.TotalCount(),
	}
}

func (p *Percentiles) String() string {
	return fmt.Sprintf("p50 %s p99 %s p99.9 %s max %s", micros(p.P50), micros(p.P99), micros(p.P999), micros(p.Max))
}

// micros prints a time with three digits or so.
func micros(us int64) string {
	switch {
	case us < 1000:
		return fmt.Sprintf("%dµs", us)
	case us < 10_000:
		return fmt.Sprintf("%.2fms", float64(us)/1e3)
	case us < 1_000_000:
		return fmt.Sprintf("%.0fms", float64(us)/1e3)
	default:
		return fmt.Sprintf("%.2fs", float64(us)/1e6)
	}
}
