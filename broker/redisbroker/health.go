package redisbroker

import (
	"sync"
	"time"

	"github.com/tallywire/tallywire/broker"
)

// health is what the sink was last told. The sink's Health is called under mu: one at a time, in the
// order of the changes.
type health struct {
	mu   sync.Mutex
	sink broker.Sink   // guarded by mu; nil before Run
	now  broker.Health // guarded by mu
	last time.Time     // guarded by mu: when a probe last returned
}

// startingReason is the reason of whoever has not been well yet.
const startingReason = "starting"

func (h *health) begin(sink broker.Sink) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.sink = sink
	h.now = broker.Health{Reason: startingReason, Since: time.Now()}
	sink.Health(h.now)
}

// ok tells that a probe returned.
func (h *health) ok(roundTrip time.Duration) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if !h.now.OK {
		h.now = broker.Health{OK: true, Since: time.Now()}
	}
	h.now.RoundTrip, h.last = roundTrip, time.Now()
	h.sink.Health(h.now)
}

// fail tells that the path is broken; the same reason again is not told.
func (h *health) fail(reason string) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if !h.now.OK && h.now.Reason == reason {
		return
	}
	if h.now.OK {
		h.now.Since = time.Now()
	}
	h.now.OK, h.now.Reason = false, reason
	h.sink.Health(h.now)
}

func (h *health) get() broker.Health {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.now
}

// probed returns when a probe last returned, zero where none has.
func (h *health) probed() time.Time {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.last
}

// why returns the reason of ill health as the end of an error's text.
func (h *health) why() string {
	if now := h.get(); !now.OK && now.Reason != "" {
		return " (" + now.Reason + ")"
	}
	return ""
}
