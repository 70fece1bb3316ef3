package reconcile

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"
)

const component = "reconciler"

// codeCancelled is the error of a job that was stopped.
const codeCancelled = "cancelled"

var system = author{Kind: "system", ID: component}

// announce publishes that the attempt has begun.
func (j *job) announce(ctx context.Context) error {
	now := stamp(j.started)
	if err := j.jobs(ctx, "job.started", "started", jobStarted{
		JobID: j.o.JobID, Attempt: j.o.Attempt, MaxAttempts: j.o.MaxAttempts, Name: j.o.Name, Kind: "reconciliation",
		Phases: []string{phaseLoad, phaseMatch}, Total: j.total(), Worker: j.o.Worker, StartedAt: now,
	}); err != nil {
		return err
	}
	title := j.o.Name + ": started"
	if j.o.Attempt > 1 {
		title = fmt.Sprintf("%s: started again, attempt %d", j.o.Name, j.o.Attempt)
	}
	if err := j.notify(ctx, "info", "job", title,
		fmt.Sprintf("%s against %s, about %s lines.", j.o.Left.Name, j.o.Right.Name, grouped(j.total()))); err != nil {
		return err
	}
	return j.status(ctx, "operational", "Working on "+j.o.JobID+".")
}

func (j *job) completed(ctx context.Context) error {
	if err := j.progressNow(ctx, "Done"); err != nil {
		return err
	}
	if err := j.metrics(ctx, true); err != nil {
		return err
	}
	t := j.totals()
	settled := func(s Status) int { return t.Settled[s][Left] + t.Settled[s][Right] }
	data := jobCompleted{
		JobID: j.o.JobID, Attempt: j.o.Attempt, Processed: t.Lines[Left] + t.Lines[Right], Matched: settled(Matched),
		Unmatched: settled(Unmatched), Exceptions: settled(Suggested) + settled(Duplicate),
		MatchRate: percentage(t.MatchRate()), Duration: time.Since(j.started).Milliseconds(), CompletedAt: stamp(time.Now()),
		Duplicates: settled(Duplicate), BadLines: t.BadLines[Left] + t.BadLines[Right], Matches: t.Matches,
		Currencies: []currencyTotals{},
	}
	for i := range t.Sums {
		data.Currencies = append(data.Currencies, t.Sums[i].data())
	}
	if len(t.Sums) == 1 {
		sum := &t.Sums[0]
		open := sum.Of[Unmatched]
		data.MatchedAmount = cash(sum.Currency, sum.Of[Matched][Left])
		data.Open = cash(sum.Currency, open[Left]-open[Right])
	}
	if err := j.jobs(ctx, "job.completed", "completed", data); err != nil {
		return err
	}
	severity, body := "info", fmt.Sprintf("%s of %s lines matched (%.1f%%).", grouped(data.Matched), grouped(data.Processed), data.MatchRate)
	if todo := data.Unmatched + data.Exceptions; todo > 0 {
		severity, body = "warning", body+fmt.Sprintf(" %s for a decision.", waiting(todo))
	}
	if err := j.notify(ctx, severity, "job", j.o.Name+": completed", body); err != nil {
		return err
	}
	if err := j.status(ctx, "operational", j.o.JobID+" is completed."); err != nil {
		return err
	}
	return j.out.flush(ctx)
}

func waiting(n int) string {
	if n == 1 {
		return "1 line waits"
	}
	return grouped(n) + " lines wait"
}

// grouped returns a count as people read it: 4,052.
func grouped(n int) string {
	digits := strconv.Itoa(n)
	for at := len(digits) - 3; at > 0; at -= 3 {
		digits = digits[:at] + "," + digits[at:]
	}
	return digits
}

// data returns a sum as decimals.
func (s *Sum) data() currencyTotals {
	side := func(n Side) sideTotals {
		f := func(a Amount) string { return s.Currency.Format(a) }
		return sideTotals{
			Total: f(s.Total[n]), Matched: f(s.Of[Matched][n]), Suggested: f(s.Of[Suggested][n]),
			Unmatched: f(s.Of[Unmatched][n]), Duplicate: f(s.Of[Duplicate][n]),
		}
	}
	return currencyTotals{Currency: s.Currency, Left: side(Left), Right: side(Right)}
}

