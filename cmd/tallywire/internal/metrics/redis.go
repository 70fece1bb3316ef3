package metrics

import (
	"context"
	"errors"
	"slices"
	"strings"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/redis/go-redis/v9"
)

// Redis measures the round trips of a client of Redis: it is a hook of go-redis, and a collector. Safe for
// concurrent use.
type Redis struct {
	trips    *prometheus.HistogramVec
	observed map[string]prometheus.Observer // static, by label
	failures *prometheus.CounterVec
	failed   map[string]prometheus.Counter // static, by label
}

var (
	_ redis.Hook           = (*Redis)(nil)
	_ prometheus.Collector = (*Redis)(nil)
)

// Labels of commands. Those of one library of functions share one, whatever they are called, and so do all
// commands without a label of their own.
const (
	mixedPipeline = "pipeline"
	otherCommand  = "other"
	presenceCalls = "tw_presence"
	inboxCalls    = "tw_inbox"
	receiptCalls  = "tw_receipt"
)

// functions have a label of their own.
var functions = []string{"tw_publish", "tw_signal", "tw_open", "tw_read", "tw_dead"}

// tripBounds are in seconds. A Redis beside the gateway answers within a tenth of a millisecond.
var tripBounds = []float64{.0001, .00025, .0005, .001, .0025, .005, .01, .025, .05, .1, .25, .5, 1, 2.5}

// NewRedis returns a hook that is yet to be added to a client.
func NewRedis() *Redis {
	r := &Redis{
		trips: prometheus.NewHistogramVec(prometheus.HistogramOpts{
			Name: prefix + "redis_round_trip_seconds",
			Help: "Time that commands to Redis took, with the wait for a connection: one for each command, or pipeline of such. " +
				"Commands that are meant to wait are left out.",
			Buckets:                     tripBounds,
			NativeHistogramBucketFactor: 1.1, NativeHistogramMaxBucketNumber: 100, NativeHistogramMinResetDuration: time.Hour,
		}, []string{"command"}),
		failures: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: prefix + "redis_failures_total",
			Help: "Commands or pipelines of such that were not answered: no connection, or no reply in time.",
		}, []string{"command"}),
		observed: map[string]prometheus.Observer{}, failed: map[string]prometheus.Counter{},
	}
	for _, label := range append(slices.Clone(functions), mixedPipeline, otherCommand, presenceCalls, inboxCalls, receiptCalls) {
		r.observed[label] = r.trips.WithLabelValues(label)
		r.failed[label] = r.failures.WithLabelValues(label)
	}
	return r
}

// Describe implements prometheus.Collector.
func (r *Redis) Describe(ch chan<- *prometheus.Desc) {
	r.trips.Describe(ch)
	r.failures.Describe(ch)
}

// Collect implements prometheus.Collector.
func (r *Redis) Collect(ch chan<- prometheus.Metric) {
	r.trips.Collect(ch)
	r.failures.Collect(ch)
}

// DialHook implements redis.Hook.
func (r *Redis) DialHook(next redis.DialHook) redis.DialHook { return next }

// ProcessHook implements redis.Hook.
func (r *Redis) ProcessHook(next redis.ProcessHook) redis.ProcessHook {
	return func(ctx context.Context, cmd redis.Cmder) error {
		began := time.Now()
		err := next(ctx, cmd)
		if !waits(cmd) {
			r.measure(label(cmd), time.Since(began), err)
		}
		return err
	}
}

// ProcessPipelineHook implements redis.Hook.
func (r *Redis) ProcessPipelineHook(next redis.ProcessPipelineHook) redis.ProcessPipelineHook {
	return func(ctx context.Context, cmds []redis.Cmder) error {
		began := time.Now()
		err := next(ctx, cmds)
		if len(cmds) > 0 && !slices.ContainsFunc(cmds, waits) {
			r.measure(common(cmds), time.Since(began), err)
		}
		return err
	}
}

func (r *Redis) measure(label string, took time.Duration, err error) {
	if !answered(err) {
		r.failed[label].Inc()
		return
	}
	r.observed[label].Observe(took.Seconds())
}

// answered reports whether Redis has replied: with an error, perhaps.
func answered(err error) bool {
	if err == nil {
		return true
	}
	_, reply := errors.AsType[redis.Error](err)
	return reply
}

// is reports whether a command has a name. Cmder.Name allocates where the command was not written in small
// letters.
func is(cmd redis.Cmder, name string) bool {
	args := cmd.Args()
	if len(args) == 0 {
		return false
	}
	s, ok := args[0].(string)
	return ok && strings.EqualFold(s, name)
}

// waits reports whether a command is meant to take its time.
func waits(cmd redis.Cmder) bool {
	switch {
	case is(cmd, "wait"), is(cmd, "waitaof"):
		return true
	case is(cmd, "xread"), is(cmd, "xreadgroup"):
		return slices.ContainsFunc(cmd.Args(), func(a any) bool {
			s, ok := a.(string)
			return ok && strings.EqualFold(s, "block")
		})
	}
	return false
}

// label returns the label of a command.
func label(cmd redis.Cmder) string {
	args := cmd.Args()
	if len(args) < 2 || !is(cmd, "fcall") && !is(cmd, "fcall_ro") {
		return otherCommand
	}
	function, _ := args[1].(string)
	switch {
	case slices.Contains(functions, function):
		return function
	case strings.HasPrefix(function, presenceCalls+"_"):
		return presenceCalls
	case strings.HasPrefix(function, inboxCalls+"_"):
		return inboxCalls
	case strings.HasPrefix(function, receiptCalls+"_"):
		return receiptCalls
	}
	return otherCommand
}

// common returns the label that all commands of a pipeline have.
func common(cmds []redis.Cmder) string {
	first := label(cmds[0])
	for _, cmd := range cmds[1:] {
		if label(cmd) != first {
			return mixedPipeline
		}
	}
	return first
}
