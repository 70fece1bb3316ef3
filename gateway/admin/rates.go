package admin

import (
	"time"

	"github.com/tallywire/tallywire/gateway/inspect"
)

// rateWindow is over how long rates are taken; seriesLength is how many seconds a series goes back.
const (
	rateWindow   = 5 * time.Second
	seriesLength = 60
)

// Rates are averages over the last seconds, per second.
type Rates struct {
	// WindowMS is over how many milliseconds.
	WindowMS  int64   `json:"window_ms"`
	Accepted  float64 `json:"accepted"`
	Commands  float64 `json:"commands"`
	Published float64 `json:"published"`
	Delivered float64 `json:"delivered"`
	Messages  float64 `json:"messages"`
	Bytes     float64 `json:"bytes"`
	Resets    float64 `json:"resets"`
	Refused   float64 `json:"refused"`
}

// Series are the last values, one a step, the oldest first; the last is the newest.
type Series struct {
	StepMS      int64     `json:"step_ms"`
	Published   []float64 `json:"published"`
	Delivered   []float64 `json:"delivered"`
	Connections []int     `json:"connections"`
}

// track keeps the samples of one gateway's counters, one a second. It is not safe for concurrent use.
type track struct {
	samples []inspect.Overview // the oldest first
}

func (t *track) add(o inspect.Overview) {
	t.samples = append(t.samples, o)
	if over := len(t.samples) - seriesLength - 1; over > 0 {
		t.samples = append(t.samples[:0], t.samples[over:]...)
	}
}

// rates returns nil while there are fewer than two samples.
func (t *track) rates() *Rates {
	n := len(t.samples)
	if n < 2 {
		return nil
	}
	last, from := t.samples[n-1], n-2
	for from > 0 && last.Now.Sub(t.samples[from].Now) < rateWindow {
		from--
	}
	first := t.samples[from]
	window := last.Now.Sub(first.Now)
	if window <= 0 {
		return nil
	}
	per := func(a, b uint64) float64 { return perSecond(a, b, window) }
	return &Rates{
		WindowMS: window.Milliseconds(),
		Accepted: per(first.Accepted, last.Accepted), Commands: per(first.Commands, last.Commands),
		Published: per(first.Published, last.Published), Delivered: per(first.Delivered, last.Delivered),
		Messages: per(first.Messages, last.Messages), Bytes: per(first.Bytes, last.Bytes),
		Resets: per(first.Resets, last.Resets), Refused: per(first.Refused, last.Refused),
	}
}

func (t *track) series() *Series {
	s := &Series{StepMS: time.Second.Milliseconds(), Published: []float64{}, Delivered: []float64{}, Connections: []int{}}
	for i := 1; i < len(t.samples); i++ {
		a, b := &t.samples[i-1], &t.samples[i]
		window := b.Now.Sub(a.Now)
		s.Published = append(s.Published, perSecond(a.Published, b.Published, window))
		s.Delivered = append(s.Delivered, perSecond(a.Delivered, b.Delivered, window))
		s.Connections = append(s.Connections, b.Connections)
	}
	return s
}

// perSecond rounds to a tenth: nobody reads more, and answers stay small.
func perSecond(a, b uint64, window time.Duration) float64 {
	if b <= a || window <= 0 {
		return 0
	}
	tenths := float64(b-a) / window.Seconds() * 10
	return float64(uint64(tenths+0.5)) / 10
}
