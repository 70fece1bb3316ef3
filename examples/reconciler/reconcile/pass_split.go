package reconcile

import (
	"cmp"
	"context"
	"fmt"
	"slices"
)

const (
	maxCandidates  = 16     // payments that are tried for one invoice
	maxLooked      = 512    // lines within the window that are looked at to find them
	maxSplitStates = 20_000 // sums that are tried for one invoice
)

// passSplit finds what was paid in parts: one line of a side whose amount is the sum of several of the
// other. With a common reference that is a match, and takes lines from weaker suggestions; with only the
// counterparty in common, and only one way to reach the sum, it is a suggestion.
func passSplit(ctx context.Context, m *Matcher) {
	for _, whole := range []Side{Right, Left} {
		byRef, byParty := map[referenceCurrency][]int{}, map[referenceCurrency][]int{}
		part := whole.other()
		for i := range m.lines[part] {
			l := &m.lines[part][i]
			if l.ref != "" {
				k := referenceCurrency{l.ref, l.Currency}
				byRef[k] = append(byRef[k], i)
			}
			if l.party != "" {
				k := referenceCurrency{l.party, l.Currency}
				byParty[k] = append(byParty[k], i)
			}
		}
		m.sortByDate(part, byRef)
		m.sortByDate(part, byParty)
		for i := range m.lines[whole] {
			if ctx.Err() != nil {
				return
			}
			l := &m.lines[whole][i]
			found := l.ref != "" && m.splitByReference(whole, i, byRef[referenceCurrency{l.ref, l.Currency}])
			if !found && m.open(whole, i) && l.party != "" {
				m.splitByParty(whole, i, byParty[referenceCurrency{l.party, l.Currency}])
			}
		}
	}
}

func (m *Matcher) sortByDate(s Side, lists map[referenceCurrency][]int) {
	for _, list := range lists {
		slices.SortStableFunc(list, func(a, b int) int { return cmp.Compare(m.lines[s][a].Date, m.lines[s][b].Date) })
	}
}

// within returns the lines of a list, sorted by date, that lie in the reference window around a date.
func (m *Matcher) within(s Side, list []int, around Date) []int {
	window := Date(m.tol.ReferenceWindow) //nolint:gosec // at most 400
	from, _ := slices.BinarySearchFunc(list, around-window, func(i int, d Date) int { return cmp.Compare(m.lines[s][i].Date, d) })
	to, _ := slices.BinarySearchFunc(list, around+window+1, func(i int, d Date) int { return cmp.Compare(m.lines[s][i].Date, d) })
	if to-from > maxLooked {
		to = from + maxLooked
		m.bounded++
	}
	return list[from:to]
}

func (m *Matcher) splitByReference(whole Side, i int, parts []int) bool {
	const confidence = 0.97
	if !m.free(whole, i, confidence) || len(parts) < 2 {
		return false
	}
	found, _ := m.search(whole, i, parts, func(p int) bool { return m.free(whole.other(), p, confidence) })
	if found == nil {
		return false
	}
	x := split(whole, i, found)
	x.Status, x.Confidence = Matched, confidence
	x.Reason = fmt.Sprintf("same reference, paid in %d parts", len(found))
	m.replace(x, m.of[whole][i])
	return true
}

func (m *Matcher) splitByParty(whole Side, i int, parts []int) {
	found, unique := m.search(whole, i, parts, func(p int) bool { return m.open(whole.other(), p) })
	if found == nil || !unique {
		return
	}
	x := split(whole, i, found)
	x.Status, x.Confidence = Suggested, 0.7
	x.Reason = fmt.Sprintf("same counterparty, %d lines make the sum", len(found))
	m.create(x)
}

func split(whole Side, i int, parts []int) Match {
	x := Match{Rule: "split"}
	if whole == Left {
		x.Left, x.Right = []int{i}, parts
	} else {
		x.Left, x.Right = parts, []int{i}
	}
	return x
}

// search looks for 2 to SplitParts of the usable parts whose sum is the whole's amount, and tells
// whether only one such choice was seen. Candidates are tried by date, so that the answer does
// not depend on anything but the ledgers.
func (m *Matcher) search(whole Side, i int, parts []int, usable func(int) bool) (found []int, unique bool) {
	l, side := &m.lines[whole][i], whole.other()
	var candidates []int
	for _, p := range m.within(side, parts, l.Date) {
		c := &m.lines[side][p]
		if usable(p) && c.Amount != 0 && sameSign(c.Amount, l.Amount) && c.Amount.abs() < l.Amount.abs() {
			candidates = append(candidates, p)
		}
	}
	slices.SortStableFunc(candidates, func(a, b int) int {
		return cmp.Compare(days(m.lines[side][a].Date, l.Date), days(m.lines[side][b].Date, l.Date))
	})
	if len(candidates) > maxCandidates {
		candidates = candidates[:maxCandidates]
		m.bounded++
	}
	amounts := make([]Amount, len(candidates))
	for n, c := range candidates {
		amounts[n] = m.lines[side][c].Amount.abs()
	}
	s := subsets{amounts: amounts, parts: m.tol.SplitParts, states: maxSplitStates}
	s.look(0, l.Amount.abs())
	if s.states <= 0 {
		m.bounded++
	}
	for _, n := range s.first {
		found = append(found, candidates[n])
	}
	slices.Sort(found)
	return found, s.found == 1 && s.states > 0
}

// subsets searches for choices of amounts that make a sum, in lexicographic order, until it has seen
// two or has no states left.
type subsets struct {
	amounts []Amount
	parts   int // how many more may be chosen
	states  int // how many more sums may be tried
	chosen  []int
	first   []int
	found   int
}

func (s *subsets) look(from int, rest Amount) {
	if s.states--; s.states <= 0 || s.found > 1 {
		return
	}
	if rest == 0 {
		if len(s.chosen) < 2 {
			return
		}
		if s.found++; s.found == 1 {
			s.first = slices.Clone(s.chosen)
		}
		return
	}
	if s.parts == 0 {
		return
	}
	for n := from; n < len(s.amounts); n++ {
		if s.amounts[n] > rest {
			continue
		}
		s.chosen, s.parts = append(s.chosen, n), s.parts-1
		s.look(n+1, rest-s.amounts[n])
		s.chosen, s.parts = s.chosen[:len(s.chosen)-1], s.parts+1
	}
}
