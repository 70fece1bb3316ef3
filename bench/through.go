package bench

import (
	"context"
	"errors"
	"fmt"
	"os/exec"
	"regexp"
	"strconv"
	"sync/atomic"
	"time"

	"github.com/tallywire/tallywire/broker"
	"github.com/tallywire/tallywire/broker/redisbroker"
	"github.com/tallywire/tallywire/internal/redisconn"
)

// publishThroughRedis publishes from this process with many in flight, as a gateway or a Go worker does.
// Before and after, redis-benchmark calls the same function over as many connections and with as deep a
// pipeline as it takes to keep that Redis busy; the better of the two is the ceiling.
func publishThroughRedis(ctx context.Context, b *bench, r *redisServer, o load) (*Figures, error) {
	client, _, err := redisconn.Open(r.url)
	if err != nil {
		return nil, fmt.Errorf("redis: %w", err)
	}
	defer client.Close()
	log, err := redisbroker.New(client, redisbroker.Options{MaxInFlight: max(o.window, redisbroker.DefaultMaxInFlight)})
	if err != nil {
		return nil, fmt.Errorf("redis: %w", err)
	}
	running, cancel := context.WithCancel(ctx)
	ended := make(chan error, 1)
	go func() { ended <- log.Run(running, nobody{}) }()
	defer func() {
		cancel()
		<-ended //nolint:errcheck // that it was cancelled
	}()
	if err := publishOne(ctx, log); err != nil { // which loads the functions
		return nil, err
	}
	before, err := b.ceiling(ctx, r, o)
	if err != nil {
		return nil, err
	}
	release, err := confine(b.cpus.server) // Redis has the other
	if err != nil {
		return nil, err
	}
	figures := &Figures{Clients: 1, Channels: 1}
	err = publishLoop(ctx, log, r, o, figures)
	release()
	if err != nil {
		return nil, err
	}
	after, err := b.ceiling(ctx, r, o)
	figures.CeilingPerSecond = max(before, after)
	return figures, err
}

// nobody is the sink of a broker that only publishes.
type nobody struct{}

func (nobody) Deliver(string, broker.Entry) {}
func (nobody) Signal(string, []byte)        {}
func (nobody) Head(string, broker.Head)     {}
func (nobody) Health(broker.Health)         {}

func publishOne(ctx context.Context, log broker.Broker) error {
	done := make(chan error, 1)
	log.Publish(ctx, broker.Publication{Channel: "bench:publish", Event: eventText{}.appendEvent(nil, nowNanos())},
		func(_ broker.Receipt, err error) { done <- err })
	if err := <-done; err != nil {
		return fmt.Errorf("publish: %w", err)
	}
	return nil
}

// publishLoop keeps a window of publications in flight.
func publishLoop(ctx context.Context, log broker.Broker, r *redisServer, o load, figures *Figures) error {
	slots := make(chan struct{}, o.window)
	var acked, refused atomic.Int64
	var problem atomic.Pointer[error]
	latency := newHistogram()
	times := make(chan int64, o.window)
	publish := func(begun time.Time) {
		log.Publish(ctx, broker.Publication{Channel: "bench:publish", Event: newEventText(o.padding).appendEvent(nil, begun.UnixNano())},
			func(_ broker.Receipt, err error) {
				if err != nil {
					refused.Add(1)
					problem.CompareAndSwap(nil, &err)
				} else {
					acked.Add(1)
					select {
					case times <- int64(time.Since(begun)): // a sample when the loop is behind
					default:
					}
				}
				<-slots
			})
	}
	from := time.Now().Add(o.warm)
	end := from.Add(o.measure)
	var startAcked int64
	var startOwn, startRedis time.Duration
	measuring := false
	for now := time.Now(); now.Before(end); now = time.Now() {
		if !measuring && !now.Before(from) {
			measuring, startAcked, startOwn = true, acked.Load(), ownCPUTime()
			startRedis, _ = r.cpu()
			from = now
		}
		select {
		case slots <- struct{}{}:
			publish(now)
		case nanos := <-times:
			if measuring {
				record(latency, nanos, 1)
			}
		case <-ctx.Done():
			return context.Cause(ctx) //nolint:wrapcheck // the caller's own
		}
	}
	seconds := time.Since(from).Seconds()
	figures.Seconds, figures.Published = seconds, acked.Load()-startAcked
	figures.AcksPerSecond = float64(figures.Published) / seconds
	figures.PublishesPerSecond = figures.AcksPerSecond
	figures.LoadCPU = (ownCPUTime() - startOwn).Seconds() / seconds
	if cpu, err := r.cpu(); err == nil {
		figures.ServerCPU = (cpu - startRedis).Seconds() / seconds
	}
	for range o.window { // every publication is answered
		select {
		case slots <- struct{}{}:
		case <-ctx.Done():
			return context.Cause(ctx) //nolint:wrapcheck // the caller's own
		}
	}
	figures.Refused, figures.AckLatency = refused.Load(), percentiles(latency)
	if p := problem.Load(); p != nil {
		figures.Problem = (*p).Error()
	}
	return nil
}

// cpu returns the CPU time of a Redis that was started here.
func (r *redisServer) cpu() (time.Duration, error) {
	if r.child == nil {
		return 0, errors.New("the process of Redis is not known")
	}
	return cpuTime(r.child.pid())
}

var (
	errNoCeiling = errors.New("redis-benchmark says nothing of requests per second")
	perSecond    = regexp.MustCompile(`([\d.]+) requests per second`)
)

// ceiling returns how many calls a second redis-benchmark gets, over about as long as the load took; 0
// where it is not installed.
func (b *bench) ceiling(ctx context.Context, r *redisServer, o load) (float64, error) {
	path, err := exec.LookPath("redis-benchmark")
	if err != nil {
		return 0, nil
	}
	run := func(requests int) (float64, error) {
		args := []string{
			path, "-h", r.addr.Addr().String(), "-p", strconv.Itoa(int(r.addr.Port())), "-P", "64", "-n", strconv.Itoa(requests), "-q",
		}
		if r.password != "" {
			args = append(args, "-a", r.password)
		}
		if r.user != "" {
			args = append(args, "--user", r.user)
		}
		event := newEventText(o.padding).appendEvent(nil, nowNanos())
		args = append(args, "FCALL", "tw_publish", "1", string(streamKey("bench:ceiling")), string(event))
		c, err := startChild(ctx, b.cpus.server, args)
		if err != nil {
			return 0, err
		}
		select {
		case <-c.exited:
		case <-ctx.Done():
			c.stop()
			return 0, context.Cause(ctx) //nolint:wrapcheck // the caller's own
		}
		m := perSecond.FindStringSubmatch(c.output.String())
		if c.err != nil || m == nil {
			return 0, fmt.Errorf("%w: %w: %s", errNoCeiling, errors.Join(c.err, errEnded), c.output)
		}
		return strconv.ParseFloat(m[1], 64) //nolint:wrapcheck // digits and a point
	}
	rough, err := run(20_000)
	if err != nil {
		return 0, err
	}
	return run(max(int(rough*o.measure.Seconds()), 20_000))
}
