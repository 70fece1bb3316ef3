package redisbroker

import (
	"context"
	"fmt"
	"math/rand/v2"
	"slices"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/tallywire/tallywire/broker"
	"github.com/tallywire/tallywire/namespace"
)

// attempt is one pipeline of some items of a batch.
type attempt struct {
	cmds []*redis.Cmd
	wait *redis.IntCmd // nil on the lane of stored publications
}

// run sends the items in one pipeline and waits for the replies until the given time, and not until ctx
// ends: the replies of a pipeline under way are wanted while the broker is ending too.
func (b *shard) run(ctx context.Context, items []item, until time.Time, replicated bool) attempt {
	ctx, cancel := context.WithDeadline(context.WithoutCancel(ctx), until)
	defer cancel()
	pipe := b.client.Pipeline()
	a := attempt{cmds: make([]*redis.Cmd, len(items))}
	for i := range items {
		a.cmds[i] = redis.NewCmd(ctx, items[i].args...)
		_ = pipe.Process(ctx, a.cmds[i]) // queued; its error is read after Exec
	}
	if replicated {
		// One WAIT behind the batch covers all of it: it asks for the last write of this connection.
		a.wait = redis.NewIntCmd(ctx, "WAIT", 1, b.options.ReplicaTimeout.Milliseconds())
		_ = pipe.Process(ctx, a.wait)
	}
	_, err := pipe.Exec(ctx)
	stampUnsent(a.cmds, err)
	b.counters.batches.Add(1)
	return a
}

// stampUnsent gives commands without a reply the error of their pipeline. Every command has its own
// error but in one case: where the connection was refused with an error reply (a wrong password, say),
// go-redis takes it for a reply to one of them, and leaves them all without reply and without error.
func stampUnsent(cmds []*redis.Cmd, err error) {
	if err == nil {
		return
	}
	for _, c := range cmds {
		if c.Err() == nil && c.Val() == nil {
			c.SetErr(err)
		}
	}
}

// execute returns the batch function of a lane.
//
// A command is sent a second time, at most, in these cases and before anything that was queued later:
// it was never sent (no connection); Redis did not know the function and executed nothing behind it; or
// its reply was lost and it carries an id, by which the second finds the first.
func (b *shard) execute(replicated bool) func(ctx context.Context, batch []item) results {
	return func(ctx context.Context, batch []item) results {
		r := failed(batch, errLate)
		now := time.Now()
		send := make([]int, 0, len(batch))
		for i := range batch {
			if now.Before(batch[i].deadline) {
				send = append(send, i)
			}
		}
		again := b.attempt(ctx, &r, send, now.Add(b.options.Timeout), replicated)
		if len(again) == 0 || !b.prepareRetry(ctx, &r, again) {
			return r
		}
		now = time.Now()
		again = slices.DeleteFunc(again, func(i int) bool { return !now.Before(batch[i].deadline) })
		b.counters.retried.Add(uint64(len(again)))
		b.attempt(ctx, &r, again, latest(batch, again), replicated)
		return r
	}
}

// attempt runs the items with the given places and fills in their results. It returns the places of those
// that may be sent again.
func (b *shard) attempt(ctx context.Context, r *results, places []int, until time.Time, replicated bool) (again []int) {
	if len(places) == 0 {
		return nil
	}
	items := r.items
	if len(places) != len(items) {
		items = make([]item, len(places))
		for i, p := range places {
			items[i] = r.items[p]
		}
	}
	a := b.run(ctx, items, until, replicated)
	ack := namespace.AckStored
	if a.wait != nil && a.wait.Err() == nil && a.wait.Val() >= 1 {
		ack = namespace.AckReplicated
	}
	for i, p := range places {
		cmd := a.cmds[i]
		err := cmd.Err()
		if err == nil {
			r.receipts[p], r.errs[p] = parseReceipt(cmd.Val(), ack)
			again = nil // something behind has been done: repeating what was before would change the order
			continue
		}
		r.errs[p] = err
		if missingFunction(err) || neverSent(err) || items[i].repeatable && !answered(err) {
			again = append(again, p)
		}
	}
	return again
}

// prepareRetry loads the library if it was missing, or lets a moment pass after a lost connection.
func (b *shard) prepareRetry(ctx context.Context, r *results, again []int) bool {
	if missingFunction(r.errs[again[0]]) {
		if err := b.ensureLibrary(context.WithoutCancel(ctx), false); err != nil {
			for _, i := range again {
				r.errs[i] = err
			}
			return false
		}
		return true
	}
	return sleep(ctx, 20*time.Millisecond+rand.N(60*time.Millisecond))
}

// latest returns the last deadline of the items with the given places.
func latest(items []item, places []int) (t time.Time) {
	for _, p := range places {
		if items[p].deadline.After(t) {
			t = items[p].deadline
		}
	}
	return t
}

// sleep waits and reports whether ctx is still alive.
func sleep(ctx context.Context, d time.Duration) bool {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return true
	case <-ctx.Done():
		return false
	}
}

// parseReceipt reads the reply of tw_publish ([cursor, duplicate]) or of tw_signal (a number).
func parseReceipt(reply any, ack namespace.Ack) (broker.Receipt, error) {
	switch v := reply.(type) {
	case int64:
		return broker.Receipt{Ack: namespace.AckStored}, nil
	case []any:
		if len(v) != 2 {
			break
		}
		text, _ := v[0].(string)
		duplicate, _ := v[1].(int64)
		cursor, err := broker.ParseCursor(text)
		if err != nil {
			break
		}
		return broker.Receipt{Cursor: cursor, Ack: ack, Duplicate: duplicate == 1}, nil
	}
	return broker.Receipt{}, fmt.Errorf("%w: %w", broker.ErrUnavailable, errUnexpected)
}
