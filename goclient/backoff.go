package goclient

import (
	"context"
	"math/rand/v2"
	"time"
)

// backoff is full jitter: nothing before the first attempt, then a random time below a bound that
// doubles with every attempt. It is owned by one goroutine.
type backoff struct {
	least, most time.Duration
	attempts    int
}

// next returns how long to wait before the next attempt.
func (b *backoff) next() time.Duration {
	b.attempts++
	if b.attempts == 1 {
		return 0
	}
	bound := b.least
	for range b.attempts - 2 {
		if bound >= b.most {
			break
		}
		bound *= 2
	}
	return rand.N(min(bound, b.most)) + 1
}

func (b *backoff) reset() { b.attempts = 0 }

// sleep waits; it returns false when the context ended first.
func sleep(ctx context.Context, d time.Duration) bool {
	if d <= 0 {
		return ctx.Err() == nil
	}
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return true
	case <-ctx.Done():
		return false
	}
}

// jitter returns a random time between low and high thousandths of d.
func jitter(d time.Duration, low, high int64) time.Duration {
	if d <= 0 {
		return 0
	}
	return d/1000*time.Duration(low) + rand.N(max(d/1000*time.Duration(high-low), 1))
}
