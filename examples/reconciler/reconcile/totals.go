package reconcile

import (
	"cmp"
	"slices"
)

// Totals are the account of a job. Lines[s] of every status together are all lines of side s that were
// read, and so are the sums: nothing is counted twice, nothing is left out.
type Totals struct {
	Lines    [2]int // lines that were read and looked at, by [Side]
	BadLines [2]int // lines that could not be used
	Matches  map[Status]int
	Settled  map[Status][2]int // lines by status and side
	Sums     []Sum             // by currency code
	Bounded  int               // searches that were cut short by a bound
}

// Sum is the money of one currency, in minor units.
type Sum struct {
	Currency Currency
	Total    [2]Amount
	Of       map[Status][2]Amount
}

// MatchRate returns the share of all lines that are matched, 0 to 1; 0 where there are no lines.
func (t *Totals) MatchRate() float64 {
	all := t.Lines[Left] + t.Lines[Right]
	if all == 0 {
		return 0
	}
	n := t.Settled[Matched]
	return float64(n[Left]+n[Right]) / float64(all)
}

// Totals returns the account as it stands.
func (m *Matcher) Totals() Totals {
	t := Totals{Matches: map[Status]int{}, Settled: map[Status][2]int{}, Bounded: m.bounded}
	sums := map[Currency]*Sum{}
	for s := range m.lines {
		t.Lines[s] = len(m.lines[s])
		for i := range m.lines[s] {
			l := &m.lines[s][i]
			sum := sums[l.Currency]
			if sum == nil {
				sum = &Sum{Currency: l.Currency, Of: map[Status][2]Amount{}}
				sums[l.Currency] = sum
			}
			sum.Total[s] += l.Amount
			if m.open(Side(s), i) {
				continue
			}
			status := m.matches[m.of[s][i]].Status
			lines, money := t.Settled[status], sum.Of[status]
			lines[s]++
			money[s] += l.Amount
			t.Settled[status], sum.Of[status] = lines, money
		}
	}
	for i := range m.matches {
		if !m.deleted[i] {
			t.Matches[m.matches[i].Status]++
		}
	}
	for _, sum := range sums {
		t.Sums = append(t.Sums, *sum)
	}
	slices.SortFunc(t.Sums, func(a, b Sum) int { return cmp.Compare(a.Currency, b.Currency) })
	return t
}
