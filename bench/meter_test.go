package bench

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

func stamped(stamps ...int64) []byte {
	var b []byte
	for _, s := range stamps {
		b = newEventText(3).appendEvent(b, s)
	}
	return b
}

const base = int64(1732441234000000000)

func TestMeter_Counts(t *testing.T) {
	m := newMeter()
	m.from = base + 2
	l := &link{}
	m.count(l, stamped(base+1, base+2, base+3), base+3+int64(time.Millisecond))
	m.count(l, stamped(base+3, base+2), base+4+int64(time.Millisecond))

	require.EqualValues(t, 5, m.delivered)
	require.EqualValues(t, 5, l.got)
	require.EqualValues(t, 2, m.frames)
	require.EqualValues(t, 2, m.disordered, "one repeated, one older than that before")
	require.EqualValues(t, 4, m.latency.TotalCount(), "not the one from before the measurement")
	require.InDelta(t, 1000, m.latency.ValueAtQuantile(50), 1)
}

func TestMeter_CompletesALinkOnce(t *testing.T) {
	m := newMeter()
	m.target, m.begun = 2, base
	l := &link{}
	m.count(l, stamped(base+1), base+10)
	require.Zero(t, m.complete)
	m.count(l, stamped(base+2, base+3), base+int64(time.Second))
	require.Equal(t, 1, m.complete)
	require.EqualValues(t, 1, m.latency.TotalCount())
	require.InDelta(t, 1e6, m.latency.Max(), 1e3)
}

func TestPercentiles(t *testing.T) {
	h := newHistogram()
	require.Nil(t, percentiles(h))
	for i := range int64(1000) {
		record(h, (i+1)*int64(time.Millisecond), 1)
	}
	p := percentiles(h)
	require.InEpsilon(t, 500_000, p.P50, 0.002)
	require.InEpsilon(t, 990_000, p.P99, 0.002)
	require.InEpsilon(t, 999_000, p.P999, 0.002)
	require.InEpsilon(t, 1_000_000, p.Max, 0.002)
	require.EqualValues(t, 1000, p.Count)

	record(h, int64(48*time.Hour), 1)
	record(h, -5, 1)
	require.EqualValues(t, 1002, percentiles(h).Count, "times beyond the bounds are counted at the bounds")
}

func TestPlan_CountsWhatIsMissing(t *testing.T) {
	start := time.Unix(0, base)
	p := newPlan(start, 10, time.Second)
	require.Len(t, p.counts, 10)
	require.Equal(t, base+300*int64(time.Millisecond), p.due(3))

	m := newMeter()
	m.plan = p
	for n := range 10 {
		switch n {
		case 4: // reached one of three
			m.count(&link{}, stamped(p.due(n)), p.due(n))
		case 7: // reached nobody
		default:
			for range 3 {
				m.count(&link{}, stamped(p.due(n)), p.due(n))
			}
		}
	}
	h := newHistogram()
	deadline := base + 5*int64(time.Second)
	require.EqualValues(t, 5, p.settle(h, base, deadline, 3))
	require.EqualValues(t, 5, h.TotalCount())
	require.InEpsilon(t, 4_600_000, h.Max(), 0.002, "waited for from when it was due until the deadline")
	require.InEpsilon(t, 4_300_000, h.Min(), 0.002)

	require.EqualValues(t, 3, p.settle(newHistogram(), p.due(5), deadline, 3), "what was due before the measurement is not missed")
}

func TestPlan_IgnoresForeignStamps(t *testing.T) {
	p := newPlan(time.Unix(0, base), 10, time.Second)
	p.arrived(base - int64(time.Hour))
	p.arrived(base + int64(time.Hour))
	for _, n := range p.counts {
		require.Zero(t, n)
	}
}
