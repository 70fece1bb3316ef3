package gateway

import (
	"runtime/debug"

	"github.com/rs/zerolog"

	"github.com/tallywire/tallywire/broker/relay"
	"github.com/tallywire/tallywire/events"
)

// safeChecker keeps a defect in the check of one event from taking the process: events are checked on the
// broker's goroutines too, where nobody else would recover. Such an event counts as invalid.
type safeChecker struct {
	relay.Checker
	counters *Counters
	log      zerolog.Logger
}

// Check implements relay.Checker.
func (c *safeChecker) Check(env events.Envelope, raw []byte) (err error) {
	defer func() {
		if p := recover(); p != nil {
			c.report(p, env.Type)
			err = &events.InvalidError{Message: "the event could not be checked"}
		}
	}()
	return c.Checker.Check(env, raw) //nolint:wrapcheck // an events.InvalidError
}

// Terminal implements relay.Checker.
func (c *safeChecker) Terminal(eventType string) (terminal bool) {
	defer func() {
		if p := recover(); p != nil {
			c.report(p, eventType)
			terminal = true // better one event too many than one too few
		}
	}()
	return c.Checker.Terminal(eventType)
}

func (c *safeChecker) report(p any, eventType string) {
	c.counters.Panics.Add(1)
	c.log.Error().Str("event", "check_panic").Interface("panic", p).Str("type", eventType).
		Bytes("stack", debug.Stack()).Msg("panic in the check of an event")
}
