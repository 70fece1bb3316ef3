package doctor

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"sync"

	"github.com/redis/go-redis/v9"
)

// primaries returns what is examined one by one: the Redis, or each primary of a cluster. It reports false where
// they cannot be found.
func (p *patient) primaries(ctx context.Context) ([]*patient, bool) {
	cluster, many := p.client.(*redis.ClusterClient)
	if !many {
		return []*patient{p}, true
	}
	const check = "cluster"
	ctx, cancel := within(ctx)
	defer cancel()
	var mu sync.Mutex
	var all []*patient
	err := cluster.ForEachMaster(ctx, func(_ context.Context, node *redis.Client) error {
		one := *p
		addr := node.Options().Addr
		one.client, one.name = node, addr
		one.report = func(f Finding) {
			if f.Check != "connection" { // which names it
				f.Detail = addr + ": " + f.Detail
			}
			p.report(f)
		}
		mu.Lock()
		defer mu.Unlock()
		all = append(all, &one)
		return nil
	})
	if err != nil {
		advice := p.Target.Advice(err)
		if advice == "" {
			advice = adviceDenied(err, "+cluster|slots +cluster|info")
		}
		p.report(fail(check, fmt.Sprintf("%s: %s", p.name, err), advice))
		return nil, false
	}
	slices.SortFunc(all, func(a, b *patient) int { return strings.Compare(a.name, b.name) })
	p.covered(ctx, check, all)
	return all, true
}

// covered looks whether every slot is served, in the eyes of every primary: what one has lost the others may not
// have heard of.
func (p *patient) covered(ctx context.Context, check string, primaries []*patient) {
	for _, one := range primaries {
		text, err := one.client.ClusterInfo(ctx).Result()
		switch info := parseInfo(text); {
		case err != nil:
			p.report(fail(check, one.name+": "+err.Error(), adviceDenied(err, "+cluster|info")))
			return
		case info["cluster_state"] != "ok" || info["cluster_slots_ok"] != "16384":
			p.report(fail(check, fmt.Sprintf("%s sees %s of 16384 slots served, state %s", one.name, info["cluster_slots_ok"], info["cluster_state"]),
				"look at CLUSTER NODES for what failed: channels of slots that nobody serves are away"))
			return
		}
	}
	p.report(ok(check, fmt.Sprintf("%d primaries serve all slots", len(primaries))))
}
