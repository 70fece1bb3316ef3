package doctor

import (
	"context"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/tallywire/tallywire/internal/redisconn"
	"github.com/tallywire/tallywire/namespace"
)

// Options say what to look at.
type Options struct {
	// Target is the Redis.
	Target *redisconn.Target
	Prefix string
	// Namespaces are those of the gateways: the library is compared with the one that they load.
	Namespaces *namespace.Table
	// Load puts the library into Redis where it is missing, older or different.
	Load bool
}

// patient is the Redis under examination. It is for one goroutine.
type patient struct {
	Options
	client redis.UniversalClient
	name   string            // of what is examined, without secrets
	info   map[string]string // of INFO, by field
	report func(Finding)
}

// Examine reports a finding for each check, in order, and ends early where no further one makes sense.
// It returns whether none failed.
func Examine(ctx context.Context, o Options, report func(Finding)) bool {
	healthy := true
	p := &patient{Options: o, client: o.Target.Client(), name: o.Target.String(), report: func(f Finding) {
		healthy = healthy && f.Status != Fail
		report(f)
	}}
	defer p.client.Close()
	primaries, found := p.primaries(ctx)
	if !found {
		return healthy
	}
	for _, one := range primaries {
		if !one.connection(ctx) || !one.deployment() {
			return healthy
		}
		one.role()
		one.memory()
		one.eviction()
		one.persistence(ctx)
		one.outputBuffers(ctx)
		one.replicas()
		one.clock(ctx)
	}
	p.roundTrip(ctx)
	p.permissions(ctx)
	if p.libraries(ctx) {
		p.delivery(ctx)
	}
	return healthy
}

// connection tells whether Redis answers, and reads INFO.
func (p *patient) connection(ctx context.Context) bool {
	const check = "connection"
	text, err := p.client.Info(ctx).Result()
	if err != nil && strings.HasPrefix(err.Error(), "NOPERM") {
		// Without INFO most checks cannot say anything; that the user is let in is known.
		p.report(warn(check, p.name+", but the user may not run INFO", "allow +info to the user that runs doctor"))
		p.info = map[string]string{}
		return true
	}
	if err != nil {
		advice := p.Target.Advice(err)
		if advice == "" {
			advice = "give the address of a Redis with --redis"
		}
		p.report(fail(check, fmt.Sprintf("%s: %s", p.name, err), advice))
		return false
	}
	p.info = parseInfo(text)
	p.report(ok(check, fmt.Sprintf("%s (%s)", p.name, p.Target.Mode)))
	return true
}

// parseInfo reads the fields of INFO.
func parseInfo(text string) map[string]string {
	info := map[string]string{}
	for l := range strings.Lines(text) {
		if name, value, ok := strings.Cut(strings.TrimSpace(l), ":"); ok && !strings.HasPrefix(name, "#") {
			info[name] = value
		}
	}
	return info
}

// number returns a field of INFO, 0 where it is missing.
func (p *patient) number(field string) int64 {
	n, err := strconv.ParseInt(p.info[field], 10, 64)
	if err != nil {
		return 0
	}
	return n
}

// known reports whether INFO has a field; where it has not, it reports that the check was left out.
func (p *patient) known(check, field string) bool {
	if _, has := p.info[field]; has {
		return true
	}
	p.report(warn(check, "not checked: INFO does not say", ""))
	return false
}

// deployment looks at version and kind.
func (p *patient) deployment() bool {
	const check = "version"
	if p.known(check, "redis_version") {
		name, text, least := "Redis", p.info["redis_version"], 7.0
		if v, valkey := p.info["valkey_version"]; valkey {
			name, text, least = "Valkey", v, 7.2
		}
		if !atLeast(text, least) {
			p.report(fail(check, name+" "+text, fmt.Sprintf("use %s %.1f or newer: functions are needed", name, least)))
			return false
		}
		p.report(ok(check, name+" "+text))
	}
	if p.Target.Mode != redisconn.Cluster && p.info["cluster_enabled"] == "1" {
		p.report(fail("deployment", "a node of a Redis Cluster", "give some of its nodes with redis-cluster://"))
		return false
	}
	return true
}

// atLeast compares the first two numbers of a version.
func atLeast(version string, least float64) bool {
	parts := strings.SplitN(version, ".", 3)
	if len(parts) < 2 {
		return false
	}
	major, err1 := strconv.Atoi(parts[0])
	minor, err2 := strconv.Atoi(parts[1])
	return err1 == nil && err2 == nil && float64(major)+float64(minor)/10 >= least
}

// role tells a replica, which takes no publishes.
func (p *patient) role() {
	const check = "role"
	if !p.known(check, "role") {
		return
	}
	if role := p.info["role"]; role != "master" {
		p.report(fail(check, "a replica of "+p.info["master_host"]+":"+p.info["master_port"],
			"give the address of the primary, or redis-sentinel:// to have it found"))
		return
	}
	p.report(ok(check, "primary"))
}

// within bounds one check.
func within(ctx context.Context) (context.Context, context.CancelFunc) {
	return context.WithTimeout(ctx, 5*time.Second)
}
