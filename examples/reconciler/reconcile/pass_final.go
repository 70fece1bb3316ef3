package reconcile

import (
	"context"
	"fmt"
)

// duplicateDays is how far apart a line and its repetition may be.
const duplicateDays = 3

// passDuplicates sets aside lines that repeat a matched line of their own ledger, before the weaker
// passes can pair them with something else.
func passDuplicates(_ context.Context, m *Matcher) { m.duplicates(false) }

// passRepeats does so again at the end, for repetitions of what was matched since, and for lines
// without a reference.
func passRepeats(_ context.Context, m *Matcher) { m.duplicates(true) }

type lineKey struct {
	ref, party string
	currency   Currency
	amount     Amount
	date       Date
}

func (m *Matcher) duplicates(withoutReference bool) {
	for _, s := range []Side{Left, Right} {
		settled := map[lineKey]int{} // the first of those that are alike
		for i := range m.lines[s] {
			if m.open(s, i) || m.matches[m.of[s][i]].Status == Duplicate {
				continue
			}
			k := m.lines[s][i].key()
			if _, known := settled[k]; !known {
				settled[k] = i
			}
		}
		for i := range m.lines[s] {
			l := &m.lines[s][i]
			if !m.open(s, i) || l.ref == "" && (!withoutReference || l.party == "") {
				continue
			}
			if first, ok := nearest(settled, l.key()); ok {
				m.duplicate(s, i, first)
			}
		}
	}
}

func (l *Line) key() lineKey { return lineKey{l.ref, l.party, l.Currency, l.Amount, l.Date} }

// nearest finds the line that differs from k in its date only, and in that the least.
func nearest(settled map[lineKey]int, k lineKey) (int, bool) {
	date := k.date
	for d := range Date(duplicateDays + 1) {
		for _, k.date = range [2]Date{date - d, date + d} {
			if i, ok := settled[k]; ok {
				return i, true
			}
		}
	}
	return 0, false
}

func (m *Matcher) duplicate(s Side, i, first int) {
	l := &m.lines[s][i]
	x := Match{Status: Duplicate, Rule: "duplicate", Confidence: 0.95, Reason: "repeats line " + m.lines[s][first].ID}
	if l.ref == "" {
		x.Confidence = 0.7
	}
	m.create(x.with(s, i))
}

func (x Match) with(s Side, i int) Match {
	if s == Left {
		x.Left = []int{i}
	} else {
		x.Right = []int{i}
	}
	return x
}

// feesToConfirm is how many times a counterparty must have kept the same share before it is taken for a fee.
const feesToConfirm = 3

type feeKey struct {
	party string
	bp    int64
}

// passConfirm raises suggestions to matches: a fee that the same counterparty kept at the same rate at
// least three times, and the only candidate of its amount where the counterparty agrees.
func passConfirm(_ context.Context, m *Matcher) {
	rates := map[feeKey]int{}
	for n := range m.matches {
		if k, ok := m.feeOf(n); ok {
			rates[k]++
		}
	}
	for n := range m.matches {
		x := &m.matches[n]
		if k, ok := m.feeOf(n); ok && rates[k] >= feesToConfirm {
			m.decide(n, Matched, "fee", 0.93, fmt.Sprintf("%s, as %d times with this counterparty", x.Reason, rates[k]))
		}
		if !m.deleted[n] && x.Status == Suggested && x.Rule == "window" && x.Confidence >= 0.65 {
			a, b := &m.lines[Left][x.Left[0]], &m.lines[Right][x.Right[0]]
			if sameParty(a, b) {
				m.decide(n, Matched, "window", 0.9, x.Reason+", the only candidate")
			}
		}
	}
}

func (m *Matcher) feeOf(n int) (feeKey, bool) {
	x := &m.matches[n]
	if m.deleted[n] || x.Status != Suggested || x.Rule != "fee" {
		return feeKey{}, false
	}
	l := &m.lines[Right][x.Right[0]]
	return feeKey{l.party, basisPoints(m.Difference(x).abs(), l.Amount.abs())}, l.party != ""
}

// passRest gives every line that is still open its own outcome, with a hint where there is one.
func passRest(_ context.Context, m *Matcher) {
	for _, s := range []Side{Left, Right} {
		byRef := map[referenceCurrency]int{}
		for i := range m.lines[s.other()] {
			l := &m.lines[s.other()][i]
			if k := (referenceCurrency{l.ref, l.Currency}); l.ref != "" {
				if _, known := byRef[k]; !known {
					byRef[k] = i
				}
			}
		}
		for i := range m.lines[s] {
			if !m.open(s, i) {
				continue
			}
			l := &m.lines[s][i]
			reason := "nothing with this reference, or this amount near this date"
			if hint, ok := byRef[referenceCurrency{l.ref, l.Currency}]; ok && l.ref != "" {
				h := &m.lines[s.other()][hint]
				reason = fmt.Sprintf("line %s has this reference, with %s on %s", h.ID, h.Currency.Format(h.Amount), h.Date)
			}
			m.create(Match{Status: Unmatched, Rule: "rest", Reason: reason}.with(s, i))
		}
	}
}
