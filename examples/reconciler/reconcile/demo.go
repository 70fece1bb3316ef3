package reconcile

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"maps"
	"strconv"
	"sync"
	"time"

	"github.com/tallywire/tallywire/examples/reconciler/ledgers"
)

// DemoOptions say how a demonstration runs. The zero value is what the program's --demo uses.
type DemoOptions struct {
	// Tag keeps demonstrations apart that publish to one store: with "eu" the jobs are recon-eu-0001 … In a
	// store that outlives the process, [RunTag] keeps a run apart from those before.
	Tag string
	// Rate is how many lines a second a job settles; 0 means 120, which makes a job last about 75 seconds.
	Rate float64
	// Pause is how long nothing happens between rounds; 0 means 5 seconds.
	Pause time.Duration
	// Rounds is how many rounds there are; 0 means until ctx ends.
	Rounds int
	// Done, where set, is told how each attempt ended. It may be called from several goroutines at once.
	Done func(job string, attempt int, t Totals, err error)
}

const (
	demoRate  = 120
	demoPause = 5 * time.Second
	// overlapAfter is when the second job of a round begins, as a share of what the first one takes.
	overlapAfter = 0.3
	// smallMovements is the size of the job that runs beside another.
	smallMovements = 1_100
	// backlogMovements is the size of the first job, backlogSpeed how many times faster it is.
	backlogMovements = 2_000
	backlogSpeed     = 20
)

// RunTag returns a tag for a demonstration that begins then: others within eighteen days have another one,
// unless they begin in the same second.
func RunTag(begin time.Time) string {
	const length = 4
	digits := "000" + strconv.FormatInt(max(0, begin.Unix()), 36)
	return digits[len(digits)-length:]
}

// Demo runs jobs on the bundled ledgers. A quick one comes first, so that there is something to work on.
// Then they run again and again in rounds: one job alone; two that overlap, of which the smaller is kept
// waiting by its bank for a while; one whose bank statement breaks off, which fails and is tried again
// with the whole file. It returns nil
// when ctx ends or the rounds are over, and waits for the jobs that it started. p is used by two
// goroutines at once.
func Demo(ctx context.Context, p Publisher, o DemoOptions) error {
	if o.Rate == 0 {
		o.Rate = demoRate
	}
	if o.Pause == 0 {
		o.Pause = demoPause
	}
	if o.Done == nil {
		o.Done = func(string, int, Totals, error) {}
	}
	d := &demo{DemoOptions: o, to: p, worker: "reconciler-" + strconv.FormatInt(time.Now().UnixMilli(), 36)}
	probe := d.next("check", bundled("bank.csv", ledgers.Bank), bundled("ledger.csv", ledgers.Ledger))
	if err := probe.Validate(); err != nil {
		return err
	}
	d.jobs = -1
	d.attempt(ctx, d.backlog())
	for round := 0; o.Rounds == 0 || round < o.Rounds; round++ {
		d.round(ctx, round)
		if sleep(ctx, o.Pause) != nil {
			return nil // the end of ctx is how a demonstration is stopped
		}
	}
	return nil
}

// demo is for one goroutine; only attempt may be called from others.
type demo struct {
	DemoOptions
	to     Publisher
	worker string // unique, so that ids of an earlier run are not mistaken for repetitions
	jobs   int
}

func (d *demo) round(ctx context.Context, round int) {
	bank, ledger := bundled("bank.csv", ledgers.Bank), bundled("ledger.csv", ledgers.Ledger)
	switch round % 3 {
	case 0:
		d.attempt(ctx, d.next("Operating accounts, June to August", bank, ledger))
	case 1:
		first, second := d.next("Operating accounts, June to August", bank, ledger), d.small("Branch accounts, June")
		second.Left = slow(ctx, second.Left)
		var both sync.WaitGroup
		both.Go(func() { d.attempt(ctx, first) })
		if sleep(ctx, d.overlap()) == nil {
			d.attempt(ctx, second)
		}
		both.Wait()
	case 2:
		broken := d.next("Operating accounts, June to August", bundled("bank-cut-off.csv", ledgers.BankCutOff), ledger)
		broken.MaxAttempts, broken.RetryIn = 2, d.Pause
		if d.attempt(ctx, broken) && sleep(ctx, d.Pause) == nil {
			broken.Attempt, broken.Left = 2, bank
			d.attempt(ctx, broken)
		}
	}
}

// attempt runs a job and reports whether it failed, other than by the end of ctx.
func (d *demo) attempt(ctx context.Context, o Options) (failed bool) {
	t, err := Run(ctx, o, d.to)
	d.Done(o.JobID, max(1, o.Attempt), t, err)
	return err != nil && ctx.Err() == nil
}

func (d *demo) next(name string, left, right Source) Options {
	d.jobs++
	tag := d.Tag
	if tag != "" {
		tag += "-"
	}
	return Options{
		JobID: fmt.Sprintf("recon-%s%04d", tag, d.jobs), Name: name, Worker: d.worker, Left: left, Right: right,
		Tolerances: DefaultTolerances, Rate: d.Rate,
	}
}

// overlap is how long the second job of a round waits.
func (d *demo) overlap() time.Duration {
	lines := 2 * float64(ledgers.Default().Movements)
	return time.Duration(overlapAfter * lines / d.Rate * float64(time.Second))
}

// small is a job on smaller ledgers, others each time.
func (d *demo) small(name string) Options {
	c := ledgers.Default()
	c.Movements, c.BadLines = smallMovements, 2
	return d.generated(name, c)
}

// backlog is a quick job that leaves more than usual for people to decide.
func (d *demo) backlog() Options {
	c := ledgers.Default()
	c.Movements, c.BadLines, c.Weights = backlogMovements, 2, maps.Clone(c.Weights)
	c.Weights[ledgers.Cents] = 120
	o := d.generated("Branch accounts, May", c)
	o.Rate *= backlogSpeed
	o.Tolerances.Amount = 0 // cents that differ are for people
	return o
}

// generated is a job on ledgers that are made when they are first read.
func (d *demo) generated(name string, c ledgers.Config) Options {
	c.Seed += uint64(d.jobs) //nolint:gosec // a count
	files := sync.OnceValues(func() (ledgers.Files, error) { return ledgers.Generate(c) })
	source := func(name string, pick func(ledgers.Files) []byte) Source {
		return Source{Name: name, Open: func() (io.ReadCloser, error) {
			f, err := files()
			return io.NopCloser(bytes.NewReader(pick(f))), err
		}}
	}
	return d.next(name,
		source("branches-bank.csv", func(f ledgers.Files) []byte { return f.Bank }),
		source("branches-ledger.csv", func(f ledgers.Files) []byte { return f.Ledger }))
}

func bundled(name string, open func() (io.ReadCloser, error)) Source {
	return Source{Name: name, Open: open}
}

// Bundled returns the bundled ledgers, the bank's and the company's.
func Bundled() (left, right Source) {
	return bundled("bank.csv", ledgers.Bank), bundled("ledger.csv", ledgers.Ledger)
}
