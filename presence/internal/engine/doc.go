// Package engine is what all trackers have in common: it remembers what the gateway told, brings a
// [Store] up to it, holds the lease, ends grace periods and reaps dead gateways. The stores decide; each of
// their operations is atomic for one channel and may be repeated.
//
// Main path: [Engine.Enter] → table → writer → [Store].Apply. Beside it run the lease, the reaper and the
// grace timers, all owned by [Engine.Run].
//
// # How nothing stays behind
//
// Before a gateway writes to a channel it lists the channel under its incarnation (Store.List), and
// unlists it only when nothing of its own is left there. So whoever reaps an incarnation finds every
// channel that may hold something of it. Reaping first closes the list, then fences every channel: a
// command of the dead incarnation that arrives late is refused. Sessions whose grace is not over pass to
// the reaper, who has listed their channels before. The incarnation is forgotten when all is done; a
// reaper that dies in between leaves the rest to the next.
package engine
