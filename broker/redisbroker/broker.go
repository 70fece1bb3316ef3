package redisbroker

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"regexp"
	"sync/atomic"

	"github.com/redis/go-redis/v9"
	"golang.org/x/sync/errgroup"

	"github.com/tallywire/tallywire/broker"
	"github.com/tallywire/tallywire/internal/redisfn"
)

// Broker is one gateway's view of the logs in Redis. It implements [broker.Broker] and
// [broker.DeadLetters]; all methods are safe for concurrent use. The client stays the caller's, who
// closes it after Run has returned.
type Broker struct {
	client  *redis.Client    // static
	options Options          // static
	library *redisfn.Library // static

	stored     *lane
	replicated *lane
	hub        *hub
	probe      *prober
	health     *health
	started    atomic.Bool
	counters   counters
}

var (
	_ broker.Broker      = (*Broker)(nil)
	_ broker.DeadLetters = (*Broker)(nil)
)

// New returns a broker that works over client. The client must not retry by itself (see package
// redisconn). Nothing is dialled before Run or the first call.
func New(client redis.UniversalClient, options Options) (*Broker, error) {
	o, err := options.withDefaults()
	if err != nil {
		return nil, fmt.Errorf("redisbroker: %w", err)
	}
	single, ok := client.(*redis.Client)
	if !ok {
		return nil, fmt.Errorf("redisbroker: %w", ErrClusterUnsupported)
	}
	if single.Options().MaxRetries > 0 {
		return nil, errors.New("redisbroker: the client retries commands, which appends events twice; set MaxRetries to -1")
	}
	if read := single.Options().ReadTimeout; read > 0 && o.ReplicaTimeout >= read {
		return nil, fmt.Errorf("redisbroker: replica timeout %s: must be less than the client's read timeout %s", o.ReplicaTimeout, read)
	}
	source, err := renderLibrary(o.Namespaces, false)
	if err != nil {
		return nil, fmt.Errorf("redisbroker: %w", err)
	}
	b := &Broker{
		client: single, options: o,
		library: redisfn.New(single, LibraryName, source, o.Timeout),
		stored:  newLane(o.MaxInFlight), replicated: newLane(o.MaxInFlight),
		health: &health{},
	}
	b.hub = newHub(b, newDialer(single.Options()))
	b.probe = newProber(b, "_probe."+rand.Text())
	return b, nil
}

var errRunTwice = errors.New("run: a broker runs once")

// Run implements [broker.Broker]. Where Redis is away it tries again for ever and the sink's Health
// says why.
func (b *Broker) Run(ctx context.Context, sink broker.Sink) error {
	if b.started.Swap(true) {
		return errRunTwice
	}
	b.hub.sink = sink
	b.health.begin(sink)
	b.hub.want(b.probe.key, b.probe.channel, true)
	var g errgroup.Group
	g.Go(func() error { b.stored.serve(ctx, b.execute(false), b.complete); return nil })
	g.Go(func() error { b.replicated.serve(ctx, b.execute(true), b.completeReplicated); return nil })
	g.Go(func() error { b.hub.run(ctx); return nil })
	g.Go(func() error { b.probe.run(ctx); return nil })
	g.Go(func() error { b.auditLoop(ctx); return nil })
	return g.Wait()
}

// Health returns the state of the path from publish to receive.
func (b *Broker) Health() broker.Health { return b.health.get() }

// key returns the stream's key, which is the pub/sub channel's name too.
func (b *Broker) key(channel string) string { return b.options.Prefix + ":{" + channel + "}" }

var validChannel = regexp.MustCompile(`^[A-Za-z0-9.:-][A-Za-z0-9_.:-]{0,127}$`)

// checkChannel refuses names that the functions would refuse, before anything is subscribed.
func checkChannel(channel string) error {
	if validChannel.MatchString(channel) {
		return nil
	}
	return &ContractError{Code: "invalid_channel", Message: fmt.Sprintf("%q", channel)}
}
