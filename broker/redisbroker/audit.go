package redisbroker

import (
	"context"
	"errors"
	"math/rand/v2"

	"github.com/redis/go-redis/v9"

	"github.com/tallywire/tallywire/broker"
)

const auditChunk = 200

// auditLoop tells the sink the head of every subscribed channel from time to time. It finds what no
// doorbell told: a lost tail after a failover, a stream that was deleted, a message that was dropped.
// It keeps the streams of subscribed channels from expiring, too.
func (b *shard) auditLoop(ctx context.Context) {
	for sleep(ctx, b.options.AuditEvery*8/10+rand.N(b.options.AuditEvery*4/10)) {
		if !b.hub.isSettled() {
			continue // the hub audits by itself when it has a connection
		}
		if err := b.audit(ctx, b.hub.snapshot()); err != nil {
			b.counters.auditsFailed.Add(1) // the prober judges the path, the next round comes soon
		}
	}
}

// audit tells the heads of subs. Its error is of the connection; a refusal concerns one channel, which
// is left out.
func (b *shard) audit(ctx context.Context, subs []*subscription) error {
	for len(subs) > 0 && ctx.Err() == nil {
		n := min(auditChunk, len(subs))
		err := b.auditOnce(ctx, subs[:n])
		if missingFunction(err) {
			if err = b.ensureLibrary(ctx, false); err == nil {
				err = b.auditOnce(ctx, subs[:n])
			}
		}
		if elsewhere(err) {
			b.doubt() // those channels are told of where they are now
			err = nil
		}
		if err := classify(err); err != nil && !errors.Is(err, broker.ErrRefused) {
			return err
		}
		subs = subs[n:]
	}
	return nil
}

// auditOnce asks for the heads of subs in one pipeline and returns the last error.
func (b *shard) auditOnce(ctx context.Context, subs []*subscription) (failure error) {
	ctx, cancel := b.within(ctx)
	defer cancel()
	pipe := b.client.Pipeline()
	cmds := make([]*redis.Cmd, len(subs))
	marks := make([]uint64, len(subs))
	for i, s := range subs {
		marks[i] = s.mark()
		cmds[i] = redis.NewCmd(ctx, "FCALL", "tw_open", 1, s.key)
		_ = pipe.Process(ctx, cmds[i]) // queued; its error is read after Exec
	}
	_, err := pipe.Exec(ctx)
	stampUnsent(cmds, err)
	for i, s := range subs {
		if err := cmds[i].Err(); err != nil {
			failure = err
			continue
		}
		head, err := parseHead(cmds[i].Val())
		if err != nil {
			failure = err
			continue
		}
		b.counters.audits.Add(1)
		s.head(b.hub.sink, head, marks[i])
	}
	return failure
}
