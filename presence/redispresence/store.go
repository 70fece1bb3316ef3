package redispresence

import (
	"context"
	"errors"
	"net/url"

	"github.com/redis/go-redis/v9"

	"github.com/tallywire/tallywire/internal/redisfn"
	"github.com/tallywire/tallywire/presence"
	"github.com/tallywire/tallywire/presence/internal/engine"
)

// store implements engine.Store. It has no state.
type store struct {
	client  redis.UniversalClient // static
	prefix  string                // static
	library *redisfn.Library
}

var _ engine.Store = (*store)(nil)

func (s *store) channelKey(channel string) string { return s.prefix + ":{" + channel + "}" }
func (s *store) leaseKey(gateway string) string   { return s.prefix + ":gateway:" + gateway }
func (s *store) indexKey() string                 { return s.prefix + ":_gateways" }

// listKey and closedKey share a slot. No channel's name has a '/'.
func (s *store) listKey(o engine.Owner) string { return s.prefix + ":{" + o.String() + "}:channels" }

func (s *store) closedKey(o engine.Owner) string { return s.prefix + ":{" + o.String() + "}:closed" }

// userKey escapes the user's id, which may have any characters; escaped, it has no braces.
func (s *store) userKey(user string) string { return s.prefix + ":user:" + url.QueryEscape(user) }

// call runs one function. Where Redis does not know it, the library is loaded and the call repeated.
func (s *store) call(ctx context.Context, args ...any) (any, error) {
	cmds, err := s.pipeline(ctx, [][]any{args})
	if err != nil {
		return nil, err
	}
	reply, err := cmds[0].Result()
	return reply, classify(err)
}

// pipeline runs commands in order and returns them with their replies or errors. Those whose function Redis
// does not know are repeated once, after the library has been loaded. The error is that of loading.
func (s *store) pipeline(ctx context.Context, commands [][]any) ([]*redis.Cmd, error) {
	cmds := s.exec(ctx, commands)
	var again [][]any
	var where []int
	for i, command := range commands {
		if redisfn.NotFound(cmds[i].Err()) {
			again = append(again, command)
			where = append(where, i)
		}
	}
	if len(again) == 0 {
		return cmds, nil
	}
	if err := s.library.Ensure(ctx, false); err != nil {
		return nil, classify(err)
	}
	for i, c := range s.exec(ctx, again) {
		cmds[where[i]] = c
	}
	return cmds, nil
}

func (s *store) exec(ctx context.Context, commands [][]any) []*redis.Cmd {
	cmds := make([]*redis.Cmd, len(commands))
	if len(commands) == 1 {
		cmds[0] = s.client.Do(ctx, commands[0]...)
		return cmds
	}
	pipe := s.client.Pipeline()
	for i, c := range commands {
		cmds[i] = redis.NewCmd(ctx, c...)
		_ = pipe.Process(ctx, cmds[i]) // queued; its error is read after Exec
	}
	if _, err := pipe.Exec(ctx); err != nil {
		if _, reply := errors.AsType[redis.Error](err); !reply {
			for _, c := range cmds { // some may not have been stamped
				if c.Err() == nil && c.Val() == nil {
					c.SetErr(err)
				}
			}
		}
	}
	return cmds
}

// list returns a reply that is a list of so many or more, nil where it is not.
func list(reply any, least int) []any {
	l, _ := reply.([]any)
	if len(l) < least {
		return nil
	}
	return l
}

func text(v any) string {
	s, _ := v.(string)
	return s
}

func integer(v any) int64 {
	n, _ := v.(int64)
	return n
}

var errNothing = errors.Join(presence.ErrUnavailable, errors.New("no reply"))
