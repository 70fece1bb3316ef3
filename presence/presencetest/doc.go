// Package presencetest is the one suite that every implementation of package presence passes.
//
// Main path: [Run] with a [Backend]; [Sink] records what trackers tell. Leases and graces are short here
// ([TTL], [Grace]) and run on real clocks: what must not happen within a time is proved by something else
// that does happen after it, never by waiting.
package presencetest
