package doctor

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/tallywire/tallywire/broker/redisbroker"
	"github.com/tallywire/tallywire/inbox/redisinbox"
	"github.com/tallywire/tallywire/internal/redisconn"
	"github.com/tallywire/tallywire/internal/redisfn"
	"github.com/tallywire/tallywire/presence"
	"github.com/tallywire/tallywire/presence/redispresence"
	"github.com/tallywire/tallywire/receipt/redisreceipt"
)

// clock compares Redis' time with this machine's. Only Redis' counts for stamps; tokens are judged by the
// gateways' clocks.
func (p *patient) clock(ctx context.Context) {
	const check, most = "clock", 2 * time.Second
	ctx, cancel := within(ctx)
	defer cancel()
	before := time.Now()
	theirs, err := p.client.Time(ctx).Result()
	if err != nil {
		p.report(fail(check, err.Error(), adviceDenied(err, "+time")))
		return
	}
	middle := before.Add(time.Since(before) / 2)
	difference := theirs.Sub(middle)
	text := fmt.Sprintf("Redis is %s ahead", difference.Round(time.Millisecond))
	if difference < 0 {
		text = fmt.Sprintf("Redis is %s behind", -difference.Round(time.Millisecond))
	}
	if difference.Abs() > most {
		p.report(warn(check, text+" of this machine: times of events look wrong here", "run a time service (NTP) on both"))
		return
	}
	p.report(ok(check, text))
}

// roundTrip measures the way to Redis and back.
func (p *patient) roundTrip(ctx context.Context) {
	const check, pings, slow = "round trip", 50, 10 * time.Millisecond
	ctx, cancel := within(ctx)
	defer cancel()
	took := make([]time.Duration, 0, pings)
	for range pings {
		start := time.Now()
		if err := p.client.Ping(ctx).Err(); err != nil {
			p.report(fail(check, err.Error(), adviceDenied(err, "+ping")))
			return
		}
		took = append(took, time.Since(start))
	}
	slices.Sort(took)
	p50, worst := took[len(took)/2], took[len(took)-1]
	text := fmt.Sprintf("%s in the median, %s at most, of %d pings", micro(p50), micro(worst), pings)
	if p50 > slow {
		p.report(warn(check, text, "run gateways near Redis: every publish waits for it"))
		return
	}
	p.report(ok(check, text))
}

// libraries looks at the functions in Redis: those of channels, of presence, of commands over HTTP and of the
// inbox. It reports whether Redis has the first, without which nothing can be published.
func (p *patient) libraries(ctx context.Context) bool {
	ctx, cancel := within(ctx)
	defer cancel()
	const check = "functions"
	b, err := redisbroker.New(p.client, redisbroker.Options{Prefix: p.Prefix, Namespaces: p.Namespaces})
	if err != nil {
		p.report(fail(check, err.Error(), "look at --redis-prefix and the namespaces"))
		return false
	}
	found := p.library(ctx, check, redisbroker.LibraryName, "workers cannot publish", b)
	t, err := redispresence.New(p.client, redispresence.Options{Options: presence.Options{Gateway: "doctor"}, Prefix: p.Prefix})
	if err != nil {
		p.report(fail(check, err.Error(), "look at --redis-prefix"))
		return found
	}
	p.library(ctx, "presence", redispresence.LibraryName, "nobody can be present", t)
	r, err := redisreceipt.New(p.client, redisreceipt.Options{Prefix: p.Prefix})
	if err != nil {
		p.report(fail(check, err.Error(), "look at --redis-prefix"))
		return found
	}
	p.library(ctx, "commands", redisreceipt.LibraryName, "numbered commands over HTTP are refused", r)
	i, err := redisinbox.New(p.client, redisinbox.Options{Prefix: p.Prefix})
	if err != nil {
		p.report(fail(check, err.Error(), "look at --redis-prefix"))
		return found
	}
	defer func() { _ = i.Close() }()
	p.library(ctx, "inbox", redisinbox.LibraryName, "what is added to the inbox stays there", i)
	return found
}

