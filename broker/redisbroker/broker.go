package redisbroker

import (
	"context"
	"errors"
	"fmt"
	"regexp"
	"sync/atomic"

	"github.com/redis/go-redis/v9"

	"github.com/tallywire/tallywire/broker"
	"github.com/tallywire/tallywire/internal/redisfn"
)

// Broker is one gateway's view of the logs in Redis, in one primary or in those of a Redis Cluster. It
// implements [broker.Broker] and [broker.DeadLetters]; all methods are safe for concurrent use. The client stays
// the caller's, who closes it after Run has returned.
type Broker struct {
	options  Options          // static
	library  *redisfn.Library // static
	one      *shard           // static; nil where there is a cluster
	cluster  *cluster         // static; nil where there is one primary
	started  atomic.Bool
	counters counters
}

var (
	_ broker.Broker      = (*Broker)(nil)
	_ broker.DeadLetters = (*Broker)(nil)
)

// New returns a broker that works over client: a *[redis.Client] or a *[redis.ClusterClient]. It must not retry by
// itself (see package redisconn); of a cluster's, the broker uses the settings and makes clients of its own for
// the nodes. Nothing is dialled before Run or the first call.
func New(client redis.UniversalClient, options Options) (*Broker, error) {
	o, err := options.withDefaults()
	if err != nil {
		return nil, fmt.Errorf("redisbroker: %w", err)
	}
	single, _ := client.(*redis.Client)
	many, _ := client.(*redis.ClusterClient)
	if single == nil && many == nil {
		return nil, fmt.Errorf("redisbroker: a client of type %T: wanted one of one Redis or of a cluster", client)
	}
	source, err := renderLibrary(o.Namespaces, many != nil)
	if err != nil {
		return nil, fmt.Errorf("redisbroker: %w", err)
	}
	b := &Broker{options: o}
	if many != nil {
		b.library = redisfn.New(many, LibraryName, source, o.Timeout)
		b.cluster = newCluster(many, o, source, &b.counters)
		return b, nil
	}
	if single.Options().MaxRetries > 0 {
		return nil, errors.New("redisbroker: the client retries commands, which appends events twice; set MaxRetries to -1")
	}
	if read := single.Options().ReadTimeout; read > 0 && o.ReplicaTimeout >= read {
		return nil, fmt.Errorf("redisbroker: replica timeout %s: must be less than the client's read timeout %s", o.ReplicaTimeout, read)
	}
	b.one = newShard(single, o, source, probeName(), nil, &b.counters)
	b.library = b.one.library
	return b, nil
}

var errRunTwice = errors.New("run: a broker runs once")

// Run implements [broker.Broker]. Where Redis is away it tries again for ever and the sink's Health
// says why.
func (b *Broker) Run(ctx context.Context, sink broker.Sink) error {
	if b.started.Swap(true) {
		return errRunTwice
	}
	if b.cluster != nil {
		b.cluster.run(ctx, sink)
	} else {
		b.one.serve(ctx, sink)
	}
	return nil
}

// Publish implements [broker.Broker]. It may be called before Run, which then sends what waits.
// A publication with a deadline in ctx is not sent after it; cancelling ctx does not call back what has
// been queued. The receipt says "replicated" only when a replica has confirmed; a publication that
// wanted it and got "stored" may be repeated by its ID to ask again.
func (b *Broker) Publish(ctx context.Context, p broker.Publication, done func(broker.Receipt, error)) {
	if b.cluster != nil {
		b.cluster.publish(ctx, p, done)
		return
	}
	b.one.publish(ctx, p, done)
}

// Read implements [broker.Broker]. A page holds the genesis entry when it covers it.
func (b *Broker) Read(ctx context.Context, channel string, r broker.ReadRequest) (broker.Page, error) {
	if b.cluster != nil {
		return b.cluster.read(ctx, channel, r)
	}
	return b.one.read(ctx, channel, r)
}

// Subscribe implements [broker.Broker]. It waits for Redis' confirmation, at most for Options.Timeout.
// However often a channel is subscribed, one Unsubscribe ends it.
func (b *Broker) Subscribe(ctx context.Context, channel string) (broker.Head, error) {
	if err := checkChannel(channel); err != nil {
		return broker.Head{}, fmt.Errorf("subscribe: %w", err)
	}
	if b.cluster != nil {
		return b.cluster.subscribe(ctx, channel)
	}
	return b.one.subscribe(ctx, channel)
}

// Unsubscribe implements [broker.Broker].
func (b *Broker) Unsubscribe(channel string) {
	if b.cluster != nil {
		b.cluster.unsubscribe(channel)
		return
	}
	b.one.unsubscribe(channel)
}

// Bury implements [broker.DeadLetters]. A letter that one of the last 256 already is is not written again.
func (b *Broker) Bury(ctx context.Context, l broker.DeadLetter) error {
	if b.cluster != nil {
		return b.cluster.bury(ctx, l)
	}
	return b.one.bury(ctx, l)
}

// List implements [broker.DeadLetters]. The ids are those of the stream <prefix>:_dead.
func (b *Broker) List(ctx context.Context, after string, limit int) ([]broker.DeadLetter, string, error) {
	if b.cluster != nil {
		return b.cluster.list(ctx, after, limit)
	}
	return b.one.list(ctx, after, limit)
}

// Health returns the state of the path from publish to receive: of a cluster, of the worst of its primaries.
func (b *Broker) Health() broker.Health { return b.state().get() }

func (b *Broker) state() *health {
	if b.cluster != nil {
		return b.cluster.health
	}
	return b.one.health
}

// Library returns the source that this program loads.
func (b *Broker) Library() string { return b.library.Source() }

// LibraryState compares the library in Redis with this program's.
func (b *Broker) LibraryState(ctx context.Context) (LibraryState, error) {
	state, err := b.library.State(ctx)
	return state, classify(err)
}

// Load puts the library into Redis unless a newer version is there. It replaces one of the same
// version with another table, so that a changed configuration takes effect.
func (b *Broker) Load(ctx context.Context) error { return classify(b.library.Ensure(ctx, true)) }

var validChannel = regexp.MustCompile(`^[A-Za-z0-9.:-][A-Za-z0-9_.:-]{0,127}$`)

// checkChannel refuses names that the functions would refuse, before anything is subscribed.
func checkChannel(channel string) error {
	if validChannel.MatchString(channel) {
		return nil
	}
	return &ContractError{Code: "invalid_channel", Message: fmt.Sprintf("%q", channel)}
}
