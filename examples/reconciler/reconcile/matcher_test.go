package reconcile_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/tallywire/tallywire/examples/reconciler/reconcile"
)

// outcome is a match in a form that a table can hold: "matched reference B1 = L1 +0.00".
func outcome(m *reconcile.Matcher, x reconcile.Match) string {
	ids := func(s reconcile.Side, indexes []int) string {
		var out []string
		for _, i := range indexes {
			out = append(out, m.Line(s, i).ID)
		}
		return strings.Join(out, "+")
	}
	left, right := ids(reconcile.Left, x.Left), ids(reconcile.Right, x.Right)
	if left == "" || right == "" {
		return fmt.Sprintf("%s %s", x.Status, left+right)
	}
	return fmt.Sprintf("%s %s %s = %s, %s", x.Status, x.Rule, left, right, x.Currency.Format(m.Difference(&x)))
}

func outcomes(m *reconcile.Matcher) []string {
	var out []string
	for _, x := range m.Matches() {
		out = append(out, outcome(m, x))
	}
	slices.Sort(out)
	return out
}

// matcherCases are ledgers and what becomes of their lines, by trouble.
var matcherCases = map[string]struct {
	bank, ledger string // lines without the header; columns separated by spaces, '-' for empty
	want         []string
}{
	"same reference and amount": {
		"B1 2026-03-01 inv-7 100.00 EUR Lahti", "L1 2026-03-02 INV/7 100.00 EUR Other",
		[]string{"matched reference B1 = L1, 0.00"},
	},
	"currencies do not mix": {
		"B1 2026-03-01 INV-7 100.00 EUR Lahti", "L1 2026-03-01 INV-7 100.00 USD Lahti",
		[]string{"unmatched B1", "unmatched L1"},
	},
	"received is not paid": {
		"B1 2026-03-01 INV-7 100.00 EUR Lahti", "L1 2026-03-01 INV-7 -100.00 EUR Lahti",
		[]string{"unmatched B1", "unmatched L1"},
	},
	"shifted by ten days": {
		"B1 2026-03-11 INV-7 100.00 EUR Lahti", "L1 2026-03-01 INV-7 100.00 EUR Lahti",
		[]string{"matched reference B1 = L1, 0.00"},
	},
	"shifted too far": {
		"B1 2026-03-31 INV-7 100.00 EUR Lahti", "L1 2026-03-01 INV-7 100.00 EUR Lahti",
		[]string{"unmatched B1", "unmatched L1"},
	},
	"rent of three months, one not paid": {
		"B1 2026-01-02 RENT 900.00 EUR Lahti; B3 2026-03-03 RENT 900.00 EUR Lahti",
		"L1 2026-01-01 RENT 900.00 EUR Lahti; L2 2026-02-01 RENT 900.00 EUR Lahti; L3 2026-03-01 RENT 900.00 EUR Lahti",
		[]string{"matched reference B1 = L1, 0.00", "matched reference B3 = L3, 0.00", "unmatched L2"},
	},
	"cents missing": {
		"B1 2026-03-01 INV-7 99.50 EUR Lahti", "L1 2026-03-01 INV-7 100.00 EUR Lahti",
		[]string{"matched fee B1 = L1, -0.50"},
	},
	"a cent beyond the tolerance, too much": {
		"B1 2026-03-01 INV-7 100.51 EUR Lahti", "L1 2026-03-01 INV-7 100.00 EUR Lahti",
		[]string{"unmatched B1", "unmatched L1"},
	},
	"no cents in yen": {
		"B1 2026-03-01 INV-7 1001 JPY Lahti", "L1 2026-03-01 INV-7 1000 JPY Lahti",
		[]string{"unmatched B1", "unmatched L1"},
	},
	"a fee": {
		"B1 2026-03-01 INV-7 965.00 EUR Lahti", "L1 2026-03-01 INV-7 1000.00 EUR Lahti",
		[]string{"suggested fee B1 = L1, -35.00"},
	},
	"a fee on a payment out": {
		"B1 2026-03-01 INV-7 -1010.00 EUR Lahti", "L1 2026-03-01 INV-7 -1000.00 EUR Lahti",
		[]string{"suggested fee B1 = L1, -10.00"},
	},
	"more than a fee": {
		"B1 2026-03-01 INV-7 964.99 EUR Lahti", "L1 2026-03-01 INV-7 1000.00 EUR Lahti",
		[]string{"unmatched B1", "unmatched L1"},
	},
	"the same fee three times": {
		"B1 2026-03-01 A1 986.00 EUR Pay; B2 2026-03-01 A2 493.00 EUR Pay; B3 2026-03-01 A3 1972.00 EUR Pay; B4 2026-03-01 A4 980.00 EUR Pay",
		"L1 2026-03-01 A1 1000.00 EUR Pay; L2 2026-03-01 A2 500.00 EUR Pay; L3 2026-03-01 A3 2000.00 EUR Pay; L4 2026-03-01 A4 1000.00 EUR Pay",
		[]string{
			"matched fee B1 = L1, -14.00", "matched fee B2 = L2, -7.00", "matched fee B3 = L3, -28.00",
			"suggested fee B4 = L4, -20.00",
		},
	},
	"no reference, same counterparty": {
		"B1 2026-03-03 - 100.00 EUR NORDWIND", "L1 2026-03-01 INV-7 100.00 EUR Nordwind_GmbH",
		[]string{"matched window B1 = L1, 0.00"},
	},
	"no reference, other counterparty": {
		"B1 2026-03-03 - 100.00 EUR NORDWIND", "L1 2026-03-01 INV-7 100.00 EUR Lahti",
		[]string{"suggested window B1 = L1, 0.00"},
	},
	"no reference, out of the window": {
		"B1 2026-03-05 - 100.00 EUR NORDWIND", "L1 2026-03-01 INV-7 100.00 EUR NORDWIND",
		[]string{"unmatched B1", "unmatched L1"},
	},
	"no reference, two candidates": {
		"B1 2026-03-02 - 100.00 EUR NORDWIND",
		"L1 2026-03-01 INV-7 100.00 EUR NORDWIND; L2 2026-03-02 INV-8 100.00 EUR NORDWIND",
		[]string{"suggested window B1 = L2, 0.00", "unmatched L1"},
	},
	"equal amounts by chance": {
		"B1 2026-03-01 INV-7 100.00 EUR Lahti", "L1 2026-03-01 ORDER-99 100.00 EUR Isarnetz",
		[]string{"unmatched B1", "unmatched L1"},
	},
	"paid in three parts": {
		"B1 2026-03-01 INV-7 20.00 EUR Lahti; B2 2026-03-02 INV-7 30.00 EUR Lahti; B3 2026-03-03 INV-7 50.00 EUR Lahti",
		"L1 2026-03-01 INV-7 100.00 EUR Lahti",
		[]string{"matched split B1+B2+B3 = L1, 0.00"},
	},
	"paid in parts, one of them by mistake": {
		"B1 2026-03-01 INV-7 20.00 EUR Lahti; B2 2026-03-02 INV-7 35.00 EUR Lahti; B3 2026-03-03 INV-7 80.00 EUR Lahti",
		"L1 2026-03-01 INV-7 100.00 EUR Lahti",
		[]string{"matched split B1+B3 = L1, 0.00", "unmatched B2"},
	},
	"one payment for two invoices": {
		"B1 2026-03-05 INV-7 100.00 EUR Lahti",
		"L1 2026-03-01 INV-7 60.00 EUR Lahti; L2 2026-03-02 INV-7 40.00 EUR Lahti",
		[]string{"matched split B1 = L1+L2, 0.00"},
	},
	"the first part looks like a payment less its fee": {
		"B1 2026-03-01 INV-7 97.00 EUR Lahti; B2 2026-03-02 INV-7 3.00 EUR Lahti",
		"L1 2026-03-01 INV-7 100.00 EUR Lahti",
		[]string{"matched split B1+B2 = L1, 0.00"},
	},
	"a part looks like another invoice": {
		"B1 2026-03-01 INV-7 60.00 EUR Lahti; B2 2026-03-02 INV-7 40.00 EUR Lahti",
		"L1 2026-03-01 INV-7 100.00 EUR Lahti; L2 2026-03-01 INV-8 60.00 EUR Lahti",
		[]string{"matched split B1+B2 = L1, 0.00", "unmatched L2"},
	},
	"parts without a reference": {
		"B1 2026-03-01 - 60.00 EUR Lahti; B2 2026-03-02 - 40.00 EUR Lahti", "L1 2026-03-01 INV-7 100.00 EUR Lahti",
		[]string{"suggested split B1+B2 = L1, 0.00"},
	},
	"parts without a reference, two ways": {
		"B1 2026-03-01 - 60.00 EUR Lahti; B2 2026-03-02 - 40.00 EUR Lahti; B3 2026-03-02 - 40.00 EUR Lahti",
		"L1 2026-03-01 INV-7 100.00 EUR Lahti",
		[]string{"unmatched B1", "unmatched B2", "unmatched B3", "unmatched L1"},
	},
	"digits swapped in the amount": {
		"B1 2026-03-01 INV-7 1540.00 EUR Lahti", "L1 2026-03-01 INV-7 1450.00 EUR Lahti",
		[]string{"suggested swapped B1 = L1, 90.00"},
	},
	"digits swapped in the reference": {
		"B1 2026-03-01 INV-2045 100.00 EUR Isarnetz", "L1 2026-03-01 INV-2054 100.00 EUR Lahti",
		[]string{"matched swapped B1 = L1, 0.00"},
	},
	"letters swapped in the reference": {
		"B1 2026-03-01 IVN-2045 100.00 EUR Isarnetz", "L1 2026-03-01 INV-2045 100.00 EUR Lahti",
		[]string{"unmatched B1", "unmatched L1"},
	},
	"twice at the bank": {
		"B1 2026-03-01 INV-7 100.00 EUR Lahti; B2 2026-03-02 INV-7 100.00 EUR Lahti", "L1 2026-03-02 INV-7 100.00 EUR Lahti",
		[]string{"duplicate B1", "matched reference B2 = L1, 0.00"},
	},
	"twice in the ledger, without a reference": {
		"B1 2026-03-01 INV-7 100.00 EUR Lahti", "L1 2026-03-01 - 100.00 EUR Lahti; L2 2026-03-02 - 100.00 EUR Lahti",
		[]string{"duplicate L2", "suggested window B1 = L1, 0.00"},
	},
	"twice on both sides is no duplicate": {
		"B1 2026-03-01 INV-7 100.00 EUR Lahti; B2 2026-03-01 INV-7 100.00 EUR Lahti",
		"L1 2026-03-01 INV-7 100.00 EUR Lahti; L2 2026-03-01 INV-7 100.00 EUR Lahti",
		[]string{"matched reference B1 = L1, 0.00", "matched reference B2 = L2, 0.00"},
	},
	"nothing on one side": {
		"B1 2026-03-01 INV-7 100.00 EUR Lahti", "", []string{"unmatched B1"},
	},
	"nothing at all": {"", "", nil},
}

