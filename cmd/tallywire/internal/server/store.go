package server

import (
	"context"
	"fmt"
	"strings"

	"github.com/redis/go-redis/v9"
	"github.com/rs/zerolog"

	"github.com/tallywire/tallywire/broker"
	"github.com/tallywire/tallywire/broker/membroker"
	"github.com/tallywire/tallywire/broker/redisbroker"
	"github.com/tallywire/tallywire/cmd/tallywire/internal/config"
	"github.com/tallywire/tallywire/gateway/admin"
	"github.com/tallywire/tallywire/gateway/auth"
	"github.com/tallywire/tallywire/gateway/auth/redisrevoke"
	"github.com/tallywire/tallywire/internal/redisconn"
	"github.com/tallywire/tallywire/namespace"
	"github.com/tallywire/tallywire/presence"
	"github.com/tallywire/tallywire/presence/mempresence"
	"github.com/tallywire/tallywire/presence/redispresence"
)

// store is what keeps the events, and what else all gateways share.
type store struct {
	name        string // for logs, without secrets
	broker      broker.Broker
	dead        broker.DeadLetters
	revocations revocations
	presence    presence.Tracker
	directory   presence.Directory
	// sessions is told of the sessions that are connected here. It is nil for the embedded engine, whose
	// one gateway knows them itself: that saves a kilobyte a connection.
	sessions presence.Directory
	client   redis.UniversalClient // nil for the embedded engine
}

// revocations is the list of tokens that are no longer good, as gateways read it and operators write it.
type revocations interface {
	auth.Revocations
	admin.Revocations
}

func openStore(c *config.Serve, lease presence.Options, spaces *namespace.Table, log zerolog.Logger) (*store, error) {
	if c.Redis == "" {
		tracker, err := mempresence.NewStore(mempresence.StoreOptions{}).Tracker(lease)
		if err != nil {
			return nil, err
		}
		return &store{
			name:   "embedded",
			broker: membroker.NewStore(membroker.Options{Namespaces: spaces}).Broker(),
			dead:   loggedDead{membroker.NewDead(maxDead), log}, revocations: auth.NewMemory(nil),
			presence: tracker, directory: tracker,
		}, nil
	}
	redisconn.LogTo(func(message string) {
		log.Warn().Str("event", "redis_client").Msg(strings.TrimSpace(message))
	})
	client, target, err := redisconn.Open(c.Redis)
	if err != nil {
		return nil, fmt.Errorf("redis: %w", err)
	}
	tracker, err := redispresence.New(client, redispresence.Options{Options: lease, Prefix: c.RedisPrefix})
	if err != nil {
		_ = client.Close()
		return nil, fmt.Errorf("redis: %w", err)
	}
	b, err := redisbroker.New(client, redisbroker.Options{
		Prefix: c.RedisPrefix, Namespaces: spaces, Presence: tracker.Hear,
	})
	if err != nil {
		_ = client.Close()
		return nil, fmt.Errorf("redis: %w", err)
	}
	return &store{
		name: target.String(), broker: b, dead: b, revocations: redisrevoke.New(client, c.RedisPrefix), client: client,
		presence: tracker, directory: tracker, sessions: tracker,
	}, nil
}

// close ends the connections; the broker has ended before.
func (s *store) close() {
	if s.client != nil {
		_ = s.client.Close()
	}
}

// maxDead is how many dead letters the embedded engine keeps.
const maxDead = 10_000

// loggedDead logs the dead letters of the embedded engine too: they end with the process, as the engine's
// channels do.
type loggedDead struct {
	broker.DeadLetters
	log zerolog.Logger
}

func (d loggedDead) Bury(ctx context.Context, l broker.DeadLetter) error {
	d.log.Warn().Str("event", "dead_letter").Str("channel", l.Channel).Stringer("cursor", l.Cursor).
		Str("code", l.Code).Str("reason", l.Reason).Msg("an invalid event was skipped")
	return d.DeadLetters.Bury(ctx, l)
}
