package reconcile

import (
	"context"
	"time"
)

// shortestPause is worth a timer; shorter ones are saved up.
const shortestPause = 10 * time.Millisecond

// pacer spreads work over time. It never lets a late start turn into a burst of more than a second.
type pacer struct {
	each time.Duration // per unit; 0 for no pacing
	due  time.Time     // when the next unit may begin
}

func newPacer(rate float64) pacer {
	if rate <= 0 {
		return pacer{}
	}
	return pacer{each: time.Duration(float64(time.Second) / rate)}
}

// wait returns when n more units may be done; before it pauses it calls idle.
func (p *pacer) wait(ctx context.Context, n int, idle func() error) error {
	if p.each == 0 {
		return ctx.Err()
	}
	now := time.Now()
	if p.due.Before(now.Add(-time.Second)) {
		p.due = now
	}
	p.due = p.due.Add(time.Duration(n) * p.each)
	pause := p.due.Sub(now)
	if pause < shortestPause {
		return ctx.Err()
	}
	if err := idle(); err != nil {
		return err
	}
	return sleep(ctx, pause)
}

// sleep waits for d or for ctx.
func sleep(ctx context.Context, d time.Duration) error {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return ctx.Err()
	case <-ctx.Done():
		return ctx.Err()
	}
}
