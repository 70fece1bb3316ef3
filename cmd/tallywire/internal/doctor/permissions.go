package doctor

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"github.com/tallywire/tallywire/internal/redisconn"
)

// need is a command that somebody needs, in a form that changes nothing: Redis looks at the permission
// before it does anything, so that trying tells the truth whoever the user is.
type need struct {
	what string // as in an ACL rule
	whom string
	args []any
}

// needs lists the commands of the contract. A function may only use what its caller may, so that workers
// need the commands behind tw_publish too.
func (p *patient) needs() []need {
	return slices.Concat(p.publishNeeds(), p.clusterNeeds(), p.presenceNeeds(), p.inboxNeeds(), p.revocationNeeds())
}

func (p *patient) publishNeeds() []need {
	key, seen := p.Prefix+":{_probe.doctor}", p.Prefix+":{_probe.doctor}:seen:doctor"
	const workers, gateways = "workers and gateways", "gateways"
	return []need{
		{"+fcall", workers, []any{"FCALL", "tw_none", 1, key}},
		{"+time", workers, []any{"TIME"}},
		{"+xinfo|stream", workers, []any{"XINFO", "STREAM", key}},
		{"+xadd", workers, []any{"XADD", key, "NOMKSTREAM", "*", "e", ""}},
		{"+pexpire", workers, []any{"PEXPIRE", key, 1}},
		{"+get", workers, []any{"GET", seen}},
		{"+set", workers, []any{"SET", seen, "", "PX", 1, "XX"}},
		{"+publish", workers, []any{"PUBLISH", key, "~"}},
		{"+fcall_ro", gateways, []any{"FCALL_RO", "tw_none", 1, key}},
		{"+xrange", gateways, []any{"XRANGE", key, "-", "+", "COUNT", 1}},
		{"+xrevrange", gateways, []any{"XREVRANGE", key, "+", "-", "COUNT", 1}},
		{"+pttl", gateways, []any{"PTTL", key}},
		{"+xrange", gateways, []any{"XRANGE", p.Prefix + ":_dead", "-", "+", "COUNT", 1}},
		{"+wait", "gateways that acknowledge as replicated", []any{"WAIT", 0, 1}},
		{"+function|list", gateways, []any{"FUNCTION", "LIST", "LIBRARYNAME", "tallywire"}},
		{"+function|load", "gateways, unless doctor --load is run before", []any{"FUNCTION", "LOAD", "none"}},
		{"+ping", gateways, []any{"PING"}},
	}
}

// clusterNeeds are those of a cluster beside the others.
func (p *patient) clusterNeeds() []need {
	if p.Target.Mode != redisconn.Cluster {
		return nil
	}
	const whom = "workers and gateways, of a cluster"
	return []need{
		{"+spublish", whom, []any{"SPUBLISH", p.Prefix + ":{_probe.doctor}", "~"}},
		{"+cluster|slots", whom, []any{"CLUSTER", "SLOTS"}},
		{"+cluster|info", "gateways, of a cluster", []any{"CLUSTER", "INFO"}},
	}
}

// presenceNeeds are those of presence, and of commands over HTTP, which need a part of them. +sadd and +lpush are
// not among them: neither has a form that changes nothing.
func (p *patient) presenceNeeds() []need {
	key := p.Prefix + ":{_probe.doctor}:none"
	const whom = "gateways, for presence and commands over HTTP"
	return []need{
		{"+hset", whom, []any{"HSET", key, "f", "v", "odd"}}, // refused, but after the permission was looked at
		{"+hget", whom, []any{"HGET", key, "f"}},
		{"+hmget", whom, []any{"HMGET", key, "f"}},
		{"+hdel", whom, []any{"HDEL", key, "f"}},
		{"+hlen", whom, []any{"HLEN", key}},
		{"+hgetall", whom, []any{"HGETALL", key}},
		{"+exists", whom, []any{"EXISTS", key}},
		{"+del", whom, []any{"DEL", key}},
		{"+zadd", whom, []any{"ZADD", key, "XX", 0, "_"}},
		{"+zrem", whom, []any{"ZREM", key, "_"}},
		{"+zrange", whom, []any{"ZRANGE", key, 0, 0}},
		{"+zrangebylex", whom, []any{"ZRANGEBYLEX", key, "-", "+"}},
		{"+zrangebyscore", whom, []any{"ZRANGEBYSCORE", key, 0, 0}},
		{"+srem", whom, []any{"SREM", key, "m"}},
		{"+scard", whom, []any{"SCARD", key}},
		{"+srandmember", whom, []any{"SRANDMEMBER", key}},
		{"+sscan", whom, []any{"SSCAN", key, 0}},
		{"+lpos", whom, []any{"LPOS", key, "e"}},
		{"+ltrim", whom, []any{"LTRIM", key, 1, 0}},
	}
}

