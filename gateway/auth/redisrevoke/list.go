// Package redisrevoke keeps the list of revoked tokens in Redis, for all gateways.
//
// [List.Revoke] adds to it in one atomic step that also rings at every gateway; [List] is the
// auth.Revocations of a gateway. The list is one sorted set under <prefix>:_revoked, and revoke.lua says
// what is in it. Entries end with the tokens they are about, by Redis's clock.
package redisrevoke

import (
	"context"
	_ "embed"
	"errors"
	"fmt"
	"math/rand/v2"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/tallywire/tallywire/gateway/auth"
)

// DefaultPrefix is the prefix of keys when none is given.
const DefaultPrefix = "tw"

// expiryMargin is how much longer than its tokens a revocation is kept, for clocks that differ.
const expiryMargin = time.Minute

// watchPause is the longest wait before a lost subscription is made again.
const watchPause = time.Second

//go:embed revoke.lua
var revokeSource string

//go:embed list.lua
var listSource string

var (
	revokeScript = redis.NewScript(revokeSource)
	listScript   = redis.NewScript(listSource)
)

// List is the list of revocations. Safe for concurrent use.
type List struct {
	client redis.UniversalClient // static
	key    string                // static; the list, and its pub/sub channel
	max    int                   // static

	mu      sync.Mutex
	version string            // guarded by mu; of cached
	cached  []auth.Revocation // guarded by mu; replaced, never changed
}

var _ auth.Revocations = (*List)(nil)

// New returns the list under a prefix; "" means [DefaultPrefix]. The client stays the caller's.
func New(client redis.UniversalClient, prefix string) *List {
	if prefix == "" {
		prefix = DefaultPrefix
	}
	return &List{client: client, key: prefix + ":_revoked", max: auth.MaxRevocations}
}

// Revoke adds a revocation and tells every gateway. Doing so again is no error: the later time of each
// holds, so that it may be repeated after an error that leaves open whether it took effect. When it returns
// nil the primary has it; gateways that the broadcast did not reach read it in turn.
// A list that is full gives [auth.ErrRevocationsFull].
func (l *List) Revoke(ctx context.Context, r auth.Revocation) error {
	if err := r.Validate(); err != nil {
		return err
	}
	kind, name, before, expires := "t", r.TokenID, "", ""
	if r.User != "" {
		kind, name = "u", r.User
		if !r.Before.IsZero() {
			before = strconv.FormatInt(r.Before.UnixMicro(), 10)
		}
	}
	if !r.Expires.IsZero() {
		expires = strconv.FormatInt(r.Expires.Add(expiryMargin).UnixMilli(), 10)
	}
	result, err := revokeScript.Run(ctx, l.client, []string{l.key},
		kind, name, before, expires, auth.DefaultRevocationKeep.Milliseconds(), l.max).Text()
	switch {
	case err != nil:
		return fmt.Errorf("revoke: %w", err)
	case result == "full":
		return auth.ErrRevocationsFull
	}
	return nil
}

// List returns what is revoked. It reads the whole list only when that has changed since the last call.
func (l *List) List(ctx context.Context) ([]auth.Revocation, error) {
	l.mu.Lock()
	version, cached := l.version, l.cached
	l.mu.Unlock()

	reply, err := listScript.Run(ctx, l.client, []string{l.key}, version).Slice()
	if err != nil {
		return nil, fmt.Errorf("list: %w", err)
	}
	if len(reply) == 1 {
		return cached, nil
	}
	version, list, err := parseReply(reply)
	if err != nil {
		return nil, fmt.Errorf("list %s: %w", l.key, err)
	}
	l.mu.Lock()
	l.version, l.cached = version, list
	l.mu.Unlock()
	return list, nil
}

var errReply = errors.New("unexpected reply")

// parseReply reads what list.lua returns for a list that has changed.
func parseReply(reply []any) (string, []auth.Revocation, error) {
	if len(reply) != 2 {
		return "", nil, errReply
	}
	version, ok := reply[0].(string)
	pairs, isList := reply[1].([]any)
	if !ok || !isList || len(pairs)%2 != 0 {
		return "", nil, errReply
	}
	list := make([]auth.Revocation, 0, len(pairs)/2)
	befores := map[string]time.Time{}
	// Values are negative, so that a user's time comes before the user.
	for i := 0; i < len(pairs); i += 2 {
		member, ok := pairs[i].(string)
		text, isText := pairs[i+1].(string)
		if !ok || !isText {
			return "", nil, errReply
		}
		score, err := strconv.ParseFloat(text, 64)
		if err != nil {
			return "", nil, fmt.Errorf("score of a member: %w", err)
		}
		kind, name, _ := strings.Cut(member, ":")
		switch kind {
		case "b":
			befores[name] = time.UnixMicro(int64(-score))
		case "t":
			list = append(list, auth.Revocation{TokenID: name, Expires: time.UnixMilli(int64(score))})
		case "u":
			list = append(list, auth.Revocation{
				User: name, Before: befores[name], Expires: time.UnixMilli(int64(score)),
			})
		}
	}
	return version, list, nil
}

// Watch calls changed for every broadcast, and after each time it has subscribed, since broadcasts before
// that were missed. A connection that is silently dead is not noticed here.
func (l *List) Watch(ctx context.Context, changed func()) error {
	sub := l.client.Subscribe(ctx, l.key)
	defer sub.Close()
	// Receive does not end with ctx by itself.
	stop := context.AfterFunc(ctx, func() { sub.Close() })
	defer stop()
	for {
		message, err := sub.Receive(ctx)
		if ctx.Err() != nil {
			return nil
		}
		if err != nil {
			if errors.Is(err, redis.ErrClosed) {
				return fmt.Errorf("watch %s: %w", l.key, err)
			}
			pause(ctx)
			continue
		}
		switch message.(type) {
		case *redis.Subscription, *redis.Message:
			changed()
		}
	}
}

// pause waits before the next attempt, differently long in each gateway.
func pause(ctx context.Context) {
	timer := time.NewTimer(watchPause/2 + rand.N(watchPause/2))
	defer timer.Stop()
	select {
	case <-timer.C:
	case <-ctx.Done():
	}
}
