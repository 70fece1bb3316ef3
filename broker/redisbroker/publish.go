package redisbroker

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"time"

	"github.com/tallywire/tallywire/broker"
	"github.com/tallywire/tallywire/namespace"
)

// itemOverhead is what a command adds to its event, roughly.
const itemOverhead = 160

// publish implements [Broker.Publish].
func (b *shard) publish(ctx context.Context, p broker.Publication, done func(broker.Receipt, error)) {
	if err := b.enqueue(ctx, p, done); err != nil {
		done(broker.Receipt{}, err)
	}
}

// enqueue is publish, but that done is not called where it returns an error.
func (b *shard) enqueue(ctx context.Context, p broker.Publication, done func(broker.Receipt, error)) error {
	if err := ctx.Err(); err != nil {
		return fmt.Errorf("publish to %s: %w", p.Channel, err)
	}
	deadline := time.Now().Add(b.options.Timeout)
	if d, ok := ctx.Deadline(); ok && d.Before(deadline) {
		deadline = d
	}
	it := item{
		size: len(p.Event) + itemOverhead, deadline: deadline, done: done,
		repeatable: p.ID != "" && !p.Ephemeral,
	}
	key := b.key(p.Channel)
	switch {
	case p.Ephemeral:
		it.args = []any{"FCALL", "tw_signal", 1, key, p.Event}
	case p.ID != "":
		it.args = []any{"FCALL", "tw_publish", 1, key, p.Event, "id=" + p.ID}
	default:
		it.args = []any{"FCALL", "tw_publish", 1, key, p.Event}
	}
	ack := p.Ack
	if ack == "" {
		ack = b.options.Namespaces.For(p.Channel).Ack
	}
	l := b.stored
	if ack == namespace.AckReplicated && !p.Ephemeral {
		l = b.replicated
	}
	if err := l.add(it, false); err != nil {
		b.count(err)
		return err
	}
	return nil
}

// publishProbe sends a probe through the lane that publications take.
func (b *shard) publishProbe(key string, event []byte, done func(broker.Receipt, error)) {
	err := b.stored.add(item{
		args: []any{
			"FCALL", "tw_publish", 1, key, event,
			"maxlen=1", "ttl_ms=" + strconv.FormatInt(probeTTL.Milliseconds(), 10),
		},
		size:     len(event) + itemOverhead,
		deadline: time.Now().Add(b.options.Timeout),
		done:     done,
	}, true)
	if err != nil {
		done(broker.Receipt{}, err)
	}
}

// complete tells the callers of a batch what became of it.
func (b *shard) complete(r results) {
	var ok uint64
	for i := range r.items {
		err := r.errs[i]
		if err == nil {
			ok++
			r.items[i].done(r.receipts[i], nil)
			continue
		}
		err = classify(err)
		b.count(err)
		r.items[i].done(broker.Receipt{}, fmt.Errorf("publish: %w", err))
	}
	b.counters.published.Add(ok)
}

func (b *shard) completeReplicated(r results) {
	for i := range r.items {
		if r.errs[i] == nil && r.receipts[i].Ack != namespace.AckReplicated {
			b.counters.unreplicated.Add(1)
		}
	}
	b.complete(r)
}

func (b *shard) count(err error) {
	switch {
	case errors.Is(err, broker.ErrOverloaded):
		b.counters.overloaded.Add(1)
	case errors.Is(err, broker.ErrRefused):
		b.counters.refused.Add(1)
	default:
		b.counters.unavailable.Add(1)
	}
}
