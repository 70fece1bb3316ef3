package redisbroker

import (
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/tallywire/tallywire/namespace"
)

// Defaults of Options.
const (
	DefaultPrefix         = "tw"
	DefaultMaxInFlight    = 16_384
	DefaultTimeout        = 3 * time.Second
	DefaultReplicaTimeout = 500 * time.Millisecond
	DefaultAuditEvery     = 3 * time.Second
	DefaultProbeEvery     = time.Second
	DefaultProbeTimeout   = 2500 * time.Millisecond
	DefaultDeadMaxLen     = 10_000
)

// Options are the settings of a Broker. The zero value of a field means its default.
type Options struct {
	// Prefix of all keys.
	Prefix string
	// Namespaces gives retention, idempotency windows and acknowledgements by channel. All gateways of
	// one Redis need the same: the table is loaded into Redis with the library.
	Namespaces *namespace.Table
	// MaxInFlight bounds the publications of one lane that wait or are under way.
	MaxInFlight int
	// Timeout bounds an operation whose context has no earlier deadline, and the time that a
	// publication may wait and take.
	Timeout time.Duration
	// ReplicaTimeout is how long a publish waits for a replica before it is acknowledged as stored only.
	ReplicaTimeout time.Duration
	// AuditEvery is the mean time between two looks at the heads of all subscribed channels.
	AuditEvery time.Duration
	// ProbeEvery is the mean time between two probes; ProbeTimeout is how long none may return before
	// the path counts as broken.
	ProbeEvery   time.Duration
	ProbeTimeout time.Duration
	// DeadMaxLen bounds the dead letters, approximately.
	DeadMaxLen int64
	// Presence, when not nil, takes what is heard for presence on subscribed channels: the payload of a
	// doorbell ("% …"), which it may keep, or nil when the connection was replaced and some may have been
	// missed. For one channel it is not called concurrently; it must not block.
	Presence func(channel string, payload []byte)
	// Hook, when not nil, is added to the clients that the broker makes for the nodes of a cluster.
	Hook redis.Hook
}

func (o Options) withDefaults() (Options, error) {
	if o.Prefix == "" {
		o.Prefix = DefaultPrefix
	}
	if o.Namespaces == nil {
		table, err := namespace.NewTable(nil)
		if err != nil {
			return o, err
		}
		o.Namespaces = table
	}
	setDefault(&o.MaxInFlight, DefaultMaxInFlight)
	setDefault(&o.Timeout, DefaultTimeout)
	setDefault(&o.ReplicaTimeout, DefaultReplicaTimeout)
	setDefault(&o.AuditEvery, DefaultAuditEvery)
	setDefault(&o.ProbeEvery, DefaultProbeEvery)
	setDefault(&o.ProbeTimeout, DefaultProbeTimeout)
	setDefault(&o.DeadMaxLen, DefaultDeadMaxLen)
	return o, o.validate()
}

// key returns the key of a channel's stream, which is the pub/sub channel's name too.
func (o *Options) key(channel string) string { return o.Prefix + ":{" + channel + "}" }

func setDefault[T comparable](field *T, value T) {
	var zero T
	if *field == zero {
		*field = value
	}
}

func (o *Options) validate() error {
	switch {
	case strings.ContainsAny(o.Prefix, "{} \t\r\n*?[]"):
		return fmt.Errorf("prefix %q: no braces, blanks or globs", o.Prefix)
	case o.MaxInFlight < 1:
		return errors.New("max in flight: must be at least 1")
	case o.Timeout < 0 || o.ReplicaTimeout < 0 || o.AuditEvery < 0 || o.ProbeEvery < 0 || o.ProbeTimeout < 0:
		return errors.New("durations must be positive")
	case o.ReplicaTimeout < time.Millisecond:
		return errors.New("replica timeout: must be at least 1ms, 0 would wait for ever")
	case o.DeadMaxLen < 1:
		return errors.New("dead letters: must be at least 1")
	}
	return nil
}