func TestMatcher(t *testing.T) {
	for name, c := range matcherCases {
		t.Run(name, func(t *testing.T) {
			left, right := table(t, c.bank), table(t, c.ledger)
			m, _ := match(t, left, right)
			require.Equal(t, c.want, outcomes(m))
			requireAccounted(t, m, left, right)
		})
	}
}

func table(t *testing.T, text string) []reconcile.Line {
	t.Helper()
	var b strings.Builder
	b.WriteString(header)
	for line := range strings.SplitSeq(text, "; ") {
		for n, f := range strings.Fields(line) {
			if n > 0 {
				b.WriteByte(',')
			}
			b.WriteString(strings.ReplaceAll(strings.TrimPrefix(f, "_"), "_", " "))
		}
		b.WriteByte('\n')
	}
	lines, bad := read(t, "table.csv", strings.NewReader(strings.ReplaceAll(b.String(), ",-,", ",,")))
	require.Empty(t, bad)
	return lines
}

func TestChangesTellHowAMatchCameAbout(t *testing.T) {
	m, changes := match(t,
		table(t, "B1 2026-03-01 INV-7 97.00 EUR Lahti; B2 2026-03-02 INV-7 3.00 EUR Lahti; B3 2026-03-01 INV-9 60.00 EUR Lahti; B4 2026-03-01 INV-9 40.00 EUR Lahti"),
		table(t, "L1 2026-03-01 INV-7 100.00 EUR Lahti; L2 2026-03-01 INV-9 100.00 EUR Lahti; L3 2026-03-01 INV-8 60.00 EUR Lahti"))
	var got []string
	for _, c := range changes {
		got = append(got, fmt.Sprintf("%s #%d.%d %s (%d settled)", c.Kind, c.Match.Number, c.Match.Revision, outcome(m, c.Match), c.Settled))
		require.Equal(t, c.Kind == reconcile.Updated, c.Previous != nil)
	}
	require.Equal(t, []string{
		"created #1.1 suggested fee B1 = L1, -3.00 (2 settled)",
		"created #2.1 suggested window B3 = L3, 0.00 (4 settled)",
		"updated #1.2 matched split B1+B2 = L1, 0.00 (5 settled)",
		"deleted #2.1 suggested window B3 = L3, 0.00 (3 settled)",
		"created #3.1 matched split B3+B4 = L2, 0.00 (6 settled)",
		"created #4.1 unmatched L3 (7 settled)",
	}, got)
}

