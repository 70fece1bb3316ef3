package redisconn

import (
	"context"
	"fmt"
	"time"

	"github.com/redis/go-redis/v9"
	"github.com/redis/go-redis/v9/maintnotifications"
)

// Timeouts and bounds of every client. A frozen server costs one ReadTimeout per connection that
// still leads to it.
const (
	DialTimeout  = 2 * time.Second
	ReadTimeout  = 2 * time.Second
	WriteTimeout = 2 * time.Second
	PoolTimeout  = 2 * time.Second

	DefaultPoolSize  = 16
	PipelinePoolSize = 4
)

// Open parses a URL and returns its client; nothing is dialled yet. The caller closes the client.
func Open(text string) (redis.UniversalClient, *Target, error) {
	t, err := Parse(text)
	if err != nil {
		return nil, nil, err
	}
	return t.Client(), t, nil
}

// Client returns a client for the target; nothing is dialled yet. The caller closes it.
//
// The settings that matter:
//   - no retries: go-redis repeats a command whose reply was lost, so that one XADD may append twice;
//     whoever knows that a command is idempotent repeats it.
//   - one dial attempt: its loop of five would hide a dead server for ten seconds.
//   - contexts bound the socket operations, and every operation has a timeout without one.
//   - RESP2: nothing here wants push messages, and with RESP3 go-redis looks for one in the buffer
//     before each reply. Pub/sub has its own connection, where RESP2 answers in the order of the commands.
//   - no CLIENT SETINFO, which Redis 7.0 does not know, and no maintenance notifications.
func (t *Target) Client() redis.UniversalClient {
	pool := t.PoolSize
	if pool == 0 {
		pool = DefaultPoolSize
	}
	o := &redis.UniversalOptions{
		Addrs:      t.Addrs,
		MasterName: t.Master,
		ClientName: t.ClientName,
		DB:         t.DB,

		Username:         t.username,
		Password:         t.password,
		SentinelUsername: t.sentinelUsername,
		SentinelPassword: t.sentinelPassword,

		Protocol:              2,
		MaxRetries:            -1,
		DialerRetries:         1,
		DialTimeout:           DialTimeout,
		ReadTimeout:           ReadTimeout,
		WriteTimeout:          WriteTimeout,
		PoolTimeout:           PoolTimeout,
		ContextTimeoutEnabled: true,

		PoolSize:         pool,
		MaxActiveConns:   pool,
		MaxIdleConns:     pool,
		PipelinePoolSize: PipelinePoolSize,
		ConnMaxIdleTime:  5 * time.Minute,

		DisableIdentity:          true,
		MaintNotificationsConfig: &maintnotifications.Config{Mode: maintnotifications.ModeDisabled},
		IsClusterMode:            t.Mode == Cluster,
	}
	o.TLSConfig = t.tlsConfig()
	if t.Mode == Cluster {
		return redis.NewClusterClient(clusterOptions(o))
	}
	return redis.NewUniversalClient(o)
}

// ReloadInterval is how old the list of a cluster's nodes may be. A node that cannot be reached does not make
// go-redis (read at v9.23.0) read it anew: with its default, the slots of one that died are away for a minute after
// its replica took over.
const ReloadInterval = 2 * time.Second

// clusterOptions are the settings of a cluster beside the others. Commands name their keys themselves, so that the
// server need not be asked for what it knows of them (COMMAND).
func clusterOptions(o *redis.UniversalOptions) *redis.ClusterOptions {
	c := o.Cluster()
	c.ClusterStateReloadInterval = ReloadInterval
	c.DisableRoutingPolicies = true
	return c
}

// LogTo sends what go-redis logs by itself (for the whole process) to f.
func LogTo(f func(message string)) { redis.SetLogger(logger(f)) }

type logger func(string)

func (l logger) Printf(_ context.Context, format string, args ...any) {
	l(fmt.Sprintf(format, args...))
}
