package redisask

import (
	"context"
	"errors"
	"math/rand/v2"
	"net"
	"time"

	"github.com/redis/go-redis/v9"
	"golang.org/x/sync/errgroup"
)

const (
	// pause is the longest wait before the connection is made again.
	pause = time.Second
	// queueLength is how many questions may wait for a goroutine that answers them.
	queueLength = 64
)

// Run hears questions and answers until ctx ends, and then returns nil. It is called once, and owns every
// goroutine of the cluster but those of Ask.
func (c *Cluster) Run(ctx context.Context) error {
	questions := make(chan question, queueLength)
	work, ctx := errgroup.WithContext(ctx)
	for range c.options.Concurrency {
		work.Go(func() error {
			for {
				select {
				case q := <-questions:
					c.answer(ctx, q)
				case <-ctx.Done():
					return nil
				}
			}
		})
	}
	work.Go(func() error {
		for ctx.Err() == nil {
			err := c.listen(ctx, questions)
			c.listening.Store(false)
			if ctx.Err() != nil {
				return nil
			}
			c.counters.Lost.Add(1)
			c.options.Log.Warn().Str("event", "ask_lost").Err(err).Msg("the way to the other gateways is broken, trying again")
			wait(ctx)
		}
		return nil
	})
	return work.Wait()
}

// listen subscribes and hands on what it hears, until the connection breaks or ctx ends.
func (c *Cluster) listen(ctx context.Context, questions chan<- question) error {
	sub := c.client.Subscribe(ctx, c.ask, c.inbox)
	defer sub.Close()
	stop := context.AfterFunc(ctx, func() { sub.Close() }) // Receive does not end with ctx by itself
	defer stop()
	asked := false // whether the connection lives
	for subscribed := 0; ; {
		message, err := sub.ReceiveTimeout(ctx, c.silence)
		var timeout net.Error
		switch {
		case err == nil:
			asked = false
		case errors.As(err, &timeout) && timeout.Timeout() && !asked:
			if err := sub.Ping(ctx); err != nil {
				return err
			}
			asked = true
			continue
		default:
			return err
		}
		switch m := message.(type) {
		case *redis.Subscription:
			// Both at once: who hears questions before it can be answered itself would be half there.
			if subscribed++; subscribed == 2 {
				c.listening.Store(true)
			}
		case *redis.Message:
			c.hear(m, questions)
		}
	}
}

// hear takes a message. It does not block: a question for which there is no room is dropped, and its asker
// names this gateway as missing.
func (c *Cluster) hear(m *redis.Message, questions chan<- question) {
	if m.Channel == c.inbox {
		c.deliver(m.Payload)
		return
	}
	q, err := decodeQuestion(m.Payload)
	if err != nil {
		c.malformed(err)
		return
	}
	if q.Reply == c.name {
		return // our own: Ask has asked the responder itself
	}
	select {
	case questions <- q:
	default:
		c.counters.Dropped.Add(1)
	}
}

// answer answers a question, unless nobody waits any more: a gateway that was frozen must not do now what
// was asked of it then.
func (c *Cluster) answer(ctx context.Context, q question) {
	ctx, cancel := context.WithTimeout(ctx, c.options.Timeout)
	defer cancel()
	now, err := c.client.Time(ctx).Result()
	if err != nil {
		c.counters.Dropped.Add(1)
		return
	}
	if now.UnixMicro() > q.Until {
		c.counters.Late.Add(1)
		return
	}
	raw, err := encodeResponse(response{ID: q.ID, Answer: c.options.Responder.Answer(ctx, q.Question)})
	if err == nil {
		err = c.client.Publish(ctx, c.ask+":"+q.Reply, raw).Err()
	}
	if err != nil {
		c.counters.Dropped.Add(1)
		c.options.Log.Warn().Str("event", "ask_unanswered").Err(err).Msg("a question of another gateway could not be answered")
		return
	}
	c.counters.Answered.Add(1)
}

// wait waits before the next attempt, differently long in each gateway.
func wait(ctx context.Context) {
	timer := time.NewTimer(pause/2 + rand.N(pause/2))
	defer timer.Stop()
	select {
	case <-timer.C:
	case <-ctx.Done():
	}
}
