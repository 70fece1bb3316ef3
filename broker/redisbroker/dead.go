package redisbroker

import (
	"context"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/tallywire/tallywire/broker"
)

func (o *Options) deadKey() string { return o.Prefix + ":_dead" }

// bury implements [Broker.Bury].
func (b *shard) bury(ctx context.Context, l broker.DeadLetter) error {
	_, err := b.call(ctx, "FCALL", "tw_dead", 1, b.options.deadKey(),
		l.Channel, l.Cursor.String(), l.Code, l.Reason, l.Event, b.options.DeadMaxLen)
	if err != nil {
		return fmt.Errorf("bury %s %s: %w", l.Channel, l.Cursor, err)
	}
	return nil
}

// MaxDeadList bounds one List.
const MaxDeadList = 1000

// list implements [Broker.List].
func (b *shard) list(ctx context.Context, after string, limit int) ([]broker.DeadLetter, string, error) {
	ctx, cancel := b.within(ctx)
	defer cancel()
	start := "-"
	if after != "" {
		start = "(" + after
	}
	if limit <= 0 || limit > MaxDeadList {
		limit = MaxDeadList
	}
	messages, err := b.client.XRangeN(ctx, b.options.deadKey(), start, "+", int64(limit)).Result()
	if err != nil {
		return nil, after, fmt.Errorf("list dead letters: %w", classify(err))
	}
	letters := make([]broker.DeadLetter, 0, len(messages))
	for _, m := range messages {
		letters = append(letters, letter(m))
		after = m.ID
	}
	return letters, after, nil
}

func letter(m redis.XMessage) broker.DeadLetter {
	text := func(name string) string { s, _ := m.Values[name].(string); return s }
	l := broker.DeadLetter{
		Channel: text("channel"), Code: text("code"), Reason: text("reason"), Event: []byte(text("event")),
	}
	// What somebody else has written into the stream is listed as far as it can be read.
	l.Cursor, _ = broker.ParseCursor(text("cursor"))
	millis, _, _ := strings.Cut(m.ID, "-")
	if ms, err := strconv.ParseInt(millis, 10, 64); err == nil {
		l.Time = time.UnixMilli(ms)
	}
	return l
}
