package auth

import (
	"context"
	"sync"
	"time"
)

// Memory is a list of revocations for one process. Safe for concurrent use.
type Memory struct {
	clock func() time.Time

	mu       sync.Mutex
	set      revokedSet                 // guarded by mu
	watchers map[chan struct{}]struct{} // guarded by mu; each holds one ring
}

var _ Revocations = (*Memory)(nil)

// NewMemory returns an empty list. A nil clock means time.Now.
func NewMemory(clock func() time.Time) *Memory {
	if clock == nil {
		clock = time.Now
	}
	return &Memory{clock: clock, watchers: map[chan struct{}]struct{}{}}
}

// Revoke adds a revocation. Doing so again is no error.
func (m *Memory) Revoke(ctx context.Context, r Revocation) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	if err := r.Validate(); err != nil {
		return err
	}
	now := m.clock()
	if r.Before.IsZero() {
		r.Before = now
	}
	if r.Expires.IsZero() {
		r.Expires = now.Add(DefaultRevocationKeep)
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	m.set.forgetExpired(now)
	_, hasToken := m.set.tokens[r.TokenID]
	_, hasUser := m.set.users[r.User]
	if !hasToken && !hasUser && m.set.len() >= MaxRevocations {
		return ErrRevocationsFull
	}
	m.set.add([]Revocation{r}, now)
	for ring := range m.watchers {
		select {
		case ring <- struct{}{}:
		default: // it has not answered the last one yet
		}
	}
	return nil
}

// List returns what is revoked.
func (m *Memory) List(ctx context.Context) ([]Revocation, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	m.set.forgetExpired(m.clock())
	list := make([]Revocation, 0, m.set.len())
	for id, expires := range m.set.tokens {
		list = append(list, Revocation{TokenID: id, Expires: expires})
	}
	for user, u := range m.set.users {
		list = append(list, Revocation{User: user, Before: u.before, Expires: u.expires})
	}
	return list, nil
}

// Watch calls changed after each Revoke, once for several that come fast.
func (m *Memory) Watch(ctx context.Context, changed func()) error {
	ring := make(chan struct{}, 1)
	m.mu.Lock()
	m.watchers[ring] = struct{}{}
	m.mu.Unlock()
	defer func() {
		m.mu.Lock()
		delete(m.watchers, ring)
		m.mu.Unlock()
	}()
	for {
		select {
		case <-ring:
			changed()
		case <-ctx.Done():
			return nil
		}
	}
}
