package redisbroker

import (
	"context"
	"crypto/rand"
	"fmt"

	"github.com/redis/go-redis/v9"
	"golang.org/x/sync/errgroup"

	"github.com/tallywire/tallywire/broker"
	"github.com/tallywire/tallywire/internal/redisfn"
)

// shard works with one primary: the only one, or one of a cluster's. All methods are safe for concurrent use.
type shard struct {
	client  *redis.Client    // static
	options Options          // static
	library *redisfn.Library // static
	cluster *cluster         // static; nil where there is one primary

	stored     *lane
	replicated *lane
	hub        *hub
	probe      *prober
	health     *health
	counters   *counters // shared by the shards of a broker
}

// newShard returns a shard; nothing is dialled yet. probe is the channel of its probes.
func newShard(client *redis.Client, o Options, source, probe string, c *cluster, counts *counters) *shard {
	s := &shard{
		client: client, options: o, cluster: c,
		library: redisfn.New(client, LibraryName, source, o.Timeout),
		stored:  newLane(o.MaxInFlight), replicated: newLane(o.MaxInFlight),
		health: &health{}, counters: counts,
	}
	s.hub = newHub(s, newDialer(client.Options()))
	s.probe = newProber(s, probe)
	return s
}

// probeName returns a new name for a channel of probes.
func probeName() string { return "_probe." + rand.Text() }

// serve serves until ctx ends. Where the primary is away it tries again for ever and the sink's Health says why.
func (b *shard) serve(ctx context.Context, sink broker.Sink) {
	b.hub.sink = sink
	b.health.begin(sink)
	channel := b.probe.name()
	b.hub.want(b.key(channel), channel, true)
	var g errgroup.Group
	g.Go(func() error { b.stored.serve(ctx, b.execute(false), b.complete); return nil })
	g.Go(func() error { b.replicated.serve(ctx, b.execute(true), b.completeReplicated); return nil })
	g.Go(func() error { b.hub.run(ctx); return nil })
	g.Go(func() error { b.probe.run(ctx); return nil })
	g.Go(func() error { b.auditLoop(ctx); return nil })
	_ = g.Wait()
}

// key returns the stream's key, which is the pub/sub channel's name too.
func (b *shard) key(channel string) string { return b.options.key(channel) }

// doubt has the cluster look again at who serves what.
func (b *shard) doubt() {
	if b.cluster != nil {
		b.cluster.kick()
	}
}

// within returns ctx bounded by the broker's timeout.
func (b *shard) within(ctx context.Context) (context.Context, context.CancelFunc) {
	return context.WithTimeout(ctx, b.options.Timeout)
}

// at returns an error of what is done at a shard with its place, where there are several.
func (b *shard) at(err error) error {
	if err == nil || b.cluster == nil {
		return err
	}
	return fmt.Errorf("%s: %w", b.client.Options().Addr, err)
}
