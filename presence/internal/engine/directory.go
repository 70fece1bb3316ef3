package engine

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"

	"github.com/tallywire/tallywire/presence"
)

const maxAgent = 256

// SetSession implements presence.Directory.
func (e *Engine) SetSession(ctx context.Context, s presence.SessionInfo) error {
	if err := s.Validate(); err != nil {
		return fmt.Errorf("session: %w", err)
	}
	s.Gateway = e.options.Gateway
	s.ChannelCount = max(s.ChannelCount, len(s.Channels))
	s.Channels = s.Channels[:min(len(s.Channels), presence.MaxSessionChannels)]
	s.UserAgent = s.UserAgent[:min(len(s.UserAgent), maxAgent)]
	info, err := json.Marshal(s)
	if err != nil {
		return fmt.Errorf("session: %w: %w", presence.ErrInvalid, err)
	}
	err = e.tell(ctx, key{"", s.User, s.Session}, e.marker+s.Claim, true, func(l *local) { l.info = info })
	if err != nil {
		return fmt.Errorf("session of %s: %w", s.User, err)
	}
	return nil
}

// RemoveSession implements presence.Directory.
func (e *Engine) RemoveSession(ctx context.Context, user, session, claim string) error {
	s := presence.SessionInfo{User: user, Session: session, Claim: claim}
	if err := s.Validate(); err != nil {
		return fmt.Errorf("session: %w", err)
	}
	err := e.tell(ctx, key{"", user, session}, e.marker+claim, false, func(l *local) { l.now = true })
	if err != nil && !errors.Is(err, presence.ErrMoved) {
		return fmt.Errorf("session of %s: %w", user, err)
	}
	return nil
}

// UserSessions implements presence.Directory.
func (e *Engine) UserSessions(ctx context.Context, user string) ([]presence.SessionInfo, error) {
	check := presence.SessionInfo{User: user, Session: "-", Claim: "-"}
	if err := check.Validate(); err != nil {
		return nil, fmt.Errorf("sessions: %w", err)
	}
	ctx, cancel := e.within(ctx)
	defer cancel()
	stored, err := e.store.Sessions(ctx, user)
	if err != nil {
		return nil, fmt.Errorf("sessions of %s: %w", user, err)
	}
	holders, err := e.holders(ctx, stored)
	if err != nil {
		return nil, fmt.Errorf("sessions of %s: %w", user, err)
	}
	sessions := make([]presence.SessionInfo, 0, len(stored))
	var orphans []Op
	for _, s := range stored {
		if holders[s.Owner.Gateway] != s.Owner {
			orphans = append(orphans, Op{Kind: RemoveSession, User: user, Session: s.Session, Claim: s.Claim})
			continue
		}
		var i presence.SessionInfo
		if err := json.Unmarshal(s.Info, &i); err != nil {
			continue // of no program of ours
		}
		sessions = append(sessions, i)
	}
	if owner, ok := e.hold(); ok && len(orphans) > 0 {
		e.store.Apply(ctx, owner, orphans) // on the way; the list expires by itself, too
	}
	slices.SortFunc(sessions, func(a, b presence.SessionInfo) int {
		return cmp.Or(a.Since.Compare(b.Since), cmp.Compare(a.Session, b.Session))
	})
	return sessions, nil
}

// holders returns which incarnation holds the lease of each gateway that is named.
func (e *Engine) holders(ctx context.Context, stored []StoredSession) (map[string]Owner, error) {
	holders := map[string]Owner{}
	var gateways []string
	for _, s := range stored {
		if _, ok := holders[s.Owner.Gateway]; !ok {
			holders[s.Owner.Gateway] = Owner{}
			gateways = append(gateways, s.Owner.Gateway)
		}
	}
	if len(gateways) == 0 {
		return holders, nil
	}
	leases, err := e.store.Lookup(ctx, gateways)
	if err != nil {
		return nil, err
	}
	for i, g := range gateways {
		holders[g] = leases[i].Owner
	}
	return holders, nil
}

// Gateways implements presence.Directory.
func (e *Engine) Gateways(ctx context.Context) ([]presence.GatewayInfo, error) {
	ctx, cancel := e.within(ctx)
	defer cancel()
	index, err := e.store.Index(ctx)
	if err != nil {
		return nil, fmt.Errorf("gateways: %w", err)
	}
	ids := make([]string, len(index))
	for i := range index {
		ids[i] = index[i].Gateway
	}
	leases, err := e.store.Lookup(ctx, ids)
	if err != nil {
		return nil, fmt.Errorf("gateways: %w", err)
	}
	out := make([]presence.GatewayInfo, 0, len(index))
	for i := range index {
		g := presence.GatewayInfo{ID: ids[i], Incarnation: index[i].Incarnation}
		if l := leases[i]; l.Owner == index[i].Owner {
			g.Live, g.Left, g.Age = true, l.Left, max(0, l.Now.Sub(l.Refreshed))
			var said info
			if json.Unmarshal(l.Info, &said) == nil {
				g.Version, g.Address, g.Start, g.Report = said.Version, said.Address, said.Start, said.Report
			}
		} else if leases[i].Incarnation > 0 {
			continue // the gateway lives in another incarnation, which stands for it
		} else if !index[i].Released.IsZero() {
			continue // it went by itself; what it has left is in grace
		}
		out = append(out, g)
	}
	slices.SortFunc(out, func(a, b presence.GatewayInfo) int {
		return cmp.Or(cmp.Compare(a.ID, b.ID), cmp.Compare(b.Incarnation, a.Incarnation))
	})
	return out, nil
}

// Stats are counters since the start.
func (e *Engine) Stats() presence.Stats {
	e.mu.Lock()
	entries, members, listed, waiting := len(e.table), e.members, len(e.lists), len(e.dirty)
	owner := e.owner
	e.mu.Unlock()
	s := e.stats.read()
	s.Entries, s.Members, s.Channels, s.Waiting, s.Incarnation = entries, members, listed, waiting, owner.Incarnation
	return s
}
