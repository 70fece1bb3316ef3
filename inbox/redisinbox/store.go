package redisinbox

import (
	"context"
	_ "embed"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/tallywire/tallywire/inbox"
	"github.com/tallywire/tallywire/internal/redisfn"
)

//go:embed functions/tallywire_inbox.lua
var librarySource string

// LibraryName is the library's name in Redis.
const LibraryName = "tallywire_inbox"

// Defaults of Options.
const (
	DefaultPrefix  = "tw"
	DefaultTimeout = 2 * time.Second
)

// Options are the settings of a Store. The zero value of a field means its default.
type Options struct {
	// Prefix of all keys; the broker's.
	Prefix string
	// Timeout bounds a call whose context has no earlier deadline.
	Timeout time.Duration
}

// Store is an [inbox.Store] in Redis. It has no state; all methods are safe for concurrent use, as far as the
// contract wants it.
type Store struct {
	client  redis.UniversalClient // static
	waiting redis.UniversalClient // static; for blocking reads, with a connection of its own
	options Options               // static
	library *redisfn.Library
}

var _ inbox.Store = (*Store)(nil)

// New returns a store that works over client; nothing is dialled yet. A client that repeats commands by itself
// does no harm.
func New(client redis.UniversalClient, options Options) (*Store, error) {
	if options.Prefix == "" {
		options.Prefix = DefaultPrefix
	}
	if options.Timeout == 0 {
		options.Timeout = DefaultTimeout
	}
	if strings.ContainsAny(options.Prefix, "{} \t\r\n*?[]") {
		return nil, fmt.Errorf("redisinbox: prefix %q: no braces, blanks or globs", options.Prefix)
	}
	if options.Timeout < 0 {
		return nil, errors.New("redisinbox: timeout: must be positive")
	}
	waiting, err := lone(client)
	if err != nil {
		return nil, fmt.Errorf("redisinbox: %w", err)
	}
	return &Store{
		client: client, waiting: waiting, options: options,
		library: redisfn.New(client, LibraryName, librarySource, options.Timeout),
	}, nil
}

// lone returns a client with the settings of another one and one connection. Of a cluster it is one for each node
// that is asked.
func lone(client redis.UniversalClient) (redis.UniversalClient, error) {
	switch client := client.(type) {
	case *redis.Client:
		// The dialer comes along: for sentinels it asks for the primary each time.
		o := *client.Options()
		o.PoolSize, o.MaxActiveConns, o.MinIdleConns, o.MaxIdleConns, o.MaxRetries = 1, 1, 0, 1, -1
		return redis.NewClient(&o), nil
	case *redis.ClusterClient:
		o := *client.Options()
		o.PoolSize, o.MaxActiveConns, o.MinIdleConns, o.MaxIdleConns, o.MaxRetries = 1, 1, 0, 1, -1
		return redis.NewClusterClient(&o), nil
	default:
		return nil, fmt.Errorf("a client of type %T: wanted one of one Redis or of a cluster", client)
	}
}

// Close closes the connection of Wait. The inbox has ended before.
func (s *Store) Close() error { return s.waiting.Close() }

func (s *Store) inboxKey() string { return s.options.Prefix + ":_inbox" }

// leaseKey is in the slot of the stream, whose name is the hash tag.
func (s *Store) leaseKey() string { return "{" + s.options.Prefix + ":_inbox}:lease" }

// Hold implements [inbox.Store].
func (s *Store) Hold(ctx context.Context, token string, ttl time.Duration) (inbox.Lease, error) {
	reply, err := s.call(ctx, "FCALL", "tw_inbox_hold", 2, s.inboxKey(), s.leaseKey(), token, ttl.Milliseconds())
	if err != nil {
		return inbox.Lease{}, fmt.Errorf("hold: %w", err)
	}
	l, _ := reply.([]any)
	if len(l) != 5 {
		return inbox.Lease{}, unexpected("hold", reply)
	}
	return inbox.Lease{
		Held: integer(l[0]) == 1, Holder: text(l[1]), Left: millis(l[2]), Waiting: integer(l[3]), Oldest: millis(l[4]),
	}, nil
}

