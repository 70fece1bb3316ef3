package redisask

import (
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/redis/go-redis/v9"
	"github.com/rs/zerolog"

	"github.com/tallywire/tallywire/gateway/admin"
	"github.com/tallywire/tallywire/presence"
)

// Defaults of Options.
const (
	DefaultPrefix      = "tw"
	DefaultTimeout     = 2 * time.Second
	DefaultConcurrency = 4
)

// maxAsking bounds the questions of this gateway that are under way.
const maxAsking = 256

// Gateways tells which gateways there are. A presence.Directory does.
type Gateways interface {
	Gateways(ctx context.Context) ([]presence.GatewayInfo, error)
}

// Options configure a Cluster. Responder and Gateways are required.
type Options struct {
	// Responder answers for this gateway.
	Responder *admin.Responder
	// Gateways are expected to answer.
	Gateways Gateways
	// Prefix is that of all keys ("tw").
	Prefix string
	// Timeout is how long the others have to answer (2 s).
	Timeout time.Duration
	// Concurrency is how many questions are answered at once (4).
	Concurrency int
	Log         zerolog.Logger
}

// Counters count what a Cluster did. All are totals.
type Counters struct {
	Asked     atomic.Uint64 // questions asked
	Answered  atomic.Uint64 // questions answered for others
	Late      atomic.Uint64 // questions that came when nobody waited any more
	Dropped   atomic.Uint64 // questions for which there was no room
	Malformed atomic.Uint64 // messages that are none of ours
	Unclaimed atomic.Uint64 // answers that nobody waited for
	Lost      atomic.Uint64 // connections to Redis that had to be made again
}

// Cluster implements admin.Cluster. Safe for concurrent use.
type Cluster struct {
	client  redis.UniversalClient // static
	options Options               // static
	name    string                // static; of the inbox, another one for each run of a gateway
	inbox   string                // static; the channels of pub/sub
	ask     string                // static
	// silence is how long the connection may say nothing before it is asked whether it lives; it gets as
	// long again to answer. Static.
	silence time.Duration

	counters  Counters
	listening atomic.Bool

	mu      sync.Mutex
	pending map[string]*pending // guarded by mu; by the question's id
}

var _ admin.Cluster = (*Cluster)(nil)

// pending is a question whose answers are awaited.
type pending struct {
	answers chan admin.Answer // holds as many as can be expected; more are not needed
}

// New returns a cluster. It neither asks nor answers others before Run. The client stays the caller's.
func New(client redis.UniversalClient, o Options) (*Cluster, error) {
	if client == nil || o.Responder == nil || o.Gateways == nil {
		return nil, errors.New("redisask: a client, a Responder and Gateways are required")
	}
	if o.Prefix == "" {
		o.Prefix = DefaultPrefix
	}
	if o.Timeout == 0 {
		o.Timeout = DefaultTimeout
	}
	if o.Concurrency == 0 {
		o.Concurrency = DefaultConcurrency
	}
	if o.Timeout < 0 || o.Concurrency < 0 {
		return nil, errors.New("redisask: Timeout and Concurrency must be positive")
	}
	c := &Cluster{client: client, options: o, name: rand.Text(), silence: 5 * time.Second, pending: map[string]*pending{}}
	c.ask = o.Prefix + ":_ask"
	c.inbox = c.ask + ":" + c.name
	return c, nil
}

// Counters returns the cluster's counters.
func (c *Cluster) Counters() *Counters { return &c.counters }

// Ask implements admin.Cluster.
func (c *Cluster) Ask(ctx context.Context, q admin.Question) (admin.Reply, error) {
	q.Version = admin.QuestionVersion
	c.counters.Asked.Add(1)
	ctx, cancel := context.WithTimeout(ctx, c.options.Timeout)
	defer cancel()
	own := make(chan admin.Answer, 1)
	go func() { own <- c.options.Responder.Answer(ctx, q) }()

	answers, missing, err := c.askOthers(ctx, q)
	mine := <-own // it is bounded by ctx, and by what it does
	return admin.Sort(append(answers, mine), missing), err
}