func TestZeroToleranceIsTakenAsItIs(t *testing.T) {
	left := table(t, "B1 2026-03-02 - 100.00 EUR Lahti; B2 2026-03-01 A 99.99 EUR Lahti; B3 2026-03-02 B 50.00 EUR Lahti")
	right := table(t, "L1 2026-03-01 - 100.00 EUR Lahti; L2 2026-03-01 A 100.00 EUR Lahti; L3 2026-03-01 B 50.00 EUR Lahti")
	m, err := reconcile.NewMatcher(left, right, reconcile.Tolerances{SplitParts: 2})
	require.NoError(t, err)
	require.NoError(t, m.Run(t.Context(), func(string, reconcile.Change) error { return nil }))
	require.Zero(t, m.Totals().Matches[reconcile.Matched]+m.Totals().Matches[reconcile.Suggested])
}

func TestMatcherStopsWhenToldTo(t *testing.T) {
	left, right := table(t, "B1 2026-03-01 INV-7 1.00 EUR Lahti; B2 2026-03-01 INV-8 1.00 EUR Lahti"), table(t, "L1 2026-03-01 INV-7 1.00 EUR Lahti")
	m, err := reconcile.NewMatcher(left, right, reconcile.Tolerances{})
	require.NoError(t, err)
	stop, calls := errors.New("stop"), 0
	require.ErrorIs(t, m.Run(context.Background(), func(string, reconcile.Change) error { calls++; return stop }), stop)
	require.Equal(t, 1, calls)

	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	m, err = reconcile.NewMatcher(left, right, reconcile.Tolerances{})
	require.NoError(t, err)
	require.ErrorIs(t, m.Run(ctx, func(string, reconcile.Change) error { return nil }), context.Canceled)
}

