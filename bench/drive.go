package bench

import (
	"context"
	"fmt"
	"time"

	"github.com/HdrHistogram/hdrhistogram-go"
)

// load says what a fleet is put under.
type load struct {
	clients  int
	channels int
	role     role          // who publishes: publisher or worker
	reader   role          // who reads: subscriber, polling or streaming
	window   int           // events in flight, where rate is 0
	rate     float64       // events a second, open loop
	warm     time.Duration // not measured
	measure  time.Duration
	patience time.Duration // after which what has not arrived is missed
	padding  int
}

func (o load) fan() int { return max(o.clients/o.channels, 1) }

// mark is the state of all counters at a moment.
type mark struct {
	at                                  time.Time
	delivered, frames, bytes, published int64
	acked                               int64
	server, own                         time.Duration
	measured                            bool // server is known
}

// driver puts one fleet under load and measures. It belongs to one goroutine.
type driver struct {
	load  load
	fleet *fleet
	feed  *feed
	acks  *hdrhistogram.Histogram
}

// drive runs a load against a server, on a thread of its own beside the server's core.
func drive(ctx context.Context, s *server, cpu int, o load) (*Figures, error) {
	var figures *Figures
	err := onCPU(cpu, func() error {
		f, err := newFleet(s, o.clients)
		if err != nil {
			return err
		}
		defer f.close()
		f.reader = o.reader
		if err := f.open(ctx, o.clients, o.channels); err != nil {
			return err
		}
		l, err := f.openPublisher(ctx, o.role)
		if err != nil {
			return err
		}
		d := &driver{
			load: o, fleet: f, acks: newHistogram(),
			feed: &feed{fleet: f, link: l, text: newEventText(o.padding), channels: o.channels},
		}
		if o.rate > 0 {
			figures, err = d.pace(ctx)
		} else {
			figures, err = d.saturate(ctx)
		}
		return err
	})
	return figures, err
}

func (d *driver) mark() mark {
	m := d.fleet.meter
	k := mark{
		at: time.Now(), delivered: m.delivered, frames: m.frames, bytes: m.bytes, published: d.feed.sent,
		acked: d.fleet.answers.acked, own: threadCPUTime(),
	}
	if pid := d.fleet.server.pid; pid > 0 {
		cpu, err := cpuTime(pid)
		k.server, k.measured = cpu, err == nil
	}
	return k
}

// perRound bounds the publishes between two looks at the sockets.
const perRound = 64

// saturate keeps a window of events in flight: an event counts as arrived when its share of the
// deliveries has.
func (d *driver) saturate(ctx context.Context) (*Figures, error) {
	m, fan := d.fleet.meter, int64(d.load.fan())
	window := int64(d.load.window)
	start := time.Now()
	from, end := start.Add(d.load.warm), start.Add(d.load.warm+d.load.measure)
	var first mark
	for now := start; now.Before(end); now = time.Now() {
		if first.at.IsZero() && !now.Before(from) {
			first = d.mark()
			m.from = now.UnixNano()
		}
		for i := 0; i < perRound && (d.feed.sent-window)*fan < m.delivered && !d.feed.full(); i++ {
			d.feed.publish(nowNanos())
		}
		if err := d.step(ctx, time.Millisecond); err != nil {
			return nil, err
		}
	}
	last := d.mark()
	if err := d.settle(ctx, d.feed.sent*fan); err != nil {
		return nil, err
	}
	figures := d.figures(first, last)
	figures.Missed = d.feed.sent*fan - m.delivered
	return figures, nil
}

