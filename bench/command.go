package bench

import (
	"context"
	"os"
	"strings"
	"time"

	"github.com/tallywire/tallywire/bench/floor"
)

// Command is `tallywire bench` for kong.
type Command struct {
	Scenarios []string `arg:"" optional:"" name:"scenario" help:"What to measure: fanout, fanout-rate, channels, idle, publish-ws, redis-fanout, redis-rate, redis-publish, resume; all by default."`

	URL       string `name:"url" placeholder:"URL" help:"A running gateway, http://127.0.0.1:8080. Without it, one is started for each scenario."`
	Token     string `placeholder:"TOKEN" help:"Token for the gateway at --url."`
	Redis     string `placeholder:"URL" help:"Redis of the gateway, redis://host:port. Without it, a redis-server is started where one is wanted."`
	PID       int    `name:"pid" placeholder:"PID" help:"Process of the gateway at --url, for its CPU and memory."`
	ServerCmd string `name:"server-cmd" placeholder:"COMMAND" help:"Command that starts a gateway, in which {listen} is the address and {redis} the URL of Redis; split at blanks."`
	Floor     bool   `negatable:"" default:"true" help:"Also measure a bare broadcast loop, and give ratios to it."`

	Clients  int           `placeholder:"N" help:"Subscribers, in place of the scenario's number."`
	Window   int           `placeholder:"N" help:"Events in flight, in place of the scenario's number."`
	Rate     float64       `placeholder:"N" help:"Events a second, in place of the scenario's rates."`
	Duration time.Duration `default:"5s" help:"How long each load is measured (default ${default})."`
	Warm     time.Duration `default:"1s" help:"How long it runs before (default ${default})."`
	Patience time.Duration `default:"5s" help:"How long to wait at the end before deliveries count as missed (default ${default})."`
	Padding  int           `placeholder:"BYTES" default:"64" help:"Bytes in an event beside its stamp (default ${default})."`

	JSON string `name:"json" placeholder:"FILE" help:"Write one JSON object a scenario; - for standard output, in place of the table."`
}

// Run measures until it is done or ctx ends.
func (c *Command) Run(ctx context.Context) error {
	return Run(ctx, Options{
		Scenarios: c.Scenarios, URL: c.URL, Token: c.Token, Redis: c.Redis, PID: c.PID,
		ServerCommand: strings.Fields(c.ServerCmd), NoFloor: !c.Floor,
		Clients: c.Clients, Window: c.Window, Rate: c.Rate, Duration: c.Duration, Warm: c.Warm,
		Patience: c.Patience, Padding: c.Padding, JSON: c.JSON,
	}, os.Stdout)
}

// FloorCommandName is the hidden command under which the program must offer FloorCommand: Run starts it.
const FloorCommandName = "bench-floor"

// FloorCommand serves the floor for kong.
type FloorCommand struct {
	Listen string `default:"127.0.0.1:8081" placeholder:"ADDR" help:"Address to serve on (default ${default})."`
}

// Run serves until ctx ends.
func (c *FloorCommand) Run(ctx context.Context) error {
	return floor.Serve(ctx, c.Listen, nil) //nolint:wrapcheck // it says what it did
}
