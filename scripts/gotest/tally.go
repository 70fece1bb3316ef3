package main

import (
	"fmt"
	"io"
	"strings"
)

// event is what `go test -json` writes: see `go doc test2json`.
type event struct {
	Action  string
	Package string
	Test    string
	Output  string
	Elapsed float64
}

// line is a line of output and the test it belongs to ("" for the package).
type line struct{ test, text string }

// packageRun is a package whose tests are under way.
type packageRun struct {
	lines  []line
	state  map[string]string // test → "run", then "pass", "fail" or "skip"
	order  []string          // tests as they started
	counts map[string]int    // state → tests
}

// skip is a skipped test and what it said.
type skip struct{ pkg, test, reason string }

// tally counts tests, subtests included. It is not safe for concurrent use.
type tally struct {
	out     io.Writer
	verbose bool
	allowed *allowedSkips
	strict  bool // a skip that is not allowed is a failure

	running                 map[string]*packageRun
	passed, failed, skipped int
	failures                []string
	skips                   []skip
}

// add takes the next event.
func (t *tally) add(e event) {
	if e.Action == "build-output" {
		fmt.Fprint(t.out, e.Output)
		return
	}
	if e.Package == "" {
		return
	}
	p := t.pkg(e.Package)
	switch e.Action {
	case "output":
		if t.verbose {
			fmt.Fprint(t.out, e.Output)
		}
		p.lines = append(p.lines, line{e.Test, e.Output})
	case "run":
		p.state[e.Test] = "run"
		p.order = append(p.order, e.Test)
	case "pass", "fail", "skip":
		if e.Test == "" {
			t.finish(e, p)
			return
		}
		p.state[e.Test] = e.Action
		if e.Action == "skip" {
			t.skips = append(t.skips, skip{e.Package, e.Test, p.reason(e.Test)})
		}
	}
}

func (t *tally) pkg(path string) *packageRun {
	if t.running == nil {
		t.running = map[string]*packageRun{}
	}
	p := t.running[path]
	if p == nil {
		p = &packageRun{state: map[string]string{}, counts: map[string]int{}}
		t.running[path] = p
	}
	return p
}

// finish closes a package: e is its own pass, fail or skip.
func (t *tally) finish(e event, p *packageRun) {
	delete(t.running, e.Package)
	for _, test := range p.order {
		if p.state[test] == "run" { // a panic, a time-out or os.Exit ended the process under it
			p.state[test] = "fail"
		}
		state := p.state[test]
		p.counts[state]++
		if state == "fail" {
			t.failures = append(t.failures, e.Package+" "+test)
		}
	}
	if e.Action == "fail" && p.counts["fail"] == 0 { // it did not build, or failed outside its tests
		p.counts["fail"] = 1
		t.failures = append(t.failures, e.Package)
	}
	t.passed += p.counts["pass"]
	t.failed += p.counts["fail"]
	t.skipped += p.counts["skip"]
	switch {
	case e.Action == "fail":
		if !t.verbose {
			p.printFailure(t.out)
		}
		fmt.Fprintf(t.out, "FAIL  %-60s %6.1fs  %d of %d failed\n", e.Package, e.Elapsed, p.counts["fail"], max(len(p.order), 1))
	case len(p.order) > 0:
		fmt.Fprintf(t.out, "ok    %-60s %6.1fs  %d passed", e.Package, e.Elapsed, p.counts["pass"])
		if n := p.counts["skip"]; n > 0 {
			fmt.Fprintf(t.out, ", %d skipped", n)
		}
		fmt.Fprintln(t.out)
	}
}

// printFailure prints the output of the tests that failed, or everything where no test says why.
func (p *packageRun) printFailure(w io.Writer) {
	named := false
	for _, state := range p.state {
		named = named || state == "fail"
	}
	for _, l := range p.lines {
		if isProgress(l.text) || named && l.test != "" && p.state[l.test] != "fail" {
			continue
		}
		fmt.Fprint(w, l.text)
	}
}

// reason finds what a skipped test said: its last line of output that is not the runner's own.
func (p *packageRun) reason(test string) string {
	for i := len(p.lines) - 1; i >= 0; i-- {
		l := p.lines[i]
		text := strings.TrimSpace(l.text)
		if l.test == test && text != "" && !isProgress(l.text) && !strings.HasPrefix(text, "--- ") {
			return text
		}
	}
	return "no reason given"
}

// isProgress reports lines such as "=== RUN TestX".
func isProgress(text string) bool { return strings.HasPrefix(text, "=== ") }

// report prints the end of the run and tells whether all is well. commandOK is go test's own verdict.
func (t *tally) report(commandOK bool) bool {
	for path, p := range t.running { // the command died before these packages ended
		t.finish(event{Action: "fail", Package: path}, p)
	}
	refused := t.reportSkips()
	if !commandOK && t.failed == 0 {
		t.failed++
		t.failures = append(t.failures, "go test failed without naming a test")
	}
	ran := t.passed+t.failed+t.skipped > 0
	if !ran {
		fmt.Fprintln(t.out, "\nno test ran")
	}
	if len(t.failures) > 0 {
		fmt.Fprintln(t.out, "\nfailed:")
		for _, f := range t.failures {
			fmt.Fprintln(t.out, "  "+f)
		}
	}
	if refused > 0 {
		fmt.Fprintf(t.out, "\n%d skipped where no test may be: install what it needs, or list it in %s\n", refused, allowedSkipsFile)
	}
	fmt.Fprintf(t.out, "\n%d passed, %d failed, %d skipped\n", t.passed, t.failed, t.skipped)
	return commandOK && ran && t.failed == 0 && refused == 0
}

// reportSkips names the skipped tests and returns how many of them fail the run.
func (t *tally) reportSkips() (refused int) {
	if len(t.skips) > 0 {
		fmt.Fprintln(t.out, "\nskipped:")
	}
	for _, s := range t.skips {
		why, ok := t.allowed.reason(s.pkg, s.test)
		switch {
		case ok:
			fmt.Fprintf(t.out, "  %s %s: %s (allowed: %s)\n", s.pkg, s.test, s.reason, why)
		case t.strict:
			refused++
			fmt.Fprintf(t.out, "  %s %s: %s (NOT ALLOWED)\n", s.pkg, s.test, s.reason)
		default:
			fmt.Fprintf(t.out, "  %s %s: %s\n", s.pkg, s.test, s.reason)
		}
	}
	return refused
}
