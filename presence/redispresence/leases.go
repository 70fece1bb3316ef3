package redispresence

import (
	"context"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/tallywire/tallywire/presence/internal/engine"
)

// closedTTL is how long late writes of a forgotten incarnation are refused.
const closedTTL = time.Hour

// Acquire implements engine.Store.
func (s *store) Acquire(ctx context.Context, gateway string, ttl time.Duration, info []byte) (engine.Owner, error) {
	o := engine.Owner{Gateway: gateway}
	reply, err := s.call(ctx, "FCALL", "tw_presence_acquire", 1, s.leaseKey(gateway), ttl.Milliseconds(), info)
	if err != nil {
		return o, fmt.Errorf("acquire lease: %w", err)
	}
	if o.Incarnation, err = strconv.ParseUint(text(reply), 10, 64); err != nil {
		return o, unexpected("acquire", reply)
	}
	// Indexed before anything is written under it: what no index names, nobody would reap.
	err = s.client.HSet(ctx, s.indexKey(), o.String(), strconv.FormatInt(ttl.Milliseconds(), 10)).Err()
	if err != nil {
		return o, fmt.Errorf("index lease: %w", classify(err))
	}
	return o, nil
}

// Refresh implements engine.Store.
func (s *store) Refresh(ctx context.Context, o engine.Owner, ttl time.Duration, info []byte) (bool, error) {
	reply, err := s.call(ctx, "FCALL", "tw_presence_refresh", 1, s.leaseKey(o.Gateway), o.Incarnation, ttl.Milliseconds(), info)
	if err != nil {
		return false, fmt.Errorf("refresh lease: %w", err)
	}
	return integer(reply) == 1, nil
}

// Release implements engine.Store.
func (s *store) Release(ctx context.Context, o engine.Owner, ttl time.Duration) error {
	reply, err := s.call(ctx, "FCALL", "tw_presence_release", 1, s.leaseKey(o.Gateway), o.Incarnation)
	if err != nil {
		return fmt.Errorf("release lease: %w", err)
	}
	said := strconv.FormatInt(ttl.Milliseconds(), 10) + " " + text(reply)
	if err := s.client.HSet(ctx, s.indexKey(), o.String(), said).Err(); err != nil {
		return fmt.Errorf("release lease: %w", classify(err))
	}
	return nil
}

// Forget implements engine.Store. The index goes last: where it is broken off, it is done again.
func (s *store) Forget(ctx context.Context, o engine.Owner) error {
	if _, err := s.call(ctx, "FCALL", "tw_presence_release", 1, s.leaseKey(o.Gateway), o.Incarnation); err != nil {
		return fmt.Errorf("forget %s: %w", o, err)
	}
	if err := s.client.Del(ctx, s.listKey(o)).Err(); err != nil {
		return fmt.Errorf("forget %s: %w", o, classify(err))
	}
	if err := s.client.HDel(ctx, s.indexKey(), o.String()).Err(); err != nil {
		return fmt.Errorf("forget %s: %w", o, classify(err))
	}
	return nil
}

// Index implements engine.Store.
func (s *store) Index(ctx context.Context) ([]engine.Indexed, error) {
	all, err := s.client.HGetAll(ctx, s.indexKey()).Result()
	if err != nil {
		return nil, fmt.Errorf("index: %w", classify(err))
	}
	index := make([]engine.Indexed, 0, len(all))
	for name, said := range all {
		o, ok := engine.ParseOwner(name)
		if !ok {
			continue // not ours
		}
		i := engine.Indexed{Owner: o}
		ttl, released, _ := strings.Cut(said, " ")
		ms, _ := strconv.ParseInt(ttl, 10, 64)
		i.TTL = time.Duration(ms) * time.Millisecond
		if us, _ := strconv.ParseInt(released, 10, 64); us > 0 {
			i.Released = time.UnixMicro(us)
		}
		index = append(index, i)
	}
	return index, nil
}

// Lookup implements engine.Store.
func (s *store) Lookup(ctx context.Context, gateways []string) ([]engine.Lease, error) {
	commands := make([][]any, len(gateways))
	for i, g := range gateways {
		commands[i] = []any{"FCALL_RO", "tw_presence_lease", 1, s.leaseKey(g)}
	}
	cmds, err := s.pipeline(ctx, commands)
	if err != nil {
		return nil, fmt.Errorf("leases: %w", err)
	}
	leases := make([]engine.Lease, len(gateways))
	for i, c := range cmds {
		reply, err := c.Result()
		if err != nil {
			return nil, fmt.Errorf("leases: %w", classify(err))
		}
		l := list(reply, 5)
		if l == nil {
			return nil, unexpected("lease", reply)
		}
		leases[i] = parseLease(gateways[i], l)
	}
	return leases, nil
}

func parseLease(gateway string, l []any) engine.Lease {
	lease := engine.Lease{Owner: engine.Owner{Gateway: gateway}, Info: []byte(text(l[4]))}
	lease.Incarnation, _ = strconv.ParseUint(text(l[0]), 10, 64)
	lease.Refreshed = micros(text(l[1]))
	lease.Left = max(0, time.Duration(integer(l[2]))*time.Millisecond)
	lease.Now = micros(text(l[3]))
	return lease
}

// micros reads a time of Redis' clock.
func micros(s string) time.Time {
	us, _ := strconv.ParseInt(s, 10, 64)
	return time.UnixMicro(us)
}

// List implements engine.Store.
func (s *store) List(ctx context.Context, o engine.Owner, add, remove []string) (bool, error) {
	args := make([]any, 0, 6+len(add)+len(remove))
	args = append(args, "FCALL", "tw_presence_list", 2, s.listKey(o), s.closedKey(o), len(add))
	for _, c := range add {
		args = append(args, c)
	}
	for _, c := range remove {
		args = append(args, c)
	}
	reply, err := s.call(ctx, args...)
	if err != nil {
		return false, fmt.Errorf("list channels: %w", err)
	}
	return integer(reply) == 1, nil
}

// Close implements engine.Store.
func (s *store) Close(ctx context.Context, o engine.Owner) ([]string, error) {
	if err := s.client.Set(ctx, s.closedKey(o), "1", closedTTL).Err(); err != nil {
		return nil, fmt.Errorf("close %s: %w", o, classify(err))
	}
	var channels []string
	var cursor uint64
	for {
		part, next, err := s.client.SScan(ctx, s.listKey(o), cursor, "", 1000).Result()
		if err != nil {
			return nil, fmt.Errorf("close %s: %w", o, classify(err))
		}
		channels = append(channels, part...)
		if cursor = next; cursor == 0 {
			return channels, nil
		}
	}
}
