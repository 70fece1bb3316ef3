package redisbroker

import (
	"sync/atomic"
	"time"
)

// Stats are counters since the start.
type Stats struct {
	// Reconnects counts pub/sub connections that were replaced; the first is not one.
	Reconnects uint64
	// ProbesSent and ProbesLost count probes; a lost one means that none returned within ProbeTimeout.
	ProbesSent, ProbesLost uint64
	// Probed is when a probe last returned, zero where none has.
	Probed time.Time
	// Doorbells counts messages heard, Malformed those that were none of tw_publish or tw_signal.
	Doorbells, Malformed uint64
	// Published counts publications that Redis acknowledged, Retried those that were sent again.
	Published, Retried uint64
	// Unavailable, Refused and Overloaded count publications by their error.
	Unavailable, Refused, Overloaded uint64
	// Unreplicated counts publications that wanted a replica's acknowledgement and did not get it.
	Unreplicated uint64
	// Batches counts pipelines of publications.
	Batches uint64
	// Audits counts audited channels, AuditsFailed rounds that were broken off.
	Audits, AuditsFailed uint64
	// LibraryLoads counts loads of the library.
	LibraryLoads uint64
	// Subscribed is the number of channels subscribed now, InFlight that of publications.
	Subscribed, InFlight int
}

type counters struct {
	reconnects, probesSent, probesLost, doorbells, malformed atomic.Uint64
	published, retried, unavailable, refused, overloaded     atomic.Uint64
	unreplicated, batches, audits, auditsFailed              atomic.Uint64
}

// Stats returns the counters, of all shards of a cluster together.
func (b *Broker) Stats() Stats {
	c := &b.counters
	s := Stats{
		Reconnects: c.reconnects.Load(),
		ProbesSent: c.probesSent.Load(), ProbesLost: c.probesLost.Load(), Probed: b.state().probed(),
		Doorbells: c.doorbells.Load(), Malformed: c.malformed.Load(),
		Published: c.published.Load(), Retried: c.retried.Load(),
		Unavailable: c.unavailable.Load(), Refused: c.refused.Load(), Overloaded: c.overloaded.Load(),
		Unreplicated: c.unreplicated.Load(), Batches: c.batches.Load(),
		Audits: c.audits.Load(), AuditsFailed: c.auditsFailed.Load(),
	}
	add := func(h *shard) {
		s.LibraryLoads += h.library.Loads()
		s.Subscribed += h.hub.size()
		s.InFlight += h.stored.len() + h.replicated.len()
	}
	if b.cluster != nil {
		s.LibraryLoads = b.library.Loads()
		s.InFlight = b.cluster.detour.len()
		b.cluster.each(add)
	} else {
		add(b.one)
	}
	return s
}