// askOthers asks everybody but this gateway.
func (c *Cluster) askOthers(ctx context.Context, q admin.Question) ([]admin.Answer, []admin.Missing, error) {
	known, err := c.options.Gateways.Gateways(ctx)
	if err != nil {
		return nil, nil, fmt.Errorf("%w: who is there: %w", admin.ErrUnasked, err)
	}
	var missing []admin.Missing
	expected := map[string]bool{}
	for _, g := range known {
		switch {
		case g.ID == c.options.Responder.ID():
		case !g.Live:
			missing = append(missing, admin.Missing{Gateway: g.ID, Reason: admin.LeaseOver})
		default:
			expected[g.ID] = true
		}
	}
	if len(expected) == 0 {
		return nil, missing, nil
	}
	absent := func(reason admin.Failure) []admin.Missing {
		for id := range expected {
			missing = append(missing, admin.Missing{Gateway: id, Reason: reason})
		}
		return missing
	}
	if !c.listening.Load() {
		return nil, absent(admin.NotAsked), fmt.Errorf("%w: no connection for their answers", admin.ErrUnasked)
	}
	id, p, ok := c.await(2 * len(expected))
	if !ok {
		return nil, absent(admin.NotAsked), fmt.Errorf("%w: too many questions under way", admin.ErrUnasked)
	}
	defer c.forget(id)
	if err := c.publish(ctx, id, q); err != nil {
		return nil, absent(admin.NotAsked), fmt.Errorf("%w: %w", admin.ErrUnasked, err)
	}
	answers := collect(ctx, p, expected)
	return answers, absent(admin.NoAnswer), nil
}

// collect takes answers until nobody is expected any more, or the time is over. Those who have answered
// are no longer in expected then. A gateway that has only just come may answer too, and is welcome.
func collect(ctx context.Context, p *pending, expected map[string]bool) (answers []admin.Answer) {
	for len(expected) > 0 {
		select {
		case a := <-p.answers:
			if !slices.ContainsFunc(answers, func(b admin.Answer) bool { return b.Gateway == a.Gateway }) {
				answers = append(answers, a)
				delete(expected, a.Gateway)
			}
		case <-ctx.Done():
			return answers
		}
	}
	return answers
}

func (c *Cluster) await(n int) (string, *pending, bool) {
	id, p := rand.Text(), &pending{answers: make(chan admin.Answer, n)}
	c.mu.Lock()
	defer c.mu.Unlock()
	if len(c.pending) >= maxAsking {
		return "", nil, false
	}
	c.pending[id] = p
	return id, p, true
}

func (c *Cluster) forget(id string) {
	c.mu.Lock()
	delete(c.pending, id)
	c.mu.Unlock()
}

// publish sends a question to everybody.
func (c *Cluster) publish(ctx context.Context, id string, q admin.Question) error {
	now, err := c.client.Time(ctx).Result()
	if err != nil {
		return fmt.Errorf("time: %w", err)
	}
	raw, err := json.Marshal(question{
		ID: id, Reply: c.name, Until: now.Add(c.options.Timeout).UnixMicro(), Question: q,
	})
	if err != nil {
		return fmt.Errorf("encode: %w", err)
	}
	if err := c.client.Publish(ctx, c.ask, raw).Err(); err != nil {
		return fmt.Errorf("publish: %w", err)
	}
	return nil
}

// deliver hands an answer to the question that waits for it.
func (c *Cluster) deliver(raw string) {
	r, err := decodeResponse(raw)
	if err != nil {
		c.malformed(err)
		return
	}
	c.mu.Lock()
	p := c.pending[r.ID]
	c.mu.Unlock()
	if p == nil {
		c.counters.Unclaimed.Add(1)
		return
	}
	select {
	case p.answers <- r.Answer:
	default:
		c.counters.Unclaimed.Add(1)
	}
}

func (c *Cluster) malformed(err error) {
	c.counters.Malformed.Add(1)
	c.options.Log.Warn().Str("event", "ask_malformed").Err(err).Msg("a message between gateways was not understood")
}
