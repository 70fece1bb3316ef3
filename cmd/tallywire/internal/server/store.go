package server

import (
	"context"
	"fmt"
	"strings"
	"time"

	"github.com/redis/go-redis/v9"
	"github.com/rs/zerolog"

	"github.com/tallywire/tallywire/broker"
	"github.com/tallywire/tallywire/broker/membroker"
	"github.com/tallywire/tallywire/broker/redisbroker"
	"github.com/tallywire/tallywire/cmd/tallywire/internal/config"
	"github.com/tallywire/tallywire/cmd/tallywire/internal/metrics"
	"github.com/tallywire/tallywire/gateway/admin"
	"github.com/tallywire/tallywire/gateway/auth"
	"github.com/tallywire/tallywire/gateway/auth/redisrevoke"
	"github.com/tallywire/tallywire/inbox/redisinbox"
	"github.com/tallywire/tallywire/internal/redisconn"
	"github.com/tallywire/tallywire/namespace"
	"github.com/tallywire/tallywire/presence"
	"github.com/tallywire/tallywire/presence/mempresence"
	"github.com/tallywire/tallywire/presence/redispresence"
	"github.com/tallywire/tallywire/receipt"
	"github.com/tallywire/tallywire/receipt/memreceipt"
	"github.com/tallywire/tallywire/receipt/redisreceipt"
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
	receipts receipt.Book
	inbox    *redisinbox.Store     // nil for the embedded engine, and where it is turned off
	client   redis.UniversalClient // nil for the embedded engine
	target   *redisconn.Target     // of the client
	trips    *metrics.Redis        // of client
}

// revocations is the list of tokens that are no longer good, as gateways read it and operators write it.
type revocations interface {
	auth.Revocations
	admin.Revocations
}

func openStore(c *config.Serve, lease presence.Options, spaces *namespace.Table, log zerolog.Logger) (*store, error) {
	if c.Redis == "" {
		return openEmbedded(lease, spaces, log)
	}
	redisconn.LogTo(func(message string) {
		log.Warn().Str("event", "redis_client").Msg(strings.TrimSpace(message))
	})
	target, err := c.Target(c.Redis)
	if err != nil {
		return nil, err
	}
	s := &store{name: target.String(), client: target.Client(), target: target, trips: metrics.NewRedis()}
	s.client.AddHook(s.trips)
	if err := s.openRedis(c, lease, spaces); err != nil {
		s.close()
		return nil, fmt.Errorf("redis: %w", err)
	}
	return s, nil
}

// openEmbedded makes the engine of a gateway without Redis.
func openEmbedded(lease presence.Options, spaces *namespace.Table, log zerolog.Logger) (*store, error) {
	tracker, err := mempresence.NewStore(mempresence.StoreOptions{}).Tracker(lease)
	if err != nil {
		return nil, err
	}
	receipts, err := memreceipt.New(memreceipt.Options{})
	if err != nil {
		return nil, err
	}
	return &store{
		name:   "embedded",
		broker: membroker.NewStore(membroker.Options{Namespaces: spaces}).Broker(),
		dead:   loggedDead{membroker.NewDead(maxDead), log}, revocations: auth.NewMemory(nil),
		presence: tracker, directory: tracker, receipts: receipts,
	}, nil
}

// openRedis makes what works over the client.
func (s *store) openRedis(c *config.Serve, lease presence.Options, spaces *namespace.Table) error {
	tracker, err := redispresence.New(s.client, redispresence.Options{Options: lease, Prefix: c.RedisPrefix})
	if err != nil {
		return err
	}
	b, err := redisbroker.New(s.client, redisbroker.Options{
		Prefix: c.RedisPrefix, Namespaces: spaces, Presence: tracker.Hear, Hook: s.trips,
	})
	if err != nil {
		return err
	}
	s.broker, s.dead, s.revocations = b, b, redisrevoke.New(s.client, c.RedisPrefix)
	s.presence, s.directory, s.sessions = tracker, tracker, tracker
	if s.receipts, err = redisreceipt.New(s.client, redisreceipt.Options{Prefix: c.RedisPrefix}); err != nil {
		return err
	}
	if c.Inbox {
		s.inbox, err = redisinbox.New(s.client, redisinbox.Options{Prefix: c.RedisPrefix})
	}
	return err
}

// greetTimeout bounds the one question that is asked for the sake of the log.
const greetTimeout = 5 * time.Second

// greet asks Redis once at the start, to say what to do where it cannot be reached. The gateway goes on trying.
func (s *store) greet(ctx context.Context, log zerolog.Logger) {
	if s.client == nil {
		return
	}
	ctx, cancel := context.WithTimeout(ctx, greetTimeout)
	defer cancel()
	if err := s.client.Ping(ctx).Err(); err != nil && ctx.Err() == nil {
		log.Warn().Str("event", "store_away").Str("store", s.name).Err(err).Str("advice", s.target.Advice(err)).
			Msg("Redis cannot be reached; trying on")
	}
}

// close ends the connections; the broker has ended before.
func (s *store) close() {
	if s.inbox != nil {
		_ = s.inbox.Close()
	}
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
