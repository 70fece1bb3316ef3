package bench

import (
	"context"
	"time"
)

// scenario is one thing to measure.
type scenario struct {
	name  string
	about string

	redis    bool // the gateway works through Redis
	optional bool // and without, where there is none
	floor    bool // the floor can be measured too

	load  load
	rates []float64 // one run each, open loop; --rate replaces them

	run   func(ctx context.Context, b *bench, s *server, o load, isFloor bool) (*Figures, error)
	ratio func(r *Result)
}

// behind is how far the clients of a storm are behind.
const behind = 100

// scenarios are in the order in which they run.
var scenarios = []scenario{
	{
		name: "fanout", about: "one channel to 1,000 subscribers, 64 events in flight",
		floor: true, load: load{clients: 1000, channels: 1, window: 64, role: publisher}, run: driven, ratio: cpuRatio,
	},
	{
		name: "fanout-rate", about: "one channel to 1,000 subscribers at 50, 200 and 1,000 events a second",
		floor: true, load: load{clients: 1000, channels: 1, role: publisher}, rates: []float64{50, 200, 1000}, run: driven, ratio: cpuRatio,
	},
	{
		name: "channels", about: "1,000 channels with one subscriber each, 256 events in flight",
		floor: true, load: load{clients: 1000, channels: 1000, window: 256, role: publisher}, run: driven, ratio: cpuRatio,
	},
	{
		name: "idle", about: "memory of 10,000 subscribed connections",
		floor: true, load: load{clients: 10_000, channels: 1}, run: silent, ratio: memoryRatio,
	},
	{
		name: "idle-sse", about: "memory of 5,000 event streams",
		load: load{clients: 5000, channels: 1, reader: streaming}, run: silent,
	},
	{
		name: "idle-poll", about: "memory of 5,000 waiting polls",
		load: load{clients: 5000, channels: 1, reader: polling}, run: silent,
	},
	{
		name: "wake-sse", about: "one event a second to 5,000 event streams",
		load: load{clients: 5000, channels: 1, role: publisher, reader: streaming}, rates: []float64{1}, run: driven,
	},
	{
		name: "wake-poll", about: "one event a second to 5,000 polls, which all ask again",
		load: load{clients: 5000, channels: 1, role: publisher, reader: polling}, rates: []float64{1}, run: driven,
	},
	{
		name: "publish-ws", about: "one WebSocket publishes 1,000 events a second, pipelined, to 1,000 subscribers",
		floor: true, load: load{clients: 1000, channels: 1, role: publisher}, rates: []float64{1000}, run: driven, ratio: publishRatio,
	},
	{
		name: "redis-fanout", about: "fanout by a worker that publishes through Redis",
		redis: true, floor: true, load: load{clients: 1000, channels: 1, window: 64, role: worker}, run: driven, ratio: cpuRatio,
	},
	{
		name: "redis-rate", about: "1,000 events a second by a worker through Redis to 1,000 subscribers",
		redis: true, floor: true, load: load{clients: 1000, channels: 1, role: worker}, rates: []float64{1000}, run: driven, ratio: cpuRatio,
	},
	{
		name: "redis-publish", about: "publishing through Redis from one process, by what redis-benchmark reaches",
		redis: true, load: load{window: 4096}, run: published, ratio: ceilingRatio,
	},
	{
		name: "resume", about: "5,000 clients resume at once, 100 events behind",
		redis: true, optional: true, floor: true, load: load{clients: 5000, channels: 1, patience: time.Minute}, run: resumed, ratio: cpuRatio,
	},
}

// Scenarios returns the names of all scenarios.
func Scenarios() []string {
	names := make([]string, len(scenarios))
	for i, s := range scenarios {
		names[i] = s.name
	}
	return names
}

func driven(ctx context.Context, b *bench, s *server, o load, isFloor bool) (*Figures, error) {
	if isFloor {
		o.role = publisher
	}
	return drive(ctx, s, b.cpus.load, o)
}

func silent(ctx context.Context, b *bench, s *server, o load, _ bool) (*Figures, error) {
	return idle(ctx, s, b.cpus.load, o)
}

func resumed(ctx context.Context, b *bench, s *server, o load, isFloor bool) (*Figures, error) {
	o.role = publisher
	if !isFloor && s.redis != nil {
		o.role = worker
	}
	return storm(ctx, s, b.cpus.load, o, behind, !isFloor)
}

func published(ctx context.Context, b *bench, s *server, o load, _ bool) (*Figures, error) {
	return publishThroughRedis(ctx, b, s.redis, o)
}

func cpuRatio(r *Result) {
	if r.Floor != nil && r.Floor.CPUPerDelivery > 0 {
		r.Ratio, r.Of = r.Gateway.CPUPerDelivery/r.Floor.CPUPerDelivery, "cpu_us_per_delivery"
	}
}

func memoryRatio(r *Result) {
	if r.Floor != nil && r.Floor.KBPerConnection > 0 {
		r.Ratio, r.Of = r.Gateway.KBPerConnection/r.Floor.KBPerConnection, "kb_per_connection"
	}
}

func publishRatio(r *Result) {
	if r.Floor != nil && r.Floor.AcksPerSecond > 0 {
		r.Ratio, r.Of = r.Gateway.AcksPerSecond/r.Floor.AcksPerSecond, "acks_per_second"
	}
}

func ceilingRatio(r *Result) {
	if r.Gateway.CeilingPerSecond > 0 {
		r.Ratio, r.Of = r.Gateway.AcksPerSecond/r.Gateway.CeilingPerSecond, "ceiling_per_second"
	}
}

// adapt applies the options to a scenario's load.
func (s *scenario) adapt(o *Options, rate float64) load {
	l := s.load
	l.rate, l.warm, l.padding = rate, o.Warm, o.Padding
	l.measure = 5 * time.Second
	def(&l.patience, o.Patience)
	if o.Clients > 0 {
		if l.channels == l.clients {
			l.channels = o.Clients
		}
		l.clients = o.Clients
	}
	if o.Window > 0 && l.window > 0 {
		l.window = o.Window
	}
	if o.Duration > 0 {
		l.measure = o.Duration
	}
	return l
}
