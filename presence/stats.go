package presence

// Stats are a tracker's counters since the start, and what it holds now.
type Stats struct {
	// Refreshes counts refreshes of the lease, Incarnations leases taken, Voids leases lost.
	Refreshes, Incarnations, Voids uint64
	// Reaped counts dead incarnations whose reaping this tracker finished.
	Reaped uint64
	// Moved counts writes that came too late: the session was elsewhere.
	Moved uint64
	// Told counts what the gateway told and the tracker took note of.
	Told uint64
	// Batches counts pipelines of writes, Failures operations of the store that failed, Overloaded entries
	// that were refused because of MaxEntries.
	Batches, Failures, Overloaded uint64
	// Changes counts changes heard, Malformed messages that were none, Stale how often the sink was told
	// to take a new snapshot, Overflows how often changes had to be dropped for it.
	Changes, Malformed, Stale, Overflows uint64
	// StalePages counts answers given while the store was away.
	StalePages uint64
	// Entries is the number of entries and sessions held, Members that of the entries alone, Channels that of channels in use, Waiting that
	// of entries that the store does not know yet. Incarnation is that of the lease, 0 without one.
	Entries, Members, Channels, Waiting int
	Incarnation                         uint64
}
