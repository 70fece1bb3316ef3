package reconcile

import (
	"context"
	"fmt"
	"math"
	"time"

	"github.com/tallywire/tallywire/events"
)

// Intervals of what is published again and again.
const (
	progressEvery = 100 * time.Millisecond
	metricsEvery  = time.Second
)

// job is one attempt at work. It is for one goroutine.
type job struct {
	o       Options
	out     outbox
	started time.Time
	numbers map[string]int // events so far, by kind of id

	phase    string
	matching time.Time // when the phase of that name began
	expected [2]int    // lines that the files seem to have, by side
	read     int       // lines read, bad ones included
	lines    [2][]Line
	bad      [2]int
	matcher  *Matcher

	settled int // most lines settled so far, as published
	done    map[Status]int
	money   map[Currency]Amount // matched on the left, as published

	rate         rate
	lastProgress time.Time
	lastMetrics  time.Time
}

func newJob(o Options, p Publisher) *job {
	return &job{
		o: o, out: outbox{to: p}, started: time.Now(), phase: phaseLoad,
		numbers: map[string]int{}, done: map[Status]int{}, money: map[Currency]Amount{},
	}
}

// totals returns the account of what has been published so far.
func (j *job) totals() Totals {
	if j.matcher == nil {
		return Totals{Lines: [2]int{len(j.lines[Left]), len(j.lines[Right])}, BadLines: j.bad}
	}
	t := j.matcher.Totals()
	t.BadLines = j.bad
	return t
}

// total is how many lines there are to settle, as far as is known.
func (j *job) total() int {
	if j.matcher != nil {
		return len(j.lines[Left]) + len(j.lines[Right])
	}
	return j.expected[Left] + j.expected[Right] - j.bad[Left] - j.bad[Right]
}

// account keeps the numbers that progress and metrics tell in step with what is published. The matcher
// itself is ahead of that by up to a pass.
func (j *job) account(c *Change) {
	add := func(x *Match, sign int) {
		j.done[x.Status] += sign * (len(x.Left) + len(x.Right))
		if x.Status == Matched {
			j.money[x.Currency] += Amount(sign) * j.matcher.sum(Left, x.Left)
		}
	}
	switch {
	case c.Kind == Deleted:
		add(&c.Match, -1)
	case c.Previous != nil:
		add(c.Previous, -1)
		add(&c.Match, 1)
	default:
		add(&c.Match, 1)
	}
}

// paced raises the count of settled lines and returns what it was.
func (j *job) paced(settled int) int {
	before := j.settled
	j.settled = max(before, settled)
	return before
}

// publish queues an event. Its id counts events of a kind within the attempt.
func (j *job) publish(ctx context.Context, channel, eventType, subject, kind string, data any) error {
	e, err := events.New(eventType, data)
	if err != nil {
		return err
	}
	j.numbers[kind]++
	e.ID = fmt.Sprintf("%s.%d.%s.%d", j.o.JobID, j.o.Attempt, kind, j.numbers[kind])
	e.Source, e.Subject, e.Time = j.o.Worker, subject, time.Now().UTC()
	return j.out.add(ctx, Publication{Channel: channel, Event: e})
}

func (j *job) jobs(ctx context.Context, eventType, kind string, data any) error {
	return j.publish(ctx, "jobs:"+j.o.JobID, eventType, "job/"+j.o.JobID, kind, data)
}

// progress publishes how far the job is, unless it did so just now.
func (j *job) progress(ctx context.Context, message string) error {
	if time.Since(j.lastProgress) < progressEvery {
		return nil
	}
	return j.progressNow(ctx, message)
}

func (j *job) progressNow(ctx context.Context, message string) error {
	now := time.Now()
	j.lastProgress = now
	done := j.read
	if j.phase == phaseMatch {
		done = j.settled
	}
	j.rate.observe(now, done)
	return j.jobs(ctx, "job.progress", "progress", jobProgress{
		JobID: j.o.JobID, Attempt: j.o.Attempt, Phase: j.phase,
		Processed: min(j.settled, j.total()), Total: j.total(), Percent: j.percent(),
		Rate: round1(j.rate.perSecond), ETA: j.eta(), Elapsed: now.Sub(j.started).Milliseconds(),
		Matched: j.done[Matched], Unmatched: j.done[Unmatched], Message: message,
	})
}

// percent counts reading as a tenth of the work, as Options.Rate does.
func (j *job) percent() float64 {
	if j.total() == 0 {
		return 100
	}
	loaded := 1.0
	if j.phase == phaseLoad {
		loaded = min(1, float64(j.read)/float64(max(1, j.expected[Left]+j.expected[Right])))
	}
	settled := min(1, float64(j.settled)/float64(j.total()))
	return math.Round((loaded+readingSpeed*settled)/(1+readingSpeed)*1000) / 10
}

// eta returns the milliseconds until the job is done, nil while that cannot be said.
func (j *job) eta() *int64 {
	var seconds float64
	switch {
	case j.phase == phaseMatch && j.settled > 0:
		// The average, since passes settle lines at very different speeds.
		seconds = float64(j.total()-min(j.settled, j.total())) * time.Since(j.matching).Seconds() / float64(j.settled)
	case j.rate.perSecond <= 0:
		return nil
	case j.o.Rate > 0:
		left := max(0, j.expected[Left]+j.expected[Right]-j.read)
		seconds = float64(left)/j.rate.perSecond + float64(j.total())/j.o.Rate
	default:
		return nil
	}
	ms := int64(seconds * 1000)
	return &ms
}

// rate is a smoothed speed.
type rate struct {
	perSecond float64
	at        time.Time
	done      int
}

func (r *rate) observe(now time.Time, done int) {
	dt := now.Sub(r.at).Seconds()
	if r.at.IsZero() || dt <= 0 {
		if r.at.IsZero() {
			r.at, r.done = now, done
		}
		return
	}
	latest := float64(max(0, done-r.done)) / dt
	if r.perSecond == 0 {
		r.perSecond = latest
	} else {
		r.perSecond += 0.2 * (latest - r.perSecond)
	}
	r.at, r.done = now, done
}

func round1(f float64) float64 { return math.Round(f*10) / 10 }

// stamp is a moment as it stands in data.
func stamp(t time.Time) string { return t.UTC().Format(time.RFC3339Nano) }
