// Package vet holds events against the rules of a channel. It is the one place that says what may be
// published: to clients, to the inbox, to operators, and to whatever arrives from Redis.
package vet

import (
	"fmt"

	"github.com/tallywire/tallywire/events"
	"github.com/tallywire/tallywire/namespace"
)

// Checker holds an event against the schema of its type. *events.Registry is one.
type Checker interface {
	Check(env events.Envelope, raw []byte) error
}

// Event returns the envelope of an event that the namespace of its channel takes, or why it does not: an
// *[events.InvalidError], unless the checker has errors of its own. A checker that panics refuses the event, so
// that one event cannot end every gateway that it reaches.
func Event(raw []byte, options *namespace.Options, checker Checker) (env events.Envelope, err error) {
	defer func() {
		if p := recover(); p != nil {
			err = &events.InvalidError{Message: fmt.Sprintf("validation panicked: %v", p)}
		}
	}()
	if env, err = events.Scan(raw); err != nil {
		return env, err
	}
	if err = checker.Check(env, raw); err != nil {
		return env, err //nolint:wrapcheck // it is told as it is
	}
	if !options.AcceptsType(env.Type) {
		return env, &events.InvalidError{Path: "/type", Message: "type: " + env.Type + " is not accepted in this namespace"}
	}
	return env, nil
}
