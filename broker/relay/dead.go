package relay

import (
	"context"

	"github.com/tallywire/tallywire/broker"
)

// bury counts an undeliverable event and queues it for the dead letters. A full queue is counted too:
// subscribers have been told of the skipped offset in any case.
func (h *Hub) bury(letter broker.DeadLetter) {
	h.counters.Invalid.Add(1)
	select {
	case h.letters <- letter:
	default:
		h.counters.DeadLost.Add(1)
	}
}

func (h *Hub) buryLoop(ctx context.Context) {
	for {
		select {
		case letter := <-h.letters:
			if h.options.Dead == nil {
				continue
			}
			callCtx, cancel := context.WithTimeout(ctx, h.options.ReadTimeout)
			if err := h.options.Dead.Bury(callCtx, letter); err != nil {
				h.counters.DeadLost.Add(1)
			}
			cancel()
		case <-ctx.Done():
			return
		}
	}
}