// loadable is a library that knows its state in Redis.
type loadable interface {
	LibraryState(ctx context.Context) (redisfn.State, error)
	Load(ctx context.Context) error
}

// library compares a library in Redis with this program's, and loads it where that is asked for. It reports
// whether Redis has any of that name.
func (p *patient) library(ctx context.Context, check, name, without string, lib loadable) bool {
	state, err := lib.LibraryState(ctx)
	if err != nil {
		p.report(fail(check, err.Error(), adviceDenied(err, "+function|list")))
		return false
	}
	loaded := ""
	if p.Load && state != redisfn.Same && state != redisfn.Newer {
		loaded = fmt.Sprintf(", loaded now (was %s)", state)
		if err := lib.Load(ctx); err != nil {
			p.report(fail(check, err.Error(), adviceDenied(err, "+function|load")))
			return state != redisfn.Missing
		}
		if state, err = lib.LibraryState(ctx); err != nil {
			p.report(fail(check, err.Error(), adviceDenied(err, "+function|list")))
			return true
		}
	}
	switch state {
	case redisfn.Same:
		p.report(ok(check, "library "+name+" is this program's"+loaded))
	case redisfn.Missing:
		p.report(fail(check, "library "+name+" is not loaded: "+without, "run this with --load, or start a gateway"))
		return false
	case redisfn.Older:
		p.report(warn(check, "an older library than this program's", "run this with --load, or start a gateway of this version"))
	case redisfn.Newer:
		p.report(warn(check, "a newer library than this program's", "update this program; a newer library is never replaced"))
	case redisfn.Different:
		p.report(warn(check, "the same version with other namespaces than configured here",
			"give the gateways' file with --config; if it is theirs already, --load puts it into effect"))
	}
	return true
}

// delivery publishes to a probe channel and waits for the event to come back, as an event to a subscriber
// would. The channel expires within seconds.
func (p *patient) delivery(ctx context.Context) {
	const check = "delivery"
	ctx, cancel := within(ctx)
	defer cancel()
	key := p.Prefix + ":{_probe." + rand.Text() + "}"
	subscribe, need := p.client.Subscribe, "+subscribe"
	if p.Target.Mode == redisconn.Cluster {
		subscribe, need = p.client.SSubscribe, "+ssubscribe"
	}
	sub := subscribe(ctx, key)
	defer sub.Close()
	if _, err := sub.Receive(ctx); err != nil {
		p.report(fail(check, "subscribe: "+err.Error(), adviceDenied(err, need+" &"+p.Prefix+":*")))
		return
	}
	start := time.Now()
	reply, err := p.client.FCall(ctx, "tw_publish", []string{key}, `{"type":"probe"}`, "maxlen=1", "ttl_ms=10000").Slice()
	if err != nil {
		p.report(fail(check, "publish: "+err.Error(), "see what is said above about permissions and memory"))
		return
	}
	stored := time.Since(start)
	message, err := sub.ReceiveMessage(ctx)
	if err != nil {
		p.report(fail(check, "published, but not heard: "+err.Error(), "look whether pub/sub reaches this machine"))
		return
	}
	if len(reply) == 0 || !strings.HasPrefix(message.Payload, fmt.Sprint(reply[0])+" ") {
		p.report(fail(check, "what was heard is not what was published", "look whether another program publishes to "+key))
		return
	}
	p.report(ok(check, fmt.Sprintf("stored in %s, heard after %s", micro(stored), micro(time.Since(start)))))
}

func micro(d time.Duration) string { return d.Round(10 * time.Microsecond).String() }

// adviceDenied says what a refused user needs, or where else to look.
func adviceDenied(err error, need string) string {
	if denied(err) {
		return "give the user " + need
	}
	return "look at Redis' log, and run this again"
}

// denied reports whether the user may not do something.
func denied(err error) bool {
	var reply redis.Error
	return errors.As(err, &reply) && strings.HasPrefix(reply.Error(), "NOPERM")
}
