// Command reconciler is a worker that reconciles two CSV ledgers and publishes what it finds while it
// works: straight to Redis, through a gateway, or to standard output for a look.
//
//	reconciler --redis redis://127.0.0.1:6379 --job 42
//	reconciler --url http://127.0.0.1:8080 --token … --left bank.csv --right ledger.csv
//	reconciler --rate 0 | jq -c 'select(.event.type == "job.completed").event.data'
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"path/filepath"
	"strconv"
	"syscall"
	"time"

	"github.com/tallywire/tallywire/examples/reconciler/publish"
	"github.com/tallywire/tallywire/examples/reconciler/reconcile"
)

// Exit statuses.
const (
	exitDone = iota
	exitFailed
	exitUsage
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	status := run(ctx, os.Args[1:], os.Stdout, os.Stderr)
	stop()
	os.Exit(status)
}

// settings are the flags as they were given.
type settings struct {
	redis, prefix, url, token string
	left, right               string
	job, name, tolerance, fee string
	dateWindow, attempt       int
	maxBad                    int
	rate                      float64
	repeat                    bool
	pause                     time.Duration
}

func run(ctx context.Context, args []string, stdout, stderr io.Writer) int {
	s, err := parse(args, stderr)
	if errors.Is(err, flag.ErrHelp) {
		return exitDone
	}
	if err != nil {
		return exitUsage
	}
	usage := func(err error) int {
		fmt.Fprintln(stderr, "reconciler:", err)
		return exitUsage
	}
	o, err := s.options()
	if err != nil {
		return usage(err)
	}
	to, err := s.publisher(stdout)
	if err != nil {
		return usage(err)
	}
	defer func() { _ = to.Close() }()
	for n := 1; ; n++ {
		if s.repeat {
			o.JobID = fmt.Sprintf("%s-%04d", s.job, n)
		}
		totals, err := reconcile.Run(ctx, o, to)
		report(stderr, o.JobID, totals, err)
		switch {
		case ctx.Err() != nil && s.repeat:
			return exitDone
		case err != nil && !s.repeat:
			return exitFailed
		case !s.repeat:
			return exitDone
		}
		pause := time.NewTimer(s.pause)
		select {
		case <-ctx.Done():
			pause.Stop()
			return exitDone
		case <-pause.C:
		}
	}
}

func parse(args []string, stderr io.Writer) (settings, error) {
	var s settings
	f := flag.NewFlagSet("reconciler", flag.ContinueOnError)
	f.SetOutput(stderr)
	f.StringVar(&s.redis, "redis", os.Getenv("TALLYWIRE_REDIS"), "publish to this Redis `URL`")
	f.StringVar(&s.prefix, "prefix", "tw", "`prefix` of the Redis keys")
	f.StringVar(&s.url, "url", "", "publish through the gateway at this `URL`")
	f.StringVar(&s.token, "token", os.Getenv("TALLYWIRE_TOKEN"), "`token` for the gateway; better given as TALLYWIRE_TOKEN")
	f.StringVar(&s.left, "left", "", "the bank's ledger, a CSV `file` (default: the bundled one)")
	f.StringVar(&s.right, "right", "", "the company's ledger, a CSV `file`")
	f.StringVar(&s.job, "job", "recon", "`id` of the job; with --repeat its beginning")
	f.StringVar(&s.name, "name", "", "`name` of the job, for people")
	f.IntVar(&s.attempt, "attempt", 1, "which attempt at the job this is")
	f.Float64Var(&s.rate, "rate", 120, "`lines` a second; 0 for as fast as possible")
	f.BoolVar(&s.repeat, "repeat", false, "begin again and again, as jobs <id>-0001, <id>-0002 …")
	f.DurationVar(&s.pause, "pause", 5*time.Second, "time between two jobs of --repeat")
	f.IntVar(&s.dateWindow, "date-window", 3, "`days` that a booking may be late or early")
	f.StringVar(&s.tolerance, "amount-tolerance", "0.50", "`amount` by which payments with the right reference may differ")
	f.StringVar(&s.fee, "fee", "3.5", "largest fee, in `percent`, that a bank may have kept")
	f.IntVar(&s.maxBad, "max-bad-lines", 100, "`lines` that may be unusable before the job fails; -1 for none")
	if err := f.Parse(args); err != nil {
		return s, err
	}
	if f.NArg() > 0 {
		err := fmt.Errorf("unexpected argument %q", f.Arg(0))
		fmt.Fprintln(stderr, "reconciler:", err)
		return s, err
	}
	return s, nil
}

