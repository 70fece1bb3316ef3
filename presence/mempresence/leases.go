package mempresence

import (
	"context"
	"maps"
	"slices"
	"time"

	"github.com/tallywire/tallywire/presence/internal/engine"
)

// leaseLocked returns a gateway's lease, unless it has ended.
func (v *view) leaseLocked(gateway string, now time.Time) (lease, bool) {
	l, ok := v.leases[gateway]
	if ok && !l.expires.After(now) {
		delete(v.leases, gateway)
		ok = false
	}
	return l, ok
}

// Acquire implements engine.Store.
func (v *view) Acquire(ctx context.Context, gateway string, ttl time.Duration, info []byte) (o engine.Owner, err error) {
	err = v.enter(ctx, func(now time.Time) {
		o = engine.Owner{Gateway: gateway, Incarnation: uint64(max(1, now.UnixMicro()))}
		for other := range v.index {
			if other.Gateway == gateway {
				o.Incarnation = max(o.Incarnation, other.Incarnation+1)
			}
		}
		v.leases[gateway] = lease{owner: o, refreshed: now, expires: now.Add(ttl), info: info}
		v.index[o] = engine.Indexed{Owner: o, TTL: ttl}
	})
	return o, err
}

// Refresh implements engine.Store.
func (v *view) Refresh(ctx context.Context, o engine.Owner, ttl time.Duration, info []byte) (held bool, err error) {
	err = v.enter(ctx, func(now time.Time) {
		l, ok := v.leaseLocked(o.Gateway, now)
		if held = ok && l.owner == o; held {
			v.leases[o.Gateway] = lease{owner: o, refreshed: now, expires: now.Add(ttl), info: info}
		}
		v.sweepLocked(now)
	})
	return held, err
}

func (v *view) dropLeaseLocked(o engine.Owner) {
	if v.leases[o.Gateway].owner == o {
		delete(v.leases, o.Gateway)
	}
}

// Release implements engine.Store.
func (v *view) Release(ctx context.Context, o engine.Owner, ttl time.Duration) error {
	return v.enter(ctx, func(now time.Time) {
		v.dropLeaseLocked(o)
		v.index[o] = engine.Indexed{Owner: o, TTL: ttl, Released: now}
	})
}

// Forget implements engine.Store.
func (v *view) Forget(ctx context.Context, o engine.Owner) error {
	return v.enter(ctx, func(time.Time) {
		v.dropLeaseLocked(o)
		delete(v.lists, o)
		delete(v.index, o)
	})
}

// Index implements engine.Store.
func (v *view) Index(ctx context.Context) (index []engine.Indexed, err error) {
	err = v.enter(ctx, func(time.Time) { index = slices.Collect(maps.Values(v.index)) })
	return index, err
}

// Lookup implements engine.Store.
func (v *view) Lookup(ctx context.Context, gateways []string) (leases []engine.Lease, err error) {
	err = v.enter(ctx, func(now time.Time) {
		for _, g := range gateways {
			found := engine.Lease{Owner: engine.Owner{Gateway: g}, Now: now}
			if l, ok := v.leaseLocked(g, now); ok {
				found.Owner, found.Refreshed, found.Left, found.Info = l.owner, l.refreshed, l.expires.Sub(now), l.info
			}
			leases = append(leases, found)
		}
	})
	return leases, err
}

// List implements engine.Store.
func (v *view) List(ctx context.Context, o engine.Owner, add, remove []string) (open bool, err error) {
	err = v.enter(ctx, func(now time.Time) {
		if open = !v.closed[o].After(now); !open {
			return
		}
		if v.lists[o] == nil {
			v.lists[o] = map[string]bool{}
		}
		for _, c := range add {
			v.lists[o][c] = true
		}
		for _, c := range remove {
			delete(v.lists[o], c)
		}
	})
	return open, err
}

// Close implements engine.Store.
func (v *view) Close(ctx context.Context, o engine.Owner) (channels []string, err error) {
	err = v.enter(ctx, func(now time.Time) {
		v.closed[o] = now.Add(fenceTTL)
		channels = slices.Collect(maps.Keys(v.lists[o]))
	})
	return channels, err
}
