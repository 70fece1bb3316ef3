// Package mempresence keeps presence in the memory of one process: package presence's contract without
// Redis, for the embedded engine and for tests.
//
// Main path: [NewStore], [Store.Tracker], [Tracker.Run]. Trackers of one store stand to each other as
// gateways that share a Redis: they have leases, and one reaps what another has left.
package mempresence
