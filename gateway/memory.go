package gateway

import (
	"context"
	"runtime/debug"
	"time"
)

// A handshake leaves several times more garbage behind than an idle connection keeps, and stacks that
// are larger than it needs. Left alone, the process holds that until it has allocated as much again. So
// once a burst of connections is over, the gateway collects once and returns the memory.
const (
	burstConnections = 500
	burstQuiet       = time.Second
	burstPause       = 15 * time.Second
)

// releaseLoop returns memory after bursts of connections, until ctx ends.
func (g *Gateway) releaseLoop(ctx context.Context) {
	tick := time.NewTicker(burstQuiet)
	defer tick.Stop()
	var seen, released uint64 // accepted connections at the last tick, and at the last release
	var last time.Time
	for {
		select {
		case now := <-tick.C:
			accepted := g.counters.Accepted.Load()
			quiet := accepted-seen < burstConnections/20
			seen = accepted
			if quiet && accepted-released >= burstConnections && now.Sub(last) >= burstPause {
				released, last = accepted, now
				debug.FreeOSMemory()
			}
		case <-ctx.Done():
			return
		}
	}
}