// Release implements [inbox.Store].
func (s *Store) Release(ctx context.Context, token string) error {
	if _, err := s.call(ctx, "FCALL", "tw_inbox_release", 1, s.leaseKey(), token); err != nil {
		return fmt.Errorf("release: %w", err)
	}
	return nil
}

// Take implements [inbox.Store]. Where the group is missing, of a Redis that was wiped, say, it is made anew and
// begins with the oldest entry: what is done is not there any more.
func (s *Store) Take(ctx context.Context, token, after string, limit int) (inbox.Batch, error) {
	for {
		reply, err := s.call(ctx, "FCALL", "tw_inbox_take", 2, s.inboxKey(), s.leaseKey(), token, after, limit)
		if err != nil {
			return inbox.Batch{}, fmt.Errorf("take: %w", err)
		}
		words, _ := reply.([]any)
		if len(words)%4 != 1 {
			return inbox.Batch{}, unexpected("take", reply)
		}
		switch text(words[0]) {
		case "lost":
			return inbox.Batch{}, fmt.Errorf("take: %w", inbox.ErrLost)
		case "again":
			continue // pending entries without entries were cleared away, which ends
		}
		batch := inbox.Batch{Claimed: text(words[0]) == "claimed"}
		for i := 1; i+3 < len(words); i += 4 {
			batch.Entries = append(batch.Entries, inbox.Entry{
				ID: text(words[i]), Channel: text(words[i+1]), Event: []byte(text(words[i+2])), Size: int(integer(words[i+3])),
			})
		}
		return batch, nil
	}
}

// Wait implements [inbox.Store]. It reads without the group, so that nothing is taken by a gateway that may have
// lost its lease meanwhile.
func (s *Store) Wait(ctx context.Context, after string, d time.Duration) (bool, error) {
	err := s.waiting.XRead(ctx, &redis.XReadArgs{Streams: []string{s.inboxKey(), after}, Count: 1, Block: d}).Err()
	switch {
	case errors.Is(err, redis.Nil):
		return false, nil
	case err != nil:
		return false, fmt.Errorf("wait: %w", err)
	}
	return true, nil
}

// Done implements [inbox.Store].
func (s *Store) Done(ctx context.Context, ids []string) error {
	args := make([]any, 0, 4+len(ids))
	args = append(args, "FCALL", "tw_inbox_done", 1, s.inboxKey())
	for _, id := range ids {
		args = append(args, id)
	}
	if _, err := s.call(ctx, args...); err != nil {
		return fmt.Errorf("done: %w", err)
	}
	return nil
}

// call runs one function. Where Redis does not know it, the library is loaded and the call repeated.
func (s *Store) call(ctx context.Context, args ...any) (any, error) {
	ctx, cancel := context.WithTimeout(ctx, s.options.Timeout)
	defer cancel()
	reply, err := s.client.Do(ctx, args...).Result()
	if redisfn.NotFound(err) {
		if err := s.library.Ensure(ctx, false); err != nil {
			return nil, err
		}
		reply, err = s.client.Do(ctx, args...).Result()
	}
	return reply, err
}

// Passing reports whether a refusal by Redis passes by itself: it has no memory for the moment.
func Passing(err error) bool {
	reply, ok := errors.AsType[redis.Error](err)
	return ok && strings.HasPrefix(reply.Error(), "OOM ")
}

// Load puts the library into Redis unless a newer version is there.
func (s *Store) Load(ctx context.Context) error { return s.library.Ensure(ctx, true) }

// LibraryState compares the library in Redis with this program's.
func (s *Store) LibraryState(ctx context.Context) (redisfn.State, error) { return s.library.State(ctx) }

// Library returns the source that this program loads.
func (s *Store) Library() string { return s.library.Source() }

// unexpected is the error for a reply that no function of ours gives.
func unexpected(what string, reply any) error {
	return fmt.Errorf("unexpected reply to %s: %.80q", what, fmt.Sprint(reply))
}

func text(v any) string {
	s, _ := v.(string)
	return s
}

func integer(v any) int64 {
	n, _ := v.(int64)
	return n
}

func millis(v any) time.Duration { return time.Duration(max(integer(v), 0)) * time.Millisecond }
