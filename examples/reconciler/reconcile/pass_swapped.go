package reconcile

import (
	"context"
	"fmt"
	"strconv"
)

// passSwapped finds slips of the fingers: two neighbouring digits exchanged, in a reference (which
// raises a suggestion of the window pass to a match) or in an amount (which remains a suggestion,
// since money is missing).
func passSwapped(_ context.Context, m *Matcher) {
	for n := range m.matches {
		x := &m.matches[n]
		if m.deleted[n] || x.Status != Suggested || x.Rule != "window" {
			continue
		}
		a, b := &m.lines[Left][x.Left[0]], &m.lines[Right][x.Right[0]]
		if swapped(a.ref, b.ref) {
			m.decide(n, Matched, "swapped", 0.92,
				fmt.Sprintf("same amount, digits swapped in reference: %s for %s", a.Reference, b.Reference))
		}
	}
	for _, g := range groups(m, m.byReference) {
		m.bound(&g.side)
		for _, l := range g.side[Left] {
			for _, r := range g.side[Right] {
				a, b := &m.lines[Left][l], &m.lines[Right][r]
				if !m.open(Left, l) || !m.open(Right, r) || days(a.Date, b.Date) > m.tol.ReferenceWindow ||
					!sameSign(a.Amount, b.Amount) || !swapped(digits(a.Amount), digits(b.Amount)) {
					continue
				}
				m.create(Match{
					Status: Suggested, Rule: "swapped", Confidence: 0.75, Left: []int{l}, Right: []int{r},
					Reason: fmt.Sprintf("same reference, digits swapped in amount: %s for %s",
						a.Currency.Format(a.Amount), b.Currency.Format(b.Amount)),
				})
			}
		}
	}
}

// digits returns an amount without its sign, filled so that a leading zero may be exchanged too
// (12.34 for 102.34 is a lost digit, not an exchange; 0.10 for 1.00 is one).
func digits(a Amount) string {
	s := strconv.FormatInt(int64(a.abs()), 10)
	for len(s) < 4 {
		s = "0" + s
	}
	return s
}

// swapped reports whether a and b differ in exactly two neighbouring digits, exchanged.
func swapped(a, b string) bool {
	if len(a) != len(b) || len(a) < 2 || a == b {
		return false
	}
	i := 0
	for a[i] == b[i] {
		i++
	}
	return i+1 < len(a) && a[i] == b[i+1] && a[i+1] == b[i] && a[i+2:] == b[i+2:] &&
		allDigits(a[i:i+2])
}

// nearReference reports whether one reference may be a mistyped other: digits exchanged, or one
// character of at least six wrong.
func nearReference(a, b string) bool {
	if swapped(a, b) {
		return true
	}
	if len(a) != len(b) || len(a) < 6 {
		return false
	}
	wrong := 0
	for i := range len(a) {
		if a[i] != b[i] {
			wrong++
		}
	}
	return wrong == 1
}
