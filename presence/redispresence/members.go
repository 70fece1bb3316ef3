package redispresence

import (
	"context"
	"encoding/json"
	"fmt"
	"sort"
	"strconv"
	"strings"
	"time"

	"github.com/tallywire/tallywire/presence"
	"github.com/tallywire/tallywire/presence/internal/engine"
)

// sweepLimit bounds the sessions that one call of a function ends, and so the time it keeps Redis busy.
const sweepLimit = 100

// Apply implements engine.Store.
func (s *store) Apply(ctx context.Context, o engine.Owner, ops []engine.Op) []engine.Result {
	commands := make([][]any, len(ops))
	for i := range ops {
		commands[i] = s.command(o.String(), &ops[i])
	}
	results := make([]engine.Result, len(ops))
	cmds, err := s.pipeline(ctx, commands)
	for i := range results {
		if err != nil {
			results[i].Err = err
			continue
		}
		reply, err := cmds[i].Result()
		switch {
		case err != nil:
			results[i].Err = classify(err)
		case reply == nil:
			results[i].Err = errNothing
		default:
			results[i] = parseResult(ops[i].Kind, reply)
		}
	}
	return results
}

func (s *store) command(owner string, op *engine.Op) []any {
	switch op.Kind {
	case engine.Leave:
		return []any{
			"FCALL", "tw_presence_leave", 1, s.channelKey(op.Channel),
			owner, op.Claim, op.User, op.Session, op.Grace.Microseconds(),
		}
	case engine.SetSession:
		first := 0
		if op.First {
			first = 1
		}
		return []any{
			"FCALL", "tw_presence_session", 1, s.userKey(op.User),
			op.Session, owner, op.Claim, first, op.TTL.Milliseconds(), op.Info,
		}
	case engine.RemoveSession:
		return []any{"FCALL", "tw_presence_unsession", 1, s.userKey(op.User), op.Session, op.Claim}
	case engine.Enter:
	}
	mode, status := "keep", string(op.Status)
	if op.Set {
		mode = "set"
	}
	if status == "null" {
		status = ""
	}
	return []any{
		"FCALL", "tw_presence_enter", 1, s.channelKey(op.Channel),
		owner, op.Claim, op.User, op.Session, op.Name, op.Grace.Microseconds(), mode, status,
	}
}

func parseResult(kind engine.Kind, reply any) (r engine.Result) {
	word := text(reply)
	l := list(reply, 2)
	if l != nil {
		word = text(l[0])
	}
	switch word {
	case "ok":
	case "void":
		r.Code = engine.Void
	case "moved":
		r.Code = engine.Moved
	case "full":
		r.Code = engine.Full
	default:
		r.Err = unexpected("a write", reply)
	}
	switch {
	case kind == engine.Enter && l != nil && text(l[1]) != "":
		r.Status = json.RawMessage(text(l[1]))
	case kind == engine.Leave && l != nil:
		r.Left = time.Duration(integer(l[1])) * time.Microsecond
	}
	return r
}

// Reap implements engine.Store.
func (s *store) Reap(ctx context.Context, channel string, dead, heir engine.Owner, seen time.Time) (engine.Sweep, error) {
	reply, err := s.call(ctx, "FCALL", "tw_presence_reap", 1, s.channelKey(channel),
		dead.String(), heir.String(), seen.UnixMicro(), sweepLimit)
	if err != nil {
		return engine.Sweep{}, fmt.Errorf("reap %s in %s: %w", dead, channel, err)
	}
	l := list(reply, 3)
	if l == nil {
		return engine.Sweep{}, unexpected("reap", reply)
	}
	return engine.Sweep{Void: text(l[0]) == "void", More: integer(l[1]) > 0, Next: left(integer(l[2]))}, nil
}

// Expire implements engine.Store.
func (s *store) Expire(ctx context.Context, channel string) (engine.Sweep, error) {
	reply, err := s.call(ctx, "FCALL", "tw_presence_expire", 1, s.channelKey(channel), sweepLimit)
	if err != nil {
		return engine.Sweep{}, fmt.Errorf("expire in %s: %w", channel, err)
	}
	n, ok := reply.(int64)
	if !ok {
		return engine.Sweep{}, unexpected("expire", reply)
	}
	return engine.Sweep{More: n == 0, Next: left(n)}, nil
}

// left turns microseconds into a duration; negative stays negative.
func left(us int64) time.Duration {
	if us < 0 {
		return -1
	}
	return time.Duration(us) * time.Microsecond
}

// Page implements engine.Store.
func (s *store) Page(ctx context.Context, channel string, r presence.PageRequest) (presence.Page, error) {
	reply, err := s.call(ctx, "FCALL_RO", "tw_presence_members", 1, s.channelKey(channel),
		r.After, r.Limit, presence.MaxPageBytes)
	if err != nil {
		return presence.Page{}, err
	}
	l := list(reply, 4)
	if l == nil {
		return presence.Page{}, unexpected("members", reply)
	}
	p := presence.Page{Count: int(integer(l[1])), Sessions: int(integer(l[2])), Next: text(l[3])}
	if p.Version, err = strconv.ParseUint(text(l[0]), 10, 64); err != nil {
		return presence.Page{}, unexpected("members", l[0])
	}
	p.Members = make([]presence.Member, 0, len(l)-4)
	for _, v := range l[4:] {
		m, _, err := parseMember([]byte(text(v)))
		if err != nil {
			return presence.Page{}, unexpected("members", v)
		}
		p.Members = append(p.Members, m)
	}
	return p, nil
}

// Sessions implements engine.Store.
func (s *store) Sessions(ctx context.Context, user string) ([]engine.StoredSession, error) {
	all, err := s.client.HGetAll(ctx, s.userKey(user)).Result()
	if err != nil {
		return nil, classify(err)
	}
	sessions := make([]engine.StoredSession, 0, len(all))
	for id, value := range all {
		owner, rest, _ := strings.Cut(value, "\n")
		claim, info, _ := strings.Cut(rest, "\n")
		o, ok := engine.ParseOwner(owner)
		if !ok {
			continue // not ours
		}
		sessions = append(sessions, engine.StoredSession{Owner: o, Session: id, Claim: claim, Info: []byte(info)})
	}
	sort.Slice(sessions, func(i, j int) bool { return sessions[i].Session < sessions[j].Session })
	return sessions, nil
}
