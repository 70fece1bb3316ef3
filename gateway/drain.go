package gateway

import (
	"math/rand/v2"
	"time"

	"github.com/tallywire/tallywire/gateway/wire"
)

// drain tells every connection to move, each after its own part of the window, and closes at the end
// of the window those that are still there.
func (g *Gateway) drain() {
	g.refuseNew()
	window := g.options.DrainWindow
	g.options.Log.Info().Str("event", "drain_started").Dur("window", window).
		Int64("connections", g.open.Load()).Msg("draining")
	for _, f := range g.flushers {
		f.call(func() {
			for _, c := range f.conns {
				c.out.move(f, time.Duration(rand.Int64N(int64(window))))
			}
		})
	}
	deadline := time.NewTimer(window + window/4)
	defer deadline.Stop()
	tick := time.NewTicker(50 * time.Millisecond)
	defer tick.Stop()
	for g.open.Load() > 0 {
		select {
		case <-tick.C:
		case <-deadline.C:
			g.closeAll()
			return
		}
	}
	g.closeAll() // what is kept of sessions between their requests
}

// closeAll closes every connection with 1012.
func (g *Gateway) closeAll() {
	g.refuseNew()
	for _, f := range g.flushers {
		f.call(func() {
			f.stopped = true
			for _, c := range f.conns {
				c.shut(wire.CloseRestart, "gateway is restarting")
			}
		})
	}
}
