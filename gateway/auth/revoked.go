package auth

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"sync/atomic"
	"time"
)

const (
	// revocationsTimeout bounds one read of the list.
	revocationsTimeout = 5 * time.Second
	// revocationsCooldown is the least time between two reads that tokens ask for.
	revocationsCooldown = time.Second
)

// userRevocation takes back a user's tokens issued before a time.
type userRevocation struct {
	before, expires time.Time
}

// revokedSet is what an Authenticator knows to be revoked. It is immutable.
type revokedSet struct {
	tokens map[string]time.Time // by jti: when it can be forgotten
	users  map[string]userRevocation
}

func (s *revokedSet) has(p *Principal) bool {
	if p.TokenID != "" {
		if _, ok := s.tokens[p.TokenID]; ok {
			return true
		}
	}
	u, ok := s.users[p.User]
	return ok && p.IssuedAt.Before(u.before)
}

func (s *revokedSet) len() int { return len(s.tokens) + len(s.users) }

// revokedList follows a list of revocations. A revocation once seen holds until it expires, even if the
// store forgets it. Safe for concurrent use.
type revokedList struct {
	store Revocations // static
	clock func() time.Time

	set       atomic.Pointer[revokedSet] // nil until the list has been read once
	forgotten atomic.Uint64              // revocations dropped because there were too many
	failures  atomic.Uint64

	// lock is held while the list is read; it is a channel so that waiting ends with a context.
	lock    chan struct{}
	lastTry time.Time // guarded by lock
	lastErr error     // guarded by lock
}

func newRevokedList(store Revocations, clock func() time.Time) *revokedList {
	return &revokedList{store: store, clock: clock, lock: make(chan struct{}, 1)}
}

// has reports whether p is revoked. Before the first reading nothing is.
func (l *revokedList) has(p *Principal) bool {
	set := l.set.Load()
	return set != nil && set.has(p)
}

// ensure reads the list if it has not been read yet.
func (l *revokedList) ensure(ctx context.Context) error {
	if l.set.Load() != nil {
		return nil
	}
	if err := l.acquire(ctx); err != nil {
		return err
	}
	defer l.release()
	if l.set.Load() != nil {
		return nil
	}
	if !l.lastTry.IsZero() && l.clock().Sub(l.lastTry) < revocationsCooldown {
		return l.lastErr
	}
	_, err := l.readLocked(ctx)
	return err
}

// read reads the list and reports whether there was news.
func (l *revokedList) read(ctx context.Context) (bool, error) {
	if err := l.acquire(ctx); err != nil {
		return false, err
	}
	defer l.release()
	return l.readLocked(ctx)
}

func (l *revokedList) acquire(ctx context.Context) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	select {
	case l.lock <- struct{}{}:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

func (l *revokedList) release() { <-l.lock }

func (l *revokedList) readLocked(ctx context.Context) (bool, error) {
	listCtx, cancel := context.WithTimeout(ctx, revocationsTimeout)
	defer cancel()
	list, err := l.store.List(listCtx)
	if ctx.Err() != nil && errors.Is(err, ctx.Err()) {
		return false, err // the caller went away, which says nothing about the store
	}
	l.lastTry, l.lastErr = l.clock(), nil
	if err != nil {
		l.failures.Add(1)
		l.lastErr = fmt.Errorf("revocations: %w", err)
		return false, l.lastErr
	}
	return l.mergeLocked(list), nil
}

// mergeLocked adds the list to what is known, and forgets what has expired.
func (l *revokedList) mergeLocked(list []Revocation) bool {
	old := l.set.Load()
	if old == nil {
		old = &revokedSet{}
	}
	next := &revokedSet{tokens: maps.Clone(old.tokens), users: maps.Clone(old.users)}
	now := l.clock()
	next.forgetExpired(now)
	news := next.add(list, now)
	if next.len() > MaxRevocations {
		// Only the store's own remain, and the store is bounded.
		before := next.len()
		next = &revokedSet{}
		next.add(list, now)
		l.forgotten.Add(uint64(before - next.len())) //nolint:gosec // next holds a part of what it held before
	}
	l.set.Store(next)
	return news
}

// forgetExpired is for a set that nobody else has yet. A margin allows for clocks that differ.
func (s *revokedSet) forgetExpired(now time.Time) {
	limit := now.Add(-MaxSkew)
	maps.DeleteFunc(s.tokens, func(_ string, expires time.Time) bool { return expires.Before(limit) })
	maps.DeleteFunc(s.users, func(_ string, u userRevocation) bool { return u.expires.Before(limit) })
}

// add is for a set that nobody else has yet. It leaves out what has expired, and reports whether anything
// is revoked that was not.
func (s *revokedSet) add(list []Revocation, now time.Time) bool {
	if s.tokens == nil {
		s.tokens = map[string]time.Time{}
	}
	if s.users == nil {
		s.users = map[string]userRevocation{}
	}
	news := false
	limit := now.Add(-MaxSkew)
	for _, r := range list {
		if r.Expires.Before(limit) {
			continue
		}
		if r.TokenID != "" {
			expires, known := s.tokens[r.TokenID]
			news = news || !known
			s.tokens[r.TokenID] = later(expires, r.Expires)
			continue
		}
		u := s.users[r.User]
		news = news || r.Before.After(u.before)
		s.users[r.User] = userRevocation{before: later(u.before, r.Before), expires: later(u.expires, r.Expires)}
	}
	return news
}

func later(a, b time.Time) time.Time {
	if b.After(a) {
		return b
	}
	return a
}
