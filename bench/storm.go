package bench

import (
	"context"
	"errors"
	"fmt"
	"time"
)

// storm measures clients that all come back at once, `behind` events behind. Without a log there is
// nothing to resume from (the floor has none): then they are subscribed before, and the same events are
// broadcast to them.
func storm(ctx context.Context, s *server, cpu int, o load, behind int, log bool) (*Figures, error) {
	var figures *Figures
	err := onCPU(cpu, func() error {
		f, err := newFleet(s, o.clients)
		if err != nil {
			return err
		}
		defer f.close()
		f.subscribe = !log
		if err := f.open(ctx, o.clients, 1); err != nil {
			return err
		}
		l, err := f.openPublisher(ctx, o.role)
		if err != nil {
			return err
		}
		d := &driver{
			load: o, fleet: f, acks: newHistogram(),
			feed: &feed{fleet: f, link: l, text: newEventText(o.padding), channels: 1},
		}
		figures, err = d.storm(ctx, behind, log)
		return err
	})
	return figures, err
}

// acked waits until every publish is answered.
func (d *driver) acked(ctx context.Context) error {
	for deadline := time.Now().Add(d.load.patience); d.fleet.answers.acked < d.feed.sent; {
		if p := d.fleet.answers.problem; p != "" {
			return errors.New(p)
		}
		if time.Now().After(deadline) {
			return fmt.Errorf("%d of %d publishes were not answered in time", d.feed.sent-d.fleet.answers.acked, d.feed.sent)
		}
		if err := d.step(ctx, 50*time.Millisecond); err != nil {
			return err
		}
	}
	return nil
}

func (d *driver) storm(ctx context.Context, behind int, log bool) (*Figures, error) {
	f, m := d.fleet, d.fleet.meter
	m.target = int64(behind)
	publish := func(n int) {
		for range n {
			d.feed.publish(nowNanos())
		}
	}
	if log {
		publish(1)
		if err := d.acked(ctx); err != nil {
			return nil, err
		}
		if f.cursor = f.answers.cursor; f.cursor == "" {
			return nil, errors.New("the publish was answered without a cursor")
		}
		publish(behind)
		if err := d.acked(ctx); err != nil {
			return nil, err
		}
	}
	reads, known := f.server.rangeReads(ctx)
	first := d.mark()
	m.begun = first.at.UnixNano()
	if log {
		f.ready -= d.load.clients
		for i := range f.links {
			if l := &f.links[i]; l.role == subscriber {
				f.askFor(l)
			}
		}
	} else {
		publish(behind)
	}
	for deadline := first.at.Add(d.load.patience); m.complete < d.load.clients && time.Now().Before(deadline); {
		if err := d.step(ctx, 50*time.Millisecond); err != nil {
			return nil, err
		}
	}
	last := d.mark()
	figures := d.figures(first, last)
	figures.CatchUp = figures.Seconds
	figures.Published, figures.PublishesPerSecond, figures.AcksPerSecond = int64(behind), 0, 0
	figures.Missed = int64(behind)*int64(d.load.clients) - figures.Delivered
	figures.RangeReads = -1
	if after, ok := f.server.rangeReads(ctx); ok && known {
		figures.RangeReads = after - reads
	}
	return figures, nil
}
