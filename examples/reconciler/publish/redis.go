package publish

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/redis/go-redis/v9"

	"github.com/tallywire/tallywire/events"
	"github.com/tallywire/tallywire/examples/reconciler/reconcile"
	"github.com/tallywire/tallywire/internal/redisconn"
)

// Redis publishes straight to Redis. It is safe for concurrent use.
type Redis struct {
	client redis.UniversalClient
	prefix string
}

var (
	_ reconcile.Publisher      = (*Redis)(nil)
	_ reconcile.BatchPublisher = (*Redis)(nil)
)

// NewRedis returns a publisher for a redis://, rediss://, redis-sentinel:// or redis-cluster:// URL;
// nothing is dialled yet. An empty prefix means "tw". The caller closes it.
func NewRedis(url, prefix string) (*Redis, error) {
	if prefix == "" {
		prefix = "tw"
	}
	client, _, err := redisconn.Open(url)
	if err != nil {
		return nil, err
	}
	return &Redis{client: client, prefix: prefix}, nil
}

// Close closes the connections.
func (r *Redis) Close() error { return r.client.Close() }

// Publish appends one event.
func (r *Redis) Publish(ctx context.Context, channel string, e events.Event) error {
	keys, args, err := r.call(channel, e)
	if err != nil {
		return err
	}
	return sorted(r.client.FCall(ctx, "tw_publish", keys, args...).Err())
}

// PublishBatch appends events with one round trip (in a cluster, one for each node). Within a channel
// they are appended in order; where one fails, those after it may have been appended.
func (r *Redis) PublishBatch(ctx context.Context, batch []reconcile.Publication) error {
	pipe := r.client.Pipeline()
	for _, p := range batch {
		keys, args, err := r.call(p.Channel, p.Event)
		if err != nil {
			return err
		}
		pipe.FCall(ctx, "tw_publish", keys, args...)
	}
	replies, err := pipe.Exec(ctx)
	for _, reply := range replies { // a refusal counts more than an error that will pass
		if e := sorted(reply.Err()); errors.Is(e, reconcile.ErrRefused) {
			return e
		}
	}
	return sorted(err)
}

func (r *Redis) call(channel string, e events.Event) (keys []string, args []any, err error) {
	b, err := encode(e)
	if err != nil {
		return nil, nil, err
	}
	return []string{r.prefix + ":{" + channel + "}"}, []any{b, "id=" + e.Source + "/" + e.ID}, nil
}

// passing are the first words of error replies that tell of a server's state, not of the command.
var passing = []string{
	"LOADING", "BUSY", "READONLY", "MASTERDOWN", "CLUSTERDOWN", "TRYAGAIN", "NOREPLICAS", "MOVED", "ASK", "OOM", "MISCONF", "UNKILLABLE",
}

// sorted tells the errors that a repetition will not change from the others.
func sorted(err error) error {
	var reply redis.Error
	if !errors.As(err, &reply) {
		return err
	}
	word, _, _ := strings.Cut(reply.Error(), " ")
	switch {
	case slices.Contains(passing, word):
		return err
	case strings.Contains(reply.Error(), "Function not found"):
		return fmt.Errorf("%w: the function library is not loaded (a gateway does it, or `tallywire doctor --load`): %w",
			reconcile.ErrRefused, err)
	}
	return fmt.Errorf("%w: %w", reconcile.ErrRefused, err)
}
