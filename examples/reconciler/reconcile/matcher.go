package reconcile

import (
	"context"
	"fmt"
)

// Tolerances are the bounds within which lines may differ and still belong together. The zero value as a
// whole means [DefaultTolerances]; otherwise every field is taken as it is.
type Tolerances struct {
	// Amount by which a payment with the right reference may differ in either direction, in hundredths of
	// the currency's unit: 50 is 0.50 EUR, and nothing in JPY.
	Amount int64
	// FeeBasisPoints is the largest share of an amount that a bank may have kept as its fee.
	FeeBasisPoints int64
	// DateWindow is how many days a booking may be late or early.
	DateWindow int
	// ReferenceWindow is the same for lines with equal references. It keeps the rents of two months apart.
	ReferenceWindow int
	// SplitParts is the largest number of payments that settle one invoice.
	SplitParts int
}

// DefaultTolerances are used where nothing else is said.
var DefaultTolerances = Tolerances{Amount: 50, FeeBasisPoints: 350, DateWindow: 3, ReferenceWindow: 14, SplitParts: 5}

func (t Tolerances) withDefaults() Tolerances {
	if t == (Tolerances{}) {
		return DefaultTolerances
	}
	return t
}

// amount returns the tolerance in a currency's minor units, rounded down.
func (t Tolerances) amount(c Currency) Amount {
	a := Amount(t.Amount)
	for range c.Digits() {
		a *= 10
	}
	return a / 100
}

// Validate reports the first bound that is out of range.
func (t Tolerances) Validate() error {
	switch {
	case t.Amount < 0 || t.Amount > 1_000_000_00:
		return fmt.Errorf("amount tolerance: must be between 0 and 1000000.00, is %d hundredths", t.Amount)
	case t.FeeBasisPoints < 0 || t.FeeBasisPoints > 2_000:
		return fmt.Errorf("fee: must be between 0 and 2000 basis points, is %d", t.FeeBasisPoints)
	case t.DateWindow < 0 || t.DateWindow > 60:
		return fmt.Errorf("date window: must be between 0 and 60 days, is %d", t.DateWindow)
	case t.ReferenceWindow < t.DateWindow || t.ReferenceWindow > 400:
		return fmt.Errorf("reference window: must be between the date window and 400 days, is %d", t.ReferenceWindow)
	case t.SplitParts < 2 || t.SplitParts > 8:
		return fmt.Errorf("split parts: must be between 2 and 8, is %d", t.SplitParts)
	}
	return nil
}

// pass looks at what is open and decides some of it.
type pass struct {
	name string
	run  func(context.Context, *Matcher)
}

// pipeline is the order of the passes: strong evidence first; a later pass may confirm what an earlier
// one only suggested, or take its lines for something better.
var pipeline = []pass{
	{"reference", passReference},
	{"fee", passFee},
	{"duplicates", passDuplicates},
	{"window", passWindow},
	{"split", passSplit},
	{"swapped", passSwapped},
	{"confirm", passConfirm},
	{"repeats", passRepeats},
	{"rest", passRest},
}

// Matcher decides which lines of two ledgers belong together. The same lines in the same order give the
// same changes, always. It is for one goroutine.
type Matcher struct {
	lines   [2][]Line
	of      [2][]int // index into matches by line; -1 while it is open
	matches []Match
	deleted []bool // by match
	settled int
	bounded int // searches that were cut short by a bound
	tol     Tolerances
	codes   []Currency // of the left side, once they are asked for
	changes []Change
}

// NewMatcher returns a matcher of lines that a [Reader] has read; it keeps the slices.
func NewMatcher(left, right []Line, tol Tolerances) (*Matcher, error) {
	tol = tol.withDefaults()
	if err := tol.Validate(); err != nil {
		return nil, err
	}
	m := &Matcher{lines: [2][]Line{left, right}, tol: tol}
	for side := range m.of {
		m.of[side] = make([]int, len(m.lines[side]))
		for i := range m.of[side] {
			m.of[side][i] = -1
		}
	}
	return m, nil
}

