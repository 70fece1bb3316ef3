package gateway

import (
	"sync"
	"sync/atomic"

	"github.com/tallywire/tallywire/gateway/wire"
)

// Measures are what a gateway knows about its connections and deliveries, in sums over all of them: totals
// since the start, and what is so now.
type Measures struct {
	// Transports are by the name that the on-call reads: websocket, sse, poll, commands (sessions that are
	// kept between requests).
	Transports map[string]TransportMeasures
	// Ends are connections that have ended, by why.
	Ends map[End]uint64
	// Resets are by reason, those of tokens that allow less among them.
	Resets map[string]uint64
	// Resumed subscriptions went on after the cursor that they brought, Reset ones could not, Fresh ones
	// brought none.
	Resumed, Reset, Fresh uint64
	// BytesIn is of client messages and request bodies, BytesOut of messages written.
	BytesIn, BytesOut uint64
	// Lag is the time in seconds from the publish (the entry's stamp, the store's clock) until the message
	// with the event was handed to the connection. Only readers that had caught up once count.
	Lag Histogram
	// Batch is how many events a message has.
	Batch Histogram
	// Farthest is how many events the reader that is farthest behind has still to get.
	Farthest uint64
}

// TransportMeasures are those of one transport.
type TransportMeasures struct {
	Open              int64
	Accepted, Refused uint64 // Refused: no room, draining, or a token that is not accepted
}

// End is why connections ended. Both are the gateway's choice among few: nothing that a client sends.
type End struct {
	Code   int // the close code, 1006 where the connection just broke or was dropped
	Reason string
}

// Histogram counts values in buckets. Its layout is fixed.
type Histogram struct {
	Bounds []float64 // upper, inclusive; beyond the last is one more bucket
	Counts []uint64  // one more than Bounds; not cumulative
	Sum    float64
}

var (
	lagBounds   = []float64{.001, .0025, .005, .01, .025, .05, .1, .25, .5, 1, 2.5, 5, 10, 30}
	batchBounds = []float64{1, 2, 5, 10, 25, 50, 100, 250, 1000}
)

func newHistogram(bounds []float64) Histogram {
	return Histogram{Bounds: bounds, Counts: make([]uint64, len(bounds)+1)}
}

func (h *Histogram) observe(v float64) {
	i := 0
	for i < len(h.Bounds) && v > h.Bounds[i] {
		i++
	}
	h.Counts[i]++
	h.Sum += v
}

func (h *Histogram) add(other *Histogram) {
	for i, n := range other.Counts {
		h.Counts[i] += n
	}
	h.Sum += other.Sum
}

// tally counts what has a label.
type tally struct {
	transports map[transport]*transportTally // static

	mu     sync.Mutex // guards the following
	ends   map[End]uint64
	resets map[string]uint64
}

type transportTally struct {
	open              atomic.Int64
	accepted, refused atomic.Uint64
}

func newTally() *tally {
	t := &tally{transports: map[transport]*transportTally{}, ends: map[End]uint64{}, resets: map[string]uint64{}}
	for _, name := range []transport{transportWebSocket, transportSSE, transportPoll, transportCommands} {
		t.transports[name] = &transportTally{}
	}
	for _, code := range []int{
		closedByPeer, wire.CloseNormal, wire.CloseTooBig, wire.CloseInternal, wire.CloseRestart, wire.CloseUnauthorized,
		wire.CloseConnectTimeout, wire.CloseTooManyErrors, droppedSlow, droppedSilent,
	} {
		t.ends[endOf(code)] = 0
	}
	for _, r := range wire.Reasons() {
		t.resets[r.Reason] = 0
	}
	return t
}

// Ends without a close code of ours.
const (
	closedByPeer  = 0
	droppedSlow   = -1
	droppedSilent = -2
	abnormal      = 1006
)

func endOf(code int) End {
	switch code {
	case closedByPeer:
		return End{abnormal, "client"}
	case droppedSlow:
		return End{abnormal, "slow_consumer"}
	case droppedSilent:
		return End{abnormal, "silent"}
	case wire.CloseNormal:
		return End{code, "normal"}
	case wire.CloseTooBig:
		return End{code, "too_big"}
	case wire.CloseInternal:
		return End{code, "internal"}
	case wire.CloseRestart:
		return End{code, "restart"}
	case wire.CloseUnauthorized:
		return End{code, "unauthorized"}
	case wire.CloseConnectTimeout:
		return End{code, "connect_timeout"}
	case wire.CloseTooManyErrors:
		return End{code, "too_many_errors"}
	default:
		return End{abnormal, "other"}
	}
}

func (t *tally) ended(code int) {
	t.mu.Lock()
	t.ends[endOf(code)]++
	t.mu.Unlock()
}

func (g *Gateway) countReset(reason string) {
	g.counters.Resets.Add(1)
	g.tally.mu.Lock()
	g.tally.resets[reason]++
	g.tally.mu.Unlock()
}

// Measures returns the measures. It asks the flushers, which takes them a moment each.
func (g *Gateway) Measures() Measures {
	n := &g.counters
	m := Measures{
		Transports: map[string]TransportMeasures{}, Ends: map[End]uint64{}, Resets: map[string]uint64{},
		Resumed: n.Resumed.Load(), Reset: n.ResumeResets.Load(), Fresh: n.Fresh.Load(),
		BytesIn: n.BytesIn.Load(), BytesOut: n.Bytes.Load(),
		Lag: newHistogram(lagBounds), Batch: newHistogram(batchBounds),
	}
	for name, t := range g.tally.transports {
		m.Transports[string(name)] = TransportMeasures{Open: t.open.Load(), Accepted: t.accepted.Load(), Refused: t.refused.Load()}
	}
	g.tally.mu.Lock()
	for end, n := range g.tally.ends {
		m.Ends[end] = n
	}
	for reason, n := range g.tally.resets {
		m.Resets[reason] = n
	}
	g.tally.mu.Unlock()
	for _, f := range g.flushers {
		f.ask(func() {
			m.Lag.add(&f.lag)
			m.Batch.add(&f.batch)
			for _, t := range f.byRelay {
				head := t.relay.Head().Offset
				for _, s := range t.subs {
					if at := s.pos.Cursor.Offset; head > at {
						m.Farthest = max(m.Farthest, head-at)
					}
				}
			}
		})
	}
	return m
}
