package doctor

import (
	"context"
	"fmt"
	"slices"
	"strings"
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
	key, seen := p.Prefix+":{_probe.doctor}", p.Prefix+":{_probe.doctor}:seen:doctor"
	revoked := p.Prefix + ":_revoked"
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
		{"+evalsha", "gateways, for revoked tokens", []any{"EVALSHA", strings.Repeat("0", 40), 1, revoked}},
		{"+eval", "gateways, for revoked tokens", []any{"EVAL", "return 1", 1, revoked}},
		{"+zscore", "gateways, for revoked tokens", []any{"ZSCORE", revoked, "v"}},
		{"+zrange", "gateways, for revoked tokens", []any{"ZRANGE", revoked, 0, 0}},
		{"+zcount", "gateways, for revoked tokens", []any{"ZCOUNT", revoked, 1, 1}},
		{"+zadd", "gateways, for revoked tokens", []any{"ZADD", revoked, "XX", 0, "_"}},
		{"+zrem", "gateways, for revoked tokens", []any{"ZREM", revoked, "_"}},
		{"+pexpireat", "gateways, for revoked tokens", []any{"PEXPIREAT", key, 1}},
		{"+ping", gateways, []any{"PING"}},
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
		case strings.Contains(text, "keys"):
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