// Run takes the passes one after another and tells each change to emit, which may take its time. It
// ends at the first error of emit, or when ctx does.
func (m *Matcher) Run(ctx context.Context, emit func(pass string, c Change) error) error {
	for _, p := range pipeline {
		p.run(ctx, m)
		if err := ctx.Err(); err != nil {
			return err
		}
		for _, c := range m.changes {
			if err := emit(p.name, c); err != nil {
				return err
			}
		}
		m.changes = m.changes[:0]
	}
	return nil
}

// Line returns a line by its side and index.
func (m *Matcher) Line(s Side, i int) *Line { return &m.lines[s][i] }

// Matches returns the matches that stand, in the order of their creation.
func (m *Matcher) Matches() []Match {
	out := make([]Match, 0, len(m.matches))
	for i := range m.matches {
		if !m.deleted[i] {
			out = append(out, m.matches[i])
		}
	}
	return out
}

// Difference returns what the left lines of a match have more than the right ones, in minor units.
func (m *Matcher) Difference(x *Match) Amount { return m.sum(Left, x.Left) - m.sum(Right, x.Right) }

func (m *Matcher) sum(s Side, indexes []int) Amount {
	var total Amount
	for _, i := range indexes {
		total += m.lines[s][i].Amount
	}
	return total
}

// open reports whether a line is in no match yet.
func (m *Matcher) open(s Side, i int) bool { return m.of[s][i] < 0 }

// free reports whether a line is open, or only suggested with less than the given confidence.
func (m *Matcher) free(s Side, i int, confidence float64) bool {
	n := m.of[s][i]
	return n < 0 || m.matches[n].Status == Suggested && m.matches[n].Confidence < confidence
}

// create makes a match of open lines.
func (m *Matcher) create(x Match) {
	x.Number, x.Revision = len(m.matches)+1, 1
	x.Currency = m.currency(&x)
	m.matches = append(m.matches, x)
	m.deleted = append(m.deleted, false)
	m.claim(x.Number - 1)
	m.changed(Created, x, nil)
}

// replace makes a match of lines that are free. A suggestion that held the lines of anchor's is
// updated; others that held any of the lines are deleted, and their other lines are open again.
func (m *Matcher) replace(x Match, anchor int) {
	for side, indexes := range x.sides() {
		for _, i := range indexes {
			if n := m.of[side][i]; n >= 0 && n != anchor {
				m.remove(n)
			}
		}
	}
	if anchor < 0 {
		m.create(x)
		return
	}
	m.release(anchor)
	previous := m.matches[anchor]
	x.Number, x.Revision, x.Currency = previous.Number, previous.Revision+1, previous.Currency
	m.matches[anchor] = x
	m.claim(anchor)
	m.changed(Updated, x, &previous)
}

// decide changes what is said of a match, not its lines.
func (m *Matcher) decide(n int, status Status, rule string, confidence float64, reason string) {
	x, previous := &m.matches[n], m.matches[n]
	x.Status, x.Rule, x.Confidence, x.Reason = status, rule, confidence, reason
	x.Revision++
	m.changed(Updated, *x, &previous)
}

func (m *Matcher) remove(n int) {
	m.release(n)
	m.deleted[n] = true
	m.changed(Deleted, m.matches[n], nil)
}

func (m *Matcher) claim(n int) {
	for side, indexes := range m.matches[n].sides() {
		for _, i := range indexes {
			m.of[side][i] = n
			m.settled++
		}
	}
}

func (m *Matcher) release(n int) {
	for side, indexes := range m.matches[n].sides() {
		for _, i := range indexes {
			m.of[side][i] = -1
			m.settled--
		}
	}
}

func (m *Matcher) changed(k Kind, x Match, previous *Match) {
	m.changes = append(m.changes, Change{Kind: k, Match: x, Previous: previous, Settled: m.settled})
}

func (m *Matcher) currency(x *Match) Currency {
	if len(x.Left) > 0 {
		return m.lines[Left][x.Left[0]].Currency
	}
	return m.lines[Right][x.Right[0]].Currency
}
