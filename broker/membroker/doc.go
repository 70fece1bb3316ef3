// Package membroker is the embedded engine: channel logs in the memory of one process.
//
// It keeps the whole contract of package broker without Redis: the same offsets, stamps, trimming,
// expiry, idempotency and signals, and it passes the same suite. What it cannot give is a second copy:
// logs end with the process, and every receipt says [namespace.AckStored], also where
// [namespace.AckReplicated] was asked for.
//
// Main path: [NewStore], then [Store.Broker] for each gateway of the process; [Broker.Publish] appends
// under the channel's turn and tells every subscribed broker's sink before it returns.
//
// Concurrency: everything is safe for concurrent use. A channel has two locks. Its turn makes sink
// calls of the channel happen one at a time, in log order, and is the only lock held while a sink runs;
// that is why a sink must not publish. Its mu guards the log and is held for memory operations only,
// so that readers never wait for a sink.
package membroker
