package bench

import (
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
)

// bench is one call of Run.
type bench struct {
	options Options
	cpus    cpus
	report  *report
}

// Run measures the scenarios one after the other and reports each as soon as it is done. A scenario
// whose needs are not met is left out with a note, or fails when it was asked for by name. What was
// measured badly (refused publishes, resets, a load generator at its limit) is noted, not hidden.
func Run(ctx context.Context, o Options, stdout io.Writer) error {
	if err := o.Validate(); err != nil {
		return err
	}
	named := len(o.Scenarios) > 0
	o.setDefaults()
	r, err := newReport(o.JSON, stdout)
	if err != nil {
		return err
	}
	b := &bench{options: o, cpus: assign(allowedCPUs()), report: r}
	r.begin(b)
	for _, s := range scenarios {
		if slices.Contains(o.Scenarios, s.name) {
			if err = b.measure(ctx, &s, named); err != nil {
				break
			}
		}
	}
	return errors.Join(err, r.end())
}

// measure runs a scenario, once for each of its rates.
func (b *bench) measure(ctx context.Context, s *scenario, named bool) error {
	if reason := b.unfit(s); reason != "" {
		if named {
			return fmt.Errorf("%s: %s", s.name, reason)
		}
		return b.report.add(&Result{Scenario: s.name, Note: "left out: " + reason})
	}
	rates := s.rates
	switch {
	case len(rates) == 0:
		rates = []float64{0}
	case b.options.Rate > 0:
		rates = []float64{b.options.Rate}
	}
	for _, rate := range rates {
		result, err := b.compare(ctx, s, s.adapt(&b.options, rate))
		if errors.Is(err, errNoRedis) && !named {
			result, err = &Result{Scenario: s.name, Note: "left out: " + err.Error()}, nil
		}
		if err != nil {
			return fmt.Errorf("%s: %w", s.name, err)
		}
		if len(s.rates) > 1 {
			result.Scenario = fmt.Sprintf("%s@%g", s.name, rate)
		}
		if err := b.report.add(result); err != nil {
			return err
		}
	}
	return nil
}

// unfit says why a scenario cannot be run with the options, or "".
func (b *bench) unfit(s *scenario) string {
	switch {
	case b.options.URL != "" && s.redis && !s.optional && b.options.Redis == "":
		return "the Redis of that gateway is not named (--redis)"
	case b.options.URL != "" && s.name == "idle" && b.options.PID == 0:
		return "the process of that gateway is not named (--pid)"
	}
	return ""
}

// compare runs one load against the gateway and then, where it has a counterpart, against the floor.
func (b *bench) compare(ctx context.Context, s *scenario, o load) (*Result, error) {
	result := &Result{Scenario: s.name, Store: "embedded"}
	redis, err := b.redis(ctx, s)
	if err != nil {
		return nil, err
	}
	if redis != nil {
		defer redis.stop()
		result.Store = "redis"
	}
	if b.options.URL != "" && b.options.Redis == "" {
		result.Store = ""
	}
	if result.Gateway, err = b.once(ctx, s, o, func() (*server, error) { return b.gateway(ctx, redis) }, false); err != nil {
		return nil, err
	}
	if s.floor && !b.options.NoFloor {
		if result.Floor, err = b.once(ctx, s, o, func() (*server, error) { return b.floor(ctx) }, true); err != nil {
			return nil, fmt.Errorf("floor: %w", err)
		}
	}
	if s.ratio != nil {
		s.ratio(result)
	}
	result.Note = doubt(result)
	return result, nil
}

func (b *bench) once(ctx context.Context, s *scenario, o load, start func() (*server, error), isFloor bool) (*Figures, error) {
	server, err := start()
	if err != nil {
		return nil, err
	}
	defer server.stop()
	return s.run(ctx, b, server, o, isFloor)
}

// redis returns the Redis that a scenario's gateway uses, or nil.
func (b *bench) redis(ctx context.Context, s *scenario) (*redisServer, error) {
	if !s.redis {
		return nil, nil //nolint:nilnil // there is none
	}
	if b.options.Redis != "" {
		return parseRedis(b.options.Redis)
	}
	if b.options.URL != "" {
		return nil, nil //nolint:nilnil // that of the gateway is not known
	}
	r, err := startRedis(ctx, b.cpus.redis)
	if errors.Is(err, errNoRedis) && s.optional {
		return nil, nil //nolint:nilnil // the embedded engine will do
	}
	return r, err
}

// busy is the share of a core from which the load generator may itself be the limit.
const busy = 0.95

// doubt says what is to be distrusted in a result.
func doubt(r *Result) string {
	g := r.Gateway
	switch {
	case g.Refused > 0:
		return fmt.Sprintf("%d refused: %s", g.Refused, g.Problem)
	case g.Resets > 0:
		return fmt.Sprintf("%d resets: the gateway told clients that events were lost to them", g.Resets)
	case g.Disordered > 0:
		return fmt.Sprintf("%d deliveries out of order or repeated", g.Disordered)
	case g.LoadCPU > busy && r.Scenario != "redis-publish":
		return "the load generator was at its limit: the server may do more a second, CPU a delivery holds"
	}
	return ""
}