// inboxNeeds are those of the inbox. The key that is tried is none: trying must not take from it.
func (p *patient) inboxNeeds() []need {
	key, lease := p.Prefix+":{_probe.doctor}:none", "{"+p.Prefix+":_inbox}:lease"
	const whom = "gateways, unless they run with --no-inbox"
	return []need{
		{"+xread", whom, []any{"XREAD", "COUNT", 1, "STREAMS", key, "$"}},
		{"+xreadgroup", whom, []any{"XREADGROUP", "GROUP", "none", "none", "COUNT", 1, "STREAMS", key, ">"}},
		{"+xautoclaim", whom, []any{"XAUTOCLAIM", key, "none", "none", 0, "0", "COUNT", 1}},
		{"+xgroup|create", whom, []any{"XGROUP", "CREATE", key, "none", "0"}},
		{"+xack", whom, []any{"XACK", key, "none", "1-1"}},
		{"+xdel", whom, []any{"XDEL", key, "1-1"}},
		{"+xlen", whom, []any{"XLEN", key}},
		{"~" + lease, whom, []any{"GET", lease}},
	}
}

func (p *patient) revocationNeeds() []need {
	key, revoked := p.Prefix+":{_probe.doctor}", p.Prefix+":_revoked"
	const whom = "gateways, for revoked tokens"
	return []need{
		{"+evalsha", whom, []any{"EVALSHA", strings.Repeat("0", 40), 1, revoked}},
		{"+eval", whom, []any{"EVAL", "return 1", 1, revoked}},
		{"+zscore", whom, []any{"ZSCORE", revoked, "v"}},
		{"+zrange", whom, []any{"ZRANGE", revoked, 0, 0}},
		{"+zcount", whom, []any{"ZCOUNT", revoked, 1, 1}},
		{"+zadd", whom, []any{"ZADD", revoked, "XX", 0, "_"}},
		{"+zrem", whom, []any{"ZREM", revoked, "_"}},
		{"+pexpireat", whom, []any{"PEXPIREAT", key, 1}},
	}
}

// permissions tries everything that workers and gateways need.
func (p *patient) permissions(ctx context.Context) {
	const check = "permissions"
	ctx, cancel := within(ctx)
	defer cancel()
	user, err := p.client.Do(ctx, "ACL", "WHOAMI").Text()
	if err != nil {
		user = "the user"
	}
	missing := map[string][]string{}
	var groups []string
	needs := p.needs()
	for _, n := range needs {
		err := p.client.Do(ctx, n.args...).Err()
		if !denied(err) {
			continue
		}
		switch text := err.Error(); {
		case strings.Contains(text, "keys") && strings.HasPrefix(n.what, "+"):
			n.what = strings.TrimPrefix(n.what, "+") + " on the keys ~" + p.Prefix + ":*"
		case strings.Contains(text, "channel"):
			n.what = strings.TrimPrefix(n.what, "+") + " on the channels &" + p.Prefix + ":*"
		}
		if !slices.Contains(groups, n.whom) {
			groups = append(groups, n.whom)
		}
		if !slices.Contains(missing[n.whom], n.what) { // two keys may need the same
			missing[n.whom] = append(missing[n.whom], n.what)
		}
	}
	if len(missing) == 0 {
		p.report(ok(check, fmt.Sprintf("%s may do all that gateways and workers need (%d commands tried)", user, len(needs))))
		return
	}
	parts := make([]string, len(groups))
	for i, w := range groups {
		parts[i] = strings.Join(missing[w], " ") + " (" + w + ")"
	}
	p.report(fail(check, user+" lacks "+strings.Join(parts, ", "),
		fmt.Sprintf("add what this user is for with ACL SETUSER; keys are ~%s:*, channels &%s:*", p.Prefix, p.Prefix)))
}
