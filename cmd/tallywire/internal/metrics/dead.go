package metrics

import (
	"context"
	"sync/atomic"

	"github.com/tallywire/tallywire/broker"
	"github.com/tallywire/tallywire/gateway/wire"
)

// Dead counts the letters that go to the dead letters of a store, by their code. Safe for concurrent use.
type Dead struct {
	broker.DeadLetters
	counters map[string]*atomic.Uint64 // static
}

// otherCode stands for every code that is not known.
const otherCode = "other"

// CountDead returns dead letters that are counted.
func CountDead(d broker.DeadLetters) *Dead {
	c := &Dead{DeadLetters: d, counters: map[string]*atomic.Uint64{}}
	// What the relays and the inbox bury for.
	for _, code := range []wire.Code{wire.CodeInvalidEvent, wire.CodeInvalidChannel, wire.CodeRefused} {
		c.counters[string(code)] = &atomic.Uint64{}
	}
	c.counters[otherCode] = &atomic.Uint64{}
	return c
}

// Bury implements broker.DeadLetters. What could not be stored is not counted.
func (d *Dead) Bury(ctx context.Context, l broker.DeadLetter) error {
	if err := d.DeadLetters.Bury(ctx, l); err != nil {
		return err //nolint:wrapcheck // the store names the operation
	}
	n := d.counters[l.Code]
	if n == nil {
		n = d.counters[otherCode]
	}
	n.Add(1)
	return nil
}

func (d *Dead) counts() map[string]uint64 {
	out := make(map[string]uint64, len(d.counters))
	for code, n := range d.counters {
		out[code] = n.Load()
	}
	return out
}
