package reconcile

import (
	"cmp"
	"context"
	"fmt"
	"slices"
)

type amountKey struct {
	currency Currency
	amount   Amount
}

// passWindow suggests lines of equal amount within the date window, where the references do not speak
// against it or the counterparty speaks for it. Nothing here is certain; a later pass may confirm.
func passWindow(_ context.Context, m *Matcher) {
	all := groups(m, func(s Side, i int) (amountKey, bool) {
		l := &m.lines[s][i]
		return amountKey{l.Currency, l.Amount}, m.open(s, i)
	})
	for _, g := range all {
		m.bound(&g.side)
		pairs := m.windowPairs(g.side)
		for _, p := range pairs {
			if m.open(Left, p.l) && m.open(Right, p.r) {
				m.create(Match{
					Status: Suggested, Rule: "window", Confidence: p.confidence, Reason: p.reason,
					Left: []int{p.l}, Right: []int{p.r},
				})
			}
		}
	}
}

type windowPair struct {
	l, r, days int
	confidence float64
	reason     string
}

// windowPairs returns the pairs of a group, the best first.
func (m *Matcher) windowPairs(side [2][]int) []windowPair {
	var pairs []windowPair
	count := [2]map[int]int{{}, {}}
	for _, l := range side[Left] {
		for _, r := range side[Right] {
			a, b := &m.lines[Left][l], &m.lines[Right][r]
			d := days(a.Date, b.Date)
			near := nearReference(a.ref, b.ref)
			party := sameParty(a, b)
			missing := a.ref == "" || b.ref == ""
			if d > m.tol.DateWindow || !party && !near && !missing {
				continue
			}
			p := windowPair{l: l, r: r, days: d, confidence: 0.5, reason: "same amount, " + apart(d)}
			switch {
			case near:
				p.confidence, p.reason = 0.7, p.reason+", references alike"
			case party && missing:
				p.confidence, p.reason = 0.65, p.reason+", same counterparty"
			case party:
				p.confidence, p.reason = 0.55, p.reason+", same counterparty, other reference"
			}
			if d == 0 {
				p.confidence += 0.05
			}
			pairs = append(pairs, p)
			count[Left][l]++
			count[Right][r]++
		}
	}
	for i, p := range pairs {
		if count[Left][p.l] > 1 || count[Right][p.r] > 1 {
			pairs[i].confidence -= 0.15
			pairs[i].reason += fmt.Sprintf(", one of %d candidates", max(count[Left][p.l], count[Right][p.r]))
		}
		pairs[i].confidence = round2(pairs[i].confidence)
	}
	slices.SortStableFunc(pairs, func(a, b windowPair) int {
		return cmp.Or(cmp.Compare(b.confidence, a.confidence), cmp.Compare(a.days, b.days))
	})
	return pairs
}

func apart(d int) string {
	if d == 0 {
		return "same day"
	}
	return plural(d, "day") + " apart"
}

// round2 keeps confidences at two decimals, so that sums of them print as they are meant.
func round2(f float64) float64 { return float64(int(f*100+0.5)) / 100 }