// options turns the flags into a job.
func (s *settings) options() (reconcile.Options, error) {
	const hundredths = reconcile.Currency("EUR") // a currency of two decimals
	tolerance, err := hundredths.Parse(s.tolerance)
	if err != nil {
		return reconcile.Options{}, fmt.Errorf("--amount-tolerance: %w", err)
	}
	fee, err := hundredths.Parse(s.fee)
	if err != nil {
		return reconcile.Options{}, fmt.Errorf("--fee: %w", err)
	}
	left, right := reconcile.Bundled()
	switch {
	case s.left != "" && s.right != "":
		left, right = file(s.left), file(s.right)
	case s.left != "" || s.right != "":
		return reconcile.Options{}, errors.New("--left and --right: give both, or neither for the bundled ledgers")
	}
	tol := reconcile.DefaultTolerances
	tol.Amount, tol.FeeBasisPoints, tol.DateWindow = int64(tolerance), int64(fee), s.dateWindow
	tol.ReferenceWindow = max(tol.ReferenceWindow, tol.DateWindow)
	o := reconcile.Options{
		JobID: s.job, Name: s.name, Attempt: s.attempt, Left: left, Right: right, Rate: s.rate, MaxBadLines: s.maxBad,
		// Ids are unique within their source: another process that runs this job has a source of its own.
		Worker: "reconciler-" + strconv.FormatInt(time.Now().UnixMilli(), 36), Tolerances: tol,
	}
	return o, o.Validate()
}

func file(path string) reconcile.Source {
	return reconcile.Source{Name: filepath.Base(path), Open: func() (io.ReadCloser, error) { return os.Open(path) }} //nolint:gosec // the user names it
}

type publisher interface {
	reconcile.Publisher
	io.Closer
}

func (s *settings) publisher(stdout io.Writer) (publisher, error) {
	switch {
	case s.redis != "" && s.url != "":
		return nil, errors.New("--redis and --url: give one of them")
	case s.redis != "":
		return publish.NewRedis(s.redis, s.prefix)
	case s.url != "":
		return publish.NewHTTP(s.url, s.token)
	}
	return publish.NewWriter(stdout), nil
}

// report says for people how a job went.
func report(w io.Writer, job string, t reconcile.Totals, err error) {
	if err != nil {
		fmt.Fprintf(w, "reconciler: %s: %v\n", job, err)
		return
	}
	fmt.Fprintf(w, "reconciler: %s: %d bank lines, %d ledger lines, %d left out; %d matched, %d suggested, %d duplicate, %d unmatched (%.2f%% of lines matched)\n",
		job, t.Lines[reconcile.Left], t.Lines[reconcile.Right], t.BadLines[0]+t.BadLines[1],
		t.Matches[reconcile.Matched], t.Matches[reconcile.Suggested], t.Matches[reconcile.Duplicate], t.Matches[reconcile.Unmatched],
		100*t.MatchRate())
	for _, sum := range t.Sums {
		f := sum.Currency.Format
		fmt.Fprintf(w, "  %s  bank %15s, matched %15s | ledger %15s, matched %15s\n", sum.Currency,
			f(sum.Total[0]), f(sum.Of[reconcile.Matched][0]), f(sum.Total[1]), f(sum.Of[reconcile.Matched][1]))
	}
}
