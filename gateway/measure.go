package gateway

import (
	"sync"
	"sync/atomic"
	"time"

	"github.com/tallywire/tallywire/gateway/wire"
	"github.com/tallywire/tallywire/namespace"
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
	// with the event was handed to the connection. Only readers that had caught up once count. Exemplars are of
	// events that are traced.
	Lag Histogram
	// Fanout is the time in seconds that passes over the connections took in which events were handed to any.
	Fanout Histogram
	// Ping is the time in seconds from a ping to a WebSocket until the pong.
	Ping Histogram
	// Namespaces are by the prefix that is configured, "*" for the rest.
	Namespaces map[string]NamespaceMeasures
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

// NamespaceMeasures count the events of a namespace: heard from the store, handed to connections, and accounted
// for without delivery.
type NamespaceMeasures struct{ Heard, Delivered, Skipped uint64 }

// restOfNamespaces is for what no prefix is configured.
const restOfNamespaces = "*"

// End is why connections ended. Both are the gateway's choice among few: nothing that a client sends.
type End struct {
	Code   int // the close code, 1006 where the connection just broke or was dropped
	Reason string
}

// tally counts what has a label.
type tally struct {
	transports map[transport]*transportTally // static

	mu     sync.Mutex // guards the following
	ends   map[End]uint64
	resets map[string]uint64
	pings  timing
	traced exemplars // of the lag
}

type transportTally struct {
	open              atomic.Int64
	accepted, refused atomic.Uint64
}

func newTally() *tally {
	t := &tally{transports: map[transport]*transportTally{}, ends: map[End]uint64{}, resets: map[string]uint64{}, pings: newTiming(pingBounds), traced: newExemplars(lagBounds)}
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

func (t *tally) ponged(after time.Duration) {
	t.mu.Lock()
	t.pings.observe(after.Seconds())
	t.mu.Unlock()
}

func (t *tally) lagged(e Exemplar) {
	t.mu.Lock()
	t.traced.keep(e)
	t.mu.Unlock()
}

// passage counts the events of one namespace that one flusher, which owns it, has handed on.
type passage struct{ delivered, skipped uint64 }

// namespaces returns the options of every namespace by name.
func (g *Gateway) namespaces() map[string]*namespace.Options {
	table := g.options.Namespaces
	out := map[string]*namespace.Options{restOfNamespaces: table.For("")}
	for _, prefix := range table.Prefixes() {
		out[prefix] = table.For(prefix)
	}
	return out
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
		Fanout: newHistogram(fanoutBounds), Ping: newHistogram(pingBounds), Namespaces: map[string]NamespaceMeasures{},
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
	g.tally.pings.addTo(&m.Ping)
	m.Lag.Exemplars = g.tally.traced.all()
	g.tally.mu.Unlock()
	spaces := g.namespaces()
	for name, o := range spaces {
		m.Namespaces[name] = NamespaceMeasures{Heard: g.hub.Heard(o)}
	}
	for _, f := range g.flushers {
		f.ask(func() {
			f.lag.addTo(&m.Lag)
			f.fanout.addTo(&m.Fanout)
			m.Batch.add(&f.batch)
			for name, o := range spaces {
				if p := f.passages[o]; p != nil {
					n := m.Namespaces[name]
					n.Delivered += p.delivered
					n.Skipped += p.skipped
					m.Namespaces[name] = n
				}
			}
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
