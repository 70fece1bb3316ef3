package mempresence

import (
	"context"
	"slices"
	"time"

	"github.com/tallywire/tallywire/presence"
	"github.com/tallywire/tallywire/presence/internal/engine"
)

var _ engine.Store = (*view)(nil)

// maxUserSessions bounds the sessions of one user.
const maxUserSessions = 1000

// enter calls f with the store's lock and time, unless a fault keeps the tracker from it.
func (v *view) enter(ctx context.Context, f func(now time.Time)) error {
	if err := v.faults.pass(ctx); err != nil {
		return err
	}
	v.mu.Lock()
	defer v.mu.Unlock()
	f(v.clock())
	return nil
}

// Apply implements engine.Store.
func (v *view) Apply(ctx context.Context, o engine.Owner, ops []engine.Op) []engine.Result {
	results := make([]engine.Result, len(ops))
	err := v.enter(ctx, func(now time.Time) {
		for i := range ops {
			switch op := &ops[i]; op.Kind {
			case engine.Enter:
				results[i] = v.arriveLocked(o, op, now)
			case engine.Leave:
				results[i] = v.departLocked(o, op, now)
			case engine.SetSession:
				results[i].Code = v.setSessionLocked(o, op, now)
			case engine.RemoveSession:
				if v.users[op.User][op.Session].Claim == op.Claim {
					delete(v.users[op.User], op.Session)
				}
			}
		}
	})
	for i := range results {
		if err != nil {
			results[i].Err = err
		}
	}
	return results
}

func (v *view) settleLocked(c *channel, x *session, now time.Time) {
	if change, ok := c.settle(x, now); ok {
		v.publishLocked(change)
	}
}

func (v *view) arriveLocked(o engine.Owner, op *engine.Op, now time.Time) (r engine.Result) {
	c, k := v.channelLocked(op.Channel), sessionKey{op.User, op.Session}
	if c.fenced(o, now) {
		return engine.Result{Code: engine.Void}
	}
	if old := c.moved[k]; old != nil && slices.Contains(old.claims, op.Claim) && old.until.After(now) {
		return engine.Result{Code: engine.Moved}
	}
	c.writes++
	x := c.find(k)
	switch {
	case x == nil:
		if m := c.members[op.User]; m != nil && len(m.sessions) >= presence.MaxSessions {
			return engine.Result{Code: engine.Full}
		}
		x = &session{sessionKey: k, claim: op.Claim, status: none(op.Status)}
		if x.status != nil {
			x.set = c.writes
		}
		c.add(x)
	case x.claim != op.Claim:
		c.replace(k, x.claim, now)
		x.claim = op.Claim
	}
	if op.Set {
		x.status, x.set = none(op.Status), c.writes
	}
	x.name, x.grace, x.live, x.entered = op.Name, op.Grace, true, c.writes
	c.own(x, o)
	v.settleLocked(c, x, now)
	if !op.Set {
		r.Status = x.status
	}
	return r
}

// none returns nil for null.
func none(status []byte) []byte {
	if string(status) == "null" {
		return nil
	}
	return status
}

func (c *channel) replace(k sessionKey, claim string, now time.Time) {
	old := c.moved[k]
	if old == nil {
		old = &replaced{}
		c.moved[k] = old
	}
	old.claims = append(old.claims, claim)
	old.claims = old.claims[max(0, len(old.claims)-movedKept):]
	old.until = now.Add(movedTTL)
}

func (v *view) departLocked(o engine.Owner, op *engine.Op, now time.Time) engine.Result {
	c := v.channelLocked(op.Channel)
	if c.fenced(o, now) {
		return engine.Result{Code: engine.Void}
	}
	x := c.find(sessionKey{op.User, op.Session})
	switch {
	case x == nil || x.claim != op.Claim:
		return engine.Result{}
	case op.Grace <= 0:
		c.remove(x)
		v.settleLocked(c, x, now)
		return engine.Result{}
	case x.live:
		c.own(x, o)
		c.end(x, now.Add(op.Grace))
		v.settleLocked(c, x, now)
	}
	return engine.Result{Left: max(0, x.ends.Sub(now))}
}

func (v *view) setSessionLocked(o engine.Owner, op *engine.Op, now time.Time) engine.Code {
	sessions := v.users[op.User]
	if sessions == nil {
		sessions = map[string]stored{}
		v.users[op.User] = sessions
	}
	before, ok := sessions[op.Session]
	switch {
	case ok && !op.First && before.Claim != op.Claim:
		return engine.Moved
	case !ok && len(sessions) >= maxUserSessions:
		return engine.Full
	}
	sessions[op.Session] = stored{
		StoredSession: engine.StoredSession{Owner: o, Session: op.Session, Claim: op.Claim, Info: op.Info},
		expires:       now.Add(op.TTL),
	}
	return engine.Done
}

// Reap implements engine.Store.
func (v *view) Reap(ctx context.Context, name string, dead, heir engine.Owner, seen time.Time) (sweep engine.Sweep, err error) {
	err = v.enter(ctx, func(now time.Time) {
		c := v.channelLocked(name)
		if c.fenced(heir, now) {
			sweep = engine.Sweep{Void: true, Next: -1}
			return
		}
		c.fences[dead] = now.Add(fenceTTL)
		changed := map[string]*session{}
		for x := range c.at[dead] {
			was := x.live
			if was {
				c.end(x, seen.Add(x.grace))
			}
			if !x.ends.After(now) {
				c.remove(x)
				changed[x.user] = x
				continue
			}
			c.own(x, heir)
			if was && changed[x.user] == nil {
				changed[x.user] = x
			}
		}
		for _, x := range changed {
			v.settleLocked(c, x, now)
		}
		sweep.Next = c.next(now)
	})
	return sweep, err
}

// Expire implements engine.Store.
func (v *view) Expire(ctx context.Context, name string) (sweep engine.Sweep, err error) {
	err = v.enter(ctx, func(now time.Time) {
		c := v.channelLocked(name)
		ended := c.takeEnded(now)
		for _, x := range ended {
			c.remove(x)
		}
		for _, x := range ended {
			if c.members[x.user] != nil {
				v.settleLocked(c, x, now)
			}
		}
		sweep.Next = c.next(now)
	})
	return sweep, err
}

// Page implements engine.Store.
func (v *view) Page(ctx context.Context, name string, r presence.PageRequest) (p presence.Page, err error) {
	err = v.enter(ctx, func(time.Time) {
		if c := v.channels[name]; c != nil {
			p = c.page(r)
		}
	})
	return p, err
}

// Sessions implements engine.Store.
func (v *view) Sessions(ctx context.Context, user string) (out []engine.StoredSession, err error) {
	err = v.enter(ctx, func(now time.Time) {
		for _, x := range v.users[user] {
			if x.expires.After(now) {
				out = append(out, x.StoredSession)
			}
		}
	})
	return out, err
}
