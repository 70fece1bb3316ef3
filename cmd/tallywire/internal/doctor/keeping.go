package doctor

import (
	"context"
	"fmt"
	"strconv"
	"strings"
)

// memory looks how full Redis is.
func (p *patient) memory() {
	const check = "memory"
	if !p.known(check, "maxmemory") {
		return
	}
	used, most := p.number("used_memory"), p.number("maxmemory")
	switch {
	case most == 0:
		p.report(warn(check, size(used)+" used, without a limit",
			"set maxmemory below what the machine has: with a limit publishes are refused, without one the kernel ends Redis"))
	case used*100 >= most*95:
		p.report(fail(check, fmt.Sprintf("%s of %s used: publishes are refused soon, or are already", size(used), size(most)),
			"raise maxmemory, or lower maxlen and ttl of the namespaces"))
	case used*100 >= most*80:
		p.report(warn(check, fmt.Sprintf("%s of %s used", size(used), size(most)), "raise maxmemory, or lower maxlen and ttl of the namespaces"))
	default:
		p.report(ok(check, fmt.Sprintf("%s of %s used", size(used), size(most))))
	}
}

// eviction looks at what Redis does when it is full.
func (p *patient) eviction() {
	const check = "eviction"
	if !p.known(check, "maxmemory_policy") {
		return
	}
	policy := p.info["maxmemory_policy"]
	const advice = "CONFIG SET maxmemory-policy noeviction (and in redis.conf)"
	switch {
	case policy == "noeviction":
		p.report(ok(check, policy))
	case p.number("maxmemory") == 0:
		p.report(warn(check, policy+", which does nothing as long as maxmemory is 0", advice))
	default:
		p.report(fail(check, policy+": channels vanish when memory is short, and their subscribers are reset", advice))
	}
}

// persistence looks at what survives a restart.
func (p *patient) persistence(ctx context.Context) {
	const check = "persistence"
	if !p.known(check, "aof_enabled") {
		return
	}
	config := p.config(ctx, "appendfsync", "save")
	switch {
	case p.info["aof_enabled"] == "1" && p.info["aof_last_write_status"] == "err":
		p.report(fail(check, "the append-only file cannot be written: Redis refuses publishes", "look at the disk and at Redis' log"))
	case p.info["aof_enabled"] == "1" && config["appendfsync"] == "no":
		p.report(warn(check, "append-only file, written out when the kernel likes to", "CONFIG SET appendfsync everysec"))
	case p.info["aof_enabled"] == "1":
		detail := "append-only file"
		if fsync := config["appendfsync"]; fsync != "" {
			detail += ", fsync " + fsync
		}
		p.report(ok(check, detail))
	case p.info["rdb_last_bgsave_status"] == "err":
		p.report(fail(check, "the last snapshot was not written: Redis refuses publishes unless told otherwise", "look at the disk and at Redis' log"))
	case config["save"] == "":
		p.report(warn(check, "none is known of: after a restart channels are empty, and subscribers are told by a reset", "CONFIG SET appendonly yes (and in redis.conf)"))
	default:
		p.report(warn(check, "snapshots only: a restart loses what came after the last, and subscribers are told by a reset",
			"CONFIG SET appendonly yes (and in redis.conf)"))
	}
}

// config reads settings; those that it may not read are missing.
func (p *patient) config(ctx context.Context, names ...string) map[string]string {
	ctx, cancel := within(ctx)
	defer cancel()
	out := map[string]string{}
	for _, name := range names {
		values, err := p.client.ConfigGet(ctx, name).Result()
		if err != nil {
			continue
		}
		for k, v := range values {
			out[k] = v
		}
	}
	return out
}

// leastBuffer is about what a gateway may be behind by for a moment without being cut off.
const leastBuffer = 8 << 20

// outputBuffers looks when Redis cuts off a pub/sub connection that is behind.
func (p *patient) outputBuffers(ctx context.Context) {
	const check = "pub/sub buffer"
	setting, has := p.config(ctx, "client-output-buffer-limit")["client-output-buffer-limit"]
	if !has {
		p.report(warn(check, "not checked: the user may not run CONFIG GET", ""))
		return
	}
	fields := strings.Fields(setting)
	for i := 0; i+3 < len(fields); i += 4 {
		if fields[i] != "pubsub" {
			continue
		}
		hard, err1 := strconv.ParseInt(fields[i+1], 10, 64)
		soft, err2 := strconv.ParseInt(fields[i+2], 10, 64)
		if err1 != nil || err2 != nil {
			break
		}
		detail := fmt.Sprintf("%s hard, %s for %s s", size(hard), size(soft), fields[i+3])
		if hard > 0 && hard < leastBuffer || soft > 0 && soft < leastBuffer/8 {
			p.report(warn(check, detail+": gateways are cut off at bursts, and read what they missed",
				"CONFIG SET client-output-buffer-limit 'pubsub 33554432 8388608 60'"))
			return
		}
		p.report(ok(check, detail))
		return
	}
	p.report(warn(check, "not checked: "+setting, ""))
}

// Bounds of what a replica may be behind by.
const (
	lagSeconds = 10
	lagBytes   = 8 << 20
)

// replicas looks at who could take over.
func (p *patient) replicas() {
	const check = "replicas"
	if !p.known(check, "connected_slaves") || p.info["role"] != "master" {
		return
	}
	count := p.number("connected_slaves")
	if count == 0 {
		p.report(warn(check, "none: publishes can be acknowledged as stored, not as replicated, and a lost disk is a lost log",
			"add a replica where losing events matters"))
		return
	}
	var behind []string
	for i := range count {
		name := "slave" + strconv.FormatInt(i, 10)
		replica := map[string]string{}
		for pair := range strings.SplitSeq(p.info[name], ",") {
			key, value, _ := strings.Cut(pair, "=")
			replica[key] = value
		}
		lag, _ := strconv.ParseInt(replica["lag"], 10, 64)
		offset, _ := strconv.ParseInt(replica["offset"], 10, 64)
		missing := p.number("master_repl_offset") - offset
		if replica["state"] != "online" || lag > lagSeconds || missing > lagBytes {
			behind = append(behind, fmt.Sprintf("%s:%s is %s, %d s and %s behind", replica["ip"], replica["port"], replica["state"], lag, size(max(0, missing))))
		}
	}
	if len(behind) > 0 {
		p.report(warn(check, strings.Join(behind, "; "), "look at the network between them; a failover now would lose events"))
		return
	}
	p.report(ok(check, fmt.Sprintf("%d, up to date", count)))
}

// size writes bytes for people.
func size(n int64) string {
	const unit = 1024
	if n < unit {
		return fmt.Sprintf("%d B", n)
	}
	value, units := float64(n)/unit, []string{"KB", "MB", "GB", "TB"}
	i := 0
	for value >= unit && i < len(units)-1 {
		value, i = value/unit, i+1
	}
	return fmt.Sprintf("%.1f %s", value, units[i])
}
