package redisbroker

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"net"
	"strings"

	"github.com/redis/go-redis/v9"
)

// view is who serves the slots of a cluster, as one of its nodes sees it: the address of a primary by slot, ""
// where there is none.
type view [slots]string

var errBlind = errors.New("no node of the cluster answers")

// look asks the nodes, one after another and in no order, until one answers that belongs to the majority: what
// a node that is cut off believes is old.
func (c *cluster) look(ctx context.Context) (*view, error) {
	addrs := c.addresses()
	rand.Shuffle(len(addrs), func(i, j int) { addrs[i], addrs[j] = addrs[j], addrs[i] }) //nolint:gosec // to spread them
	failure := errBlind
	for _, addr := range addrs {
		v, err := c.ask(ctx, addr)
		if err == nil {
			return v, nil
		}
		failure = fmt.Errorf("%s: %w", addr, err)
		if ctx.Err() != nil {
			break
		}
	}
	return nil, failure
}

// addresses returns those that the client was given, and of the nodes that are known.
func (c *cluster) addresses() []string {
	known := map[string]bool{}
	for _, addr := range c.client.Options().Addrs {
		known[addr] = true
	}
	c.mu.RLock()
	defer c.mu.RUnlock()
	for addr := range c.members {
		known[addr] = true
	}
	addrs := make([]string, 0, len(known))
	for addr := range known {
		addrs = append(addrs, addr)
	}
	return addrs
}

var errMinority = errors.New("cluster_state is not ok")

// ask returns what one node sees.
func (c *cluster) ask(ctx context.Context, addr string) (*view, error) {
	ctx, cancel := context.WithTimeout(ctx, connectTimeout)
	defer cancel()
	client, known := c.clientOf(addr)
	if !known {
		client = c.connect(addr)
		defer client.Close()
	}
	pipe := client.Pipeline()
	state, served := pipe.ClusterInfo(ctx), pipe.ClusterSlots(ctx)
	if _, err := pipe.Exec(ctx); err != nil {
		return nil, fmt.Errorf("cluster slots: %w", err)
	}
	if !strings.Contains(state.Val(), "cluster_state:ok") {
		return nil, errMinority
	}
	host, _, err := net.SplitHostPort(addr)
	if err != nil {
		return nil, fmt.Errorf("address: %w", err)
	}
	v := &view{}
	for _, r := range served.Val() {
		if len(r.Nodes) == 0 {
			continue
		}
		primary := r.Nodes[0].Addr
		if strings.HasPrefix(primary, ":") { // a node that does not know its own address means the one asked
			primary = net.JoinHostPort(host, primary[1:])
		}
		for slot := r.Start; slot <= r.End && slot < slots; slot++ {
			v[slot] = primary
		}
	}
	return v, nil
}

// clientOf returns the client of a node that is known.
func (c *cluster) clientOf(addr string) (*redis.Client, bool) {
	c.mu.RLock()
	defer c.mu.RUnlock()
	m := c.members[addr]
	if m == nil {
		return nil, false
	}
	return m.shard.client, true
}

// connect returns a client of one node with the settings of the cluster's. It is the caller's, who closes it.
func (c *cluster) connect(addr string) *redis.Client {
	o := c.client.Options()
	client := redis.NewClient(&redis.Options{
		Addr: addr, ClientName: o.ClientName, Dialer: o.Dialer, OnConnect: o.OnConnect, Protocol: o.Protocol,
		Username: o.Username, Password: o.Password, CredentialsProvider: o.CredentialsProvider,
		CredentialsProviderContext: o.CredentialsProviderContext, StreamingCredentialsProvider: o.StreamingCredentialsProvider,
		MaxRetries: -1, DialerRetries: o.DialerRetries, DialTimeout: o.DialTimeout,
		ReadTimeout: o.ReadTimeout, WriteTimeout: o.WriteTimeout, ContextTimeoutEnabled: o.ContextTimeoutEnabled,
		PoolFIFO: o.PoolFIFO, PoolSize: o.PoolSize, PoolTimeout: o.PoolTimeout, MinIdleConns: o.MinIdleConns,
		MaxIdleConns: o.MaxIdleConns, MaxActiveConns: o.MaxActiveConns, PipelinePoolSize: o.PipelinePoolSize,
		ConnMaxIdleTime: o.ConnMaxIdleTime, ConnMaxLifetime: o.ConnMaxLifetime, ConnMaxLifetimeJitter: o.ConnMaxLifetimeJitter,
		DisableIdentity: o.DisableIdentity, IdentitySuffix: o.IdentitySuffix,
		TLSConfig: o.TLSConfig, MaintNotificationsConfig: o.MaintNotificationsConfig,
	})
	if c.options.Hook != nil {
		client.AddHook(c.options.Hook)
	}
	return client
}
