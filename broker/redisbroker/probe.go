package redisbroker

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"strconv"
	"sync"
	"time"

	"github.com/tallywire/tallywire/broker"
)

// probeTTL is how long a probe's stream outlives its gateway.
const probeTTL = time.Minute

var errNotHeard = errors.New("published and not heard")

// prober publishes to a channel of its own, through the lane that publications take, and expects its
// events on the hub's connection. A pub/sub connection can be dead for minutes without an error (a
// frozen or unreachable primary, a failover); a probe that stays away is the only sign.
type prober struct {
	b    *shard
	kick chan struct{} // buffered by one: the connection has settled

	mu      sync.Mutex
	channel string        // guarded by mu
	seq     uint64        // guarded by mu: of the last probe sent
	sent    [16]time.Time // guarded by mu: when, by seq modulo
	waiting time.Time     // guarded by mu: since when a probe has been missing; zero if none is
	err     error         // guarded by mu: why the last one could not be published
}

func newProber(b *shard, channel string) *prober {
	return &prober{b: b, channel: channel, kick: make(chan struct{}, 1)}
}

// name returns the channel of the probes.
func (p *prober) name() string {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.channel
}

// rename has the probes go through another channel, whose slot is here.
func (p *prober) rename(channel string) {
	p.mu.Lock()
	old := p.channel
	p.channel, p.waiting = channel, time.Time{}
	p.mu.Unlock()
	p.b.hub.want(p.b.key(channel), channel, true)
	p.b.hub.release(p.b.key(old))
}

// restart lets the prober begin anew with a connection that has settled.
func (p *prober) restart() {
	p.mu.Lock()
	p.waiting, p.err = time.Time{}, nil
	p.mu.Unlock()
	select {
	case p.kick <- struct{}{}:
	default:
	}
}

// run probes until ctx ends. While no connection has settled it rests: the hub tells what is wrong, and
// run only that it takes too long.
func (p *prober) run(ctx context.Context) {
	var next time.Time
	settled := time.Now() // when a settled connection was last seen
	for {
		pause := time.NewTimer(p.pause(next))
		select {
		case <-pause.C:
		case <-p.kick:
			next = time.Time{}
		case <-ctx.Done():
		}
		pause.Stop()
		if ctx.Err() != nil {
			return
		}
		now := time.Now()
		if !p.b.hub.isSettled() {
			if now.Sub(settled) >= p.b.options.ProbeTimeout && p.b.health.get().OK {
				p.b.health.fail("reconnecting for " + p.b.options.ProbeTimeout.String())
			}
			continue
		}
		settled = now
		if p.lost(now) {
			continue
		}
		if !now.Before(next) {
			p.send(now)
			next = now.Add(p.b.options.ProbeEvery*8/10 + rand.N(p.b.options.ProbeEvery*4/10))
		}
	}
}

// pause is the time until the next probe is due or the missing one is lost.
func (p *prober) pause(next time.Time) time.Duration {
	p.mu.Lock()
	defer p.mu.Unlock()
	d := time.Until(next)
	if !p.b.hub.isSettled() {
		d = p.b.options.ProbeEvery
	}
	if !p.waiting.IsZero() {
		d = min(d, time.Until(p.waiting.Add(p.b.options.ProbeTimeout)))
	}
	return max(d, time.Millisecond)
}

func (p *prober) send(now time.Time) {
	p.mu.Lock()
	p.seq++
	seq, key := p.seq, p.b.key(p.channel)
	p.sent[seq%uint64(len(p.sent))] = now
	if p.waiting.IsZero() {
		p.waiting = now
	}
	p.mu.Unlock()
	p.b.counters.probesSent.Add(1)
	event := append(strconv.AppendUint([]byte(`{"probe":`), seq, 10), '}')
	p.b.publishProbe(key, event, func(_ broker.Receipt, err error) {
		p.mu.Lock()
		defer p.mu.Unlock()
		p.err = err
	})
}

// lost acts on a probe that has been missing for too long and reports whether one has.
func (p *prober) lost(now time.Time) bool {
	p.mu.Lock()
	missing := !p.waiting.IsZero() && now.Sub(p.waiting) >= p.b.options.ProbeTimeout
	err := p.err
	if missing {
		p.waiting = time.Time{}
	}
	p.mu.Unlock()
	if !missing {
		return false
	}
	p.b.counters.probesLost.Add(1)
	if err == nil {
		err = errNotHeard
	}
	err = fmt.Errorf("probe missing for %s: %w", p.b.options.ProbeTimeout, err)
	p.b.health.fail(err.Error())
	// A refusal (out of memory, no permission) says nothing against the connection.
	if !errors.Is(err, broker.ErrRefused) {
		p.b.hub.drop(err)
	}
	return true
}

// returned takes a probe from the hub.
func (p *prober) returned(event []byte) {
	const head = len(`{"probe":`)
	if len(event) <= head+1 {
		return
	}
	seq, ok := parseUint(event[head : len(event)-1])
	p.mu.Lock()
	size := uint64(len(p.sent))
	if !ok || seq > p.seq || seq+size <= p.seq {
		p.mu.Unlock()
		return
	}
	roundTrip := time.Since(p.sent[seq%size])
	p.waiting = time.Time{}
	if seq < p.seq {
		p.waiting = p.sent[(seq+1)%size]
	}
	p.mu.Unlock()
	p.b.health.ok(roundTrip)
}