func TestSearchForPartsIsBounded(t *testing.T) {
	var bank []string
	for n := range 2_000 { // even amounts never make an odd sum
		bank = append(bank, fmt.Sprintf("B%d 2026-03-0%d INV-7 %d.%02d EUR Lahti", n, 1+n%9, 1+n%40, n%50*2))
	}
	left, right := table(t, strings.Join(bank, "; ")), table(t, "L1 2026-03-05 INV-7 99.99 EUR Lahti")
	m, _ := match(t, left, right)
	requireAccounted(t, m, left, right)
	require.Positive(t, m.Totals().Bounded, "a search that was cut short is counted")
}

func TestTolerancesAreChecked(t *testing.T) {
	for _, bad := range []reconcile.Tolerances{
		{Amount: -1, SplitParts: 2},
		{FeeBasisPoints: 2_001, SplitParts: 2},
		{DateWindow: -1, SplitParts: 2},
		{DateWindow: 61, ReferenceWindow: 61, SplitParts: 2},
		{DateWindow: 9, ReferenceWindow: 8, SplitParts: 2},
		{SplitParts: 1, DateWindow: 3, ReferenceWindow: 3},
		{SplitParts: 9},
	} {
		_, err := reconcile.NewMatcher(nil, nil, bad)
		require.Error(t, err, "%+v", bad)
	}
}