// failed publishes why the attempt has ended.
func (j *job) failed(ctx context.Context, cause error) error {
	now := time.Now()
	f := explain(cause)
	data := jobFailed{
		JobID: j.o.JobID, Attempt: j.o.Attempt, MaxAttempts: j.o.MaxAttempts, Phase: j.phase, Processed: j.settled,
		Error: f, WillRetry: j.o.Attempt < j.o.MaxAttempts && f.Code != codeCancelled,
		Duration: now.Sub(j.started).Milliseconds(), FailedAt: stamp(now),
	}
	body := f.Message
	if data.WillRetry {
		data.RetryAt = stamp(now.Add(j.o.RetryIn))
		body = fmt.Sprintf("%s. Attempt %d follows.", strings.TrimSuffix(body, "."), j.o.Attempt+1)
	}
	if err := j.jobs(ctx, "job.failed", "failed", data); err != nil {
		return err
	}
	severity, title, status, message := "error", "failed", "degraded", "has failed"
	if f.Code == codeCancelled { // somebody's wish, and no trouble
		severity, title, status, message = "info", "stopped", "operational", "was stopped"
	}
	if err := j.notify(ctx, severity, "job", j.o.Name+": "+title, body); err != nil {
		return err
	}
	if err := j.status(ctx, status, j.o.JobID+" "+message+"."); err != nil {
		return err
	}
	return j.out.flush(ctx)
}

// explain turns the error that ended a job into what is published of it.
func explain(err error) failure {
	var file *FileError
	var publish *PublishError
	switch {
	case errors.As(err, &file):
		return failure{Code: "bad_file", Message: clip(file.Error(), 2000), Details: map[string]any{"file": file.File, "line": file.Row}}
	case errors.Is(err, errTooManyBadLines):
		return failure{Code: "too_many_bad_lines", Message: clip(err.Error(), 2000)}
	case errors.As(err, &publish):
		// What the publisher says may hold addresses and names of servers; it is for the worker's log.
		return failure{Code: "publish_failed", Message: fmt.Sprintf("Events could not be published (tried %s).", plural(publish.Tries, "time"))}
	case errors.Is(err, context.Canceled), errors.Is(err, context.DeadlineExceeded):
		return failure{Code: codeCancelled, Message: "The job was stopped."}
	}
	return failure{Code: "internal", Message: "The job ended unexpectedly; the worker's log says more."}
}

// clip cuts s to at most n bytes, at a character's end.
func clip(s string, n int) string {
	if len(s) <= n {
		return s
	}
	for n > 0 && s[n]&0xc0 == 0x80 {
		n--
	}
	return s[:n]
}

func (j *job) raiseBadLine(ctx context.Context, s Side, bad *LineError) error {
	return j.jobs(ctx, "error.raised", "error", errorRaised{
		Code: "line.invalid", Message: clip(bad.Error(), 2000), Severity: "warning", Component: component,
		JobID: j.o.JobID, Attempt: j.o.Attempt, RaisedAt: stamp(time.Now()),
		Details: map[string]any{"side": s.String(), "file": bad.File, "line": bad.Row, "position": bad.Pos, "column": bad.Column},
	})
}

func (j *job) notify(ctx context.Context, severity, category, title, body string) error {
	id := fmt.Sprintf("%s.%d.n%d", j.o.JobID, j.o.Attempt, j.numbers["notification"]+1)
	return j.publish(ctx, "notifications:ops", "notification.raised", "job/"+j.o.JobID, "notification", notification{
		ID: id, Severity: severity, Title: clip(title, 256), Body: clip(body, 8000), Category: category, Link: "/jobs/" + j.o.JobID,
		Author: system, RaisedAt: stamp(time.Now()),
	})
}

func (j *job) status(ctx context.Context, status, message string) error {
	return j.publish(ctx, "system:status", "system.status", "component/"+component, "status", systemStatus{
		Component: component, Status: status, Message: message, Since: stamp(time.Now()),
	})
}

// metrics publishes the numbers for dashboards, at most once a second.
func (j *job) metrics(ctx context.Context, now bool) error {
	if !now && time.Since(j.lastMetrics) < metricsEvery {
		return nil
	}
	j.lastMetrics = time.Now()
	at := stamp(j.lastMetrics)
	number := func(name, unit string, v float64) metric {
		return metric{Metric: name, Value: &v, Unit: unit, MeasuredAt: at, Labels: map[string]string{"job": j.o.JobID}}
	}
	total := j.total()
	list := []metric{
		number("match_rate", "percent", percentage(float64(j.done[Matched])/float64(max(1, total)))),
		number("unmatched_lines", "count", float64(j.done[Unmatched])),
		number("open_lines", "count", float64(max(0, total-j.settled))),
		number("throughput", "per_second", round1(j.rate.perSecond)),
	}
	for _, s := range j.matcher.currencies() {
		list = append(list, metric{Metric: "matched_amount", Amount: cash(s, j.money[s]), MeasuredAt: at, Labels: map[string]string{
			"job": j.o.JobID, "currency": string(s),
		}})
	}
	for _, m := range list {
		subject := "metric/" + m.Metric + "/" + j.o.JobID
		if m.Amount != nil {
			subject += "/" + string(m.Amount.Currency)
		}
		if err := j.publish(ctx, "metrics:recon", "dashboard.metric", subject, "metric", m); err != nil {
			return err
		}
	}
	return nil
}

// percentage returns a share in percent with two decimals.
func percentage(share float64) float64 { return float64(int(share*10_000+0.5)) / 100 }

func cash(c Currency, a Amount) *money { return &money{Amount: c.Format(a), Currency: c} }
