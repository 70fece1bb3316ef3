package membroker

// Stats counts what a store holds and has done.
type Stats struct {
	// Channels, Entries (genesis entries included), Bytes, IDs and Subscriptions are held now.
	Channels, Entries, IDs, Subscriptions int
	Bytes                                 int64
	// Published, Duplicates and Signals count publications since the start.
	Published, Duplicates, Signals uint64
	// Overloaded counts publications turned away with ErrOverloaded.
	Overloaded uint64
	// Trimmed counts entries that left a log because of MaxLen, Expired the logs that ended by TTL.
	Trimmed, Expired uint64
	// ForgottenIDs counts event ids forgotten before their window had passed (MaxSeen).
	ForgottenIDs uint64
}

// counters are a channel's share of Stats, kept beyond its end by its shard. Guarded by the channel's
// (then the shard's) mu, so that publishing shares no counter between channels.
type counters struct {
	published, duplicates, signals, overloaded, trimmed, expired, forgotten uint64
}

func (c *counters) add(d counters) {
	c.published += d.published
	c.duplicates += d.duplicates
	c.signals += d.signals
	c.overloaded += d.overloaded
	c.trimmed += d.trimmed
	c.expired += d.expired
	c.forgotten += d.forgotten
}

// Stats walks all channels; call it for a scrape, not for a publish.
func (s *Store) Stats() Stats {
	var out Stats
	var sum counters
	for i := range s.shards {
		sh := &s.shards[i]
		sh.mu.RLock()
		sum.add(sh.retired)
		for _, c := range sh.channels {
			c.mu.Lock()
			out.Channels++
			out.Entries += c.log.n
			out.IDs += c.seen.order.n
			out.Subscriptions += len(c.subs)
			sum.add(c.count())
			c.mu.Unlock()
		}
		sh.mu.RUnlock()
	}
	out.Bytes = s.bytes.Load()
	out.Published, out.Duplicates, out.Signals = sum.published, sum.duplicates, sum.signals
	out.Overloaded, out.Trimmed, out.Expired = sum.overloaded, sum.trimmed, sum.expired
	out.ForgottenIDs = sum.forgotten
	return out
}
