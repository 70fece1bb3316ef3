package reconcile

import (
	"cmp"
	"context"
	"fmt"
	"slices"
)

// maxGroup bounds how many open lines of one group and side are compared with each other; it matters
// only where hundreds of lines carry one reference, or one amount.
const maxGroup = 64

type group[K comparable] struct {
	key  K
	side [2][]int
}

// groups collects the lines that key accepts, in the order of their first line; groups with lines on
// one side only are left out.
func groups[K comparable](m *Matcher, key func(s Side, i int) (K, bool)) []group[K] {
	at := map[K]int{}
	var all []group[K]
	for _, s := range []Side{Left, Right} {
		for i := range m.lines[s] {
			k, ok := key(s, i)
			if !ok {
				continue
			}
			n, known := at[k]
			if !known {
				n = len(all)
				at[k] = n
				all = append(all, group[K]{key: k})
			}
			all[n].side[s] = append(all[n].side[s], i)
		}
	}
	return slices.DeleteFunc(all, func(g group[K]) bool { return len(g.side[Left]) == 0 || len(g.side[Right]) == 0 })
}

// bound cuts the sides of a group to maxGroup and counts where it did.
func (m *Matcher) bound(side *[2][]int) {
	for s := range side {
		if len(side[s]) > maxGroup {
			side[s] = side[s][:maxGroup]
			m.bounded++
		}
	}
}

type referenceAmount struct {
	ref      string
	currency Currency
	amount   Amount
}

// passReference matches equal references and amounts. Lines that share both (a rent) are paired by
// date: the same day first, then within the date window, then within the reference window.
func passReference(_ context.Context, m *Matcher) {
	all := groups(m, func(s Side, i int) (referenceAmount, bool) {
		l := &m.lines[s][i]
		return referenceAmount{l.ref, l.Currency, l.Amount}, l.ref != "" && m.open(s, i)
	})
	for _, g := range all {
		for s := range g.side {
			slices.SortStableFunc(g.side[s], func(a, b int) int {
				return cmp.Compare(m.lines[s][a].Date, m.lines[s][b].Date)
			})
		}
		for _, window := range []int{0, m.tol.DateWindow, m.tol.ReferenceWindow} {
			m.pairByDate(g.side[Left], g.side[Right], window)
		}
	}
}

// pairByDate pairs the open lines of two lists in the order of their dates, as many as the window allows.
func (m *Matcher) pairByDate(left, right []int, window int) {
	for i, j := 0, 0; i < len(left) && j < len(right); {
		a, b := &m.lines[Left][left[i]], &m.lines[Right][right[j]]
		switch {
		case !m.open(Left, left[i]) || int(a.Date-b.Date) < -window:
			i++
		case !m.open(Right, right[j]) || int(a.Date-b.Date) > window:
			j++
		default:
			confidence, reason := 1.0, "same reference and amount"
			if d := days(a.Date, b.Date); d > m.tol.DateWindow {
				confidence, reason = 0.9, fmt.Sprintf("same reference and amount, booked %d days apart", d)
			} else if d > 0 {
				confidence, reason = 0.98, fmt.Sprintf("same reference and amount, %s apart", plural(d, "day"))
			}
			m.create(Match{
				Status: Matched, Rule: "reference", Confidence: confidence, Reason: reason,
				Left: []int{left[i]}, Right: []int{right[j]},
			})
			i, j = i+1, j+1
		}
	}
}

type referenceCurrency struct {
	ref      string
	currency Currency
}

func (m *Matcher) byReference(s Side, i int) (referenceCurrency, bool) {
	l := &m.lines[s][i]
	return referenceCurrency{l.ref, l.Currency}, l.ref != "" && m.open(s, i)
}

// passFee matches equal references where the amounts differ by no more than the tolerance, and suggests
// those where the bank's line is smaller (or the payment dearer) by what may be a fee.
func passFee(_ context.Context, m *Matcher) {
	for _, g := range groups(m, m.byReference) {
		m.bound(&g.side)
		type pair struct {
			l, r   int
			gap    Amount
			days   int
			settle Match
		}
		var pairs []pair
		for _, l := range g.side[Left] {
			for _, r := range g.side[Right] {
				if x, ok := m.fee(l, r); ok {
					a, b := &m.lines[Left][l], &m.lines[Right][r]
					pairs = append(pairs, pair{l, r, (a.Amount - b.Amount).abs(), days(a.Date, b.Date), x})
				}
			}
		}
		slices.SortStableFunc(pairs, func(a, b pair) int {
			return cmp.Or(cmp.Compare(a.gap, b.gap), cmp.Compare(a.days, b.days))
		})
		for _, p := range pairs {
			if m.open(Left, p.l) && m.open(Right, p.r) {
				m.create(p.settle)
			}
		}
	}
}

func (m *Matcher) fee(l, r int) (Match, bool) {
	a, b := &m.lines[Left][l], &m.lines[Right][r]
	gap := a.Amount - b.Amount
	x := Match{Rule: "fee", Left: []int{l}, Right: []int{r}}
	switch {
	case !sameSign(a.Amount, b.Amount) || days(a.Date, b.Date) > m.tol.ReferenceWindow:
		return x, false
	case gap.abs() <= m.tol.amount(a.Currency):
		x.Status, x.Confidence = Matched, 0.95
		x.Reason = fmt.Sprintf("same reference, amount within %s", a.Currency.Format(m.tol.amount(a.Currency)))
		return x, true
	case gap < 0 && withinShare(-gap, b.Amount.abs(), m.tol.FeeBasisPoints):
		x.Status, x.Confidence = Suggested, 0.8
		x.Reason = fmt.Sprintf("same reference, less a fee of %s (%s)", a.Currency.Format(-gap), percent(-gap, b.Amount.abs()))
		return x, true
	}
	return x, false
}

// withinShare reports whether part is at most the given share of whole.
func withinShare(part, whole Amount, basisPoints int64) bool {
	return part <= whole && int64(part)*10_000 <= int64(whole)*basisPoints
}

// basisPoints returns part's share of whole, rounded to the nearest basis point.
func basisPoints(part, whole Amount) int64 {
	return (int64(part)*20_000 + int64(whole)) / (2 * int64(whole))
}

func percent(part, whole Amount) string {
	bp := basisPoints(part, whole)
	return fmt.Sprintf("%d.%02d%%", bp/100, bp%100)
}

func plural(n int, noun string) string {
	if n == 1 {
		return "1 " + noun
	}
	return fmt.Sprintf("%d %ss", n, noun)
}