// pace publishes at a rate, whatever becomes of it.
func (d *driver) pace(ctx context.Context) (*Figures, error) {
	m, fan := d.fleet.meter, d.load.fan()
	start := time.Now()
	from, end := start.Add(d.load.warm), start.Add(d.load.warm+d.load.measure)
	p := newPlan(start, d.load.rate, d.load.warm+d.load.measure)
	m.plan, m.from = p, from.UnixNano()
	d.fleet.answers.onAck = func(id, at int64) {
		if due := p.due(int(id)); due >= m.from {
			record(d.acks, at-due, 1)
		}
	}
	var first, last mark
	deadline := end.Add(d.load.patience)
	for now := start; now.Before(deadline) && !d.done(p); now = time.Now() {
		switch {
		case first.at.IsZero() && !now.Before(from):
			first = d.mark()
		case last.at.IsZero() && !now.Before(end):
			last = d.mark()
		}
		for p.sent < len(p.counts) && p.due(p.sent) <= now.UnixNano() && !d.feed.full() {
			d.feed.publish(p.due(p.sent))
			p.sent++
		}
		wait := 10 * time.Millisecond
		if p.sent < len(p.counts) {
			wait = min(wait, max(0, time.Duration(p.due(p.sent)-nowNanos())))
		}
		if err := d.step(ctx, wait); err != nil {
			return nil, err
		}
	}
	if last.at.IsZero() { // everything came at once
		last = d.mark()
	}
	if now := time.Now(); now.Before(deadline) {
		deadline = now
	}
	missed := p.settle(m.latency, m.from, deadline.UnixNano(), fan)
	figures := d.figures(first, last)
	figures.Missed, figures.Rate = missed, d.load.rate
	figures.Unsent = int64(len(p.counts) - p.sent)
	return figures, nil
}

// done reports whether every event of the plan was sent, answered and delivered to everybody.
func (d *driver) done(p *plan) bool {
	a := &d.fleet.answers
	return p.sent == len(p.counts) && a.acked+a.refused >= d.feed.sent &&
		d.fleet.meter.delivered >= d.feed.sent*int64(d.load.fan())
}

// settle waits until so many deliveries have come and every publish is answered, or for the load's
// patience.
func (d *driver) settle(ctx context.Context, deliveries int64) error {
	deadline := time.Now().Add(d.load.patience)
	a := &d.fleet.answers
	for d.fleet.meter.delivered < deliveries || a.acked+a.refused < d.feed.sent {
		left := time.Until(deadline)
		if left <= 0 {
			return nil
		}
		if err := d.step(ctx, min(left, 50*time.Millisecond)); err != nil {
			return err
		}
	}
	return nil
}

func (d *driver) step(ctx context.Context, timeout time.Duration) error {
	if err := d.fleet.poll(timeout); err != nil {
		return err
	}
	if err := context.Cause(ctx); err != nil {
		return fmt.Errorf("measure: %w", err)
	}
	return nil
}

// figures says what happened between two marks.
func (d *driver) figures(a, b mark) *Figures {
	m, answers := d.fleet.meter, &d.fleet.answers
	f := &Figures{
		Clients: d.load.clients, Channels: d.load.channels, Seconds: b.at.Sub(a.at).Seconds(),
		Published: b.published - a.published, Delivered: b.delivered - a.delivered,
		Refused: answers.refused, Problem: answers.problem, Disordered: m.disordered, Resets: m.resets,
		Latency: percentiles(m.latency), AckLatency: percentiles(d.acks),
	}
	f.PublishesPerSecond = float64(f.Published) / f.Seconds
	f.AcksPerSecond = float64(b.acked-a.acked) / f.Seconds
	f.DeliveriesPerSecond = float64(f.Delivered) / f.Seconds
	f.FramesPerSecond = float64(b.frames-a.frames) / f.Seconds
	f.BytesPerSecond = float64(b.bytes-a.bytes) / f.Seconds
	f.LoadCPU = (b.own - a.own).Seconds() / f.Seconds
	f.account(b.server-a.server, a.measured && b.measured)
	if pid := d.fleet.server.pid; pid > 0 {
		if bytes, err := resident(pid); err == nil {
			f.ResidentMB = float64(bytes) / (1 << 20)
		}
	}
	return f
}
