package metrics

import (
	"errors"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/tallywire/tallywire/broker/redisbroker"
	"github.com/tallywire/tallywire/gateway"
	"github.com/tallywire/tallywire/inbox"
	"github.com/tallywire/tallywire/presence"
)

// Sources are what is read at a scrape. Gateway is required; what else is nil has no metrics. Functions are
// called concurrently with everything.
type Sources struct {
	Gateway *gateway.Gateway
	// Limit is how many connections the gateway takes, 0 for no limit.
	Limit    int
	Presence func() presence.Stats
	Inbox    func() inbox.Stats
	Dead     *Dead
	// CertificateEnd is of the certificate that clients are shown.
	CertificateEnd func() time.Time

	// Broker, Pool and Redis are of a gateway with Redis.
	Broker func() redisbroker.Stats
	Pool   func() *redis.PoolStats
	Redis  *Redis
}

func (s *Sources) validate() error {
	if s.Gateway == nil {
		return errors.New("metrics: Gateway is required")
	}
	return nil
}
