package reconcile_test

import (
	"bytes"
	"context"
	"errors"
	"io"
	"maps"
	"slices"
	"testing"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/tallywire/tallywire/examples/reconciler/ledgers"
	"github.com/tallywire/tallywire/examples/reconciler/reconcile"
)

// read reads a whole ledger and fails on anything but bad lines, which it returns.
func read(t require.TestingT, name string, from io.Reader) ([]reconcile.Line, []*reconcile.LineError) {
	r, err := reconcile.NewReader(name, from)
	require.NoError(t, err)
	var lines []reconcile.Line
	var bad []*reconcile.LineError
	for {
		l, err := r.Next()
		var lineErr *reconcile.LineError
		switch {
		case errors.Is(err, io.EOF):
			return lines, bad
		case errors.As(err, &lineErr):
			bad = append(bad, lineErr)
		default:
			require.NoError(t, err)
			lines = append(lines, l)
		}
	}
}

func match(t require.TestingT, left, right []reconcile.Line) (*reconcile.Matcher, []reconcile.Change) {
	m, err := reconcile.NewMatcher(left, right, reconcile.DefaultTolerances)
	require.NoError(t, err)
	var changes []reconcile.Change
	require.NoError(t, m.Run(context.Background(), func(_ string, c reconcile.Change) error {
		changes = append(changes, c)
		return nil
	}))
	return m, changes
}

// requireAccounted checks the account of a job by counting anew: every line is in exactly one match,
// and the totals are what the matches hold.
func requireAccounted(t require.TestingT, m *reconcile.Matcher, left, right []reconcile.Line) {
	lines := [2][]reconcile.Line{left, right}
	totals := m.Totals()
	seen := [2]map[int]int{{}, {}}
	sums := map[reconcile.Currency]map[reconcile.Status][2]reconcile.Amount{}
	count := map[reconcile.Status]int{}
	for _, x := range m.Matches() {
		count[x.Status]++
		for s, indexes := range [2][]int{x.Left, x.Right} {
			for _, i := range indexes {
				seen[s][i]++
				l := lines[s][i]
				require.Equal(t, x.Currency, l.Currency)
				if sums[l.Currency] == nil {
					sums[l.Currency] = map[reconcile.Status][2]reconcile.Amount{}
				}
				of := sums[l.Currency][x.Status]
				of[s] += l.Amount
				sums[l.Currency][x.Status] = of
			}
		}
		require.GreaterOrEqual(t, x.Confidence, 0.0)
		require.LessOrEqual(t, x.Confidence, 1.0)
		require.NotEmpty(t, x.Reason)
		switch x.Status {
		case reconcile.Matched, reconcile.Suggested:
			require.NotEmpty(t, x.Left)
			require.NotEmpty(t, x.Right)
		case reconcile.Unmatched, reconcile.Duplicate:
			require.Equal(t, 1, len(x.Left)+len(x.Right))
		}
	}
	for s := range lines {
		require.Len(t, seen[s], len(lines[s]), "lines in a match, side %d", s)
		for i, n := range seen[s] {
			require.Equal(t, 1, n, "matches of line %d of side %d", i, s)
		}
	}
	require.Equal(t, count, totals.Matches)
	for _, sum := range totals.Sums {
		require.Equal(t, sums[sum.Currency], sum.Of)
		var total [2]reconcile.Amount
		for _, of := range sum.Of {
			total[0], total[1] = total[0]+of[0], total[1]+of[1]
		}
		require.Equal(t, total, sum.Total)
	}
}

// found reports whether what was planted was seen, and with what status.
func found(byID map[string]reconcile.Match, truth ledgers.Truth) bool {
	ids := slices.Concat(truth.Bank, truth.Ledger)
	same := func(ids []string) bool {
		for _, id := range ids {
			if byID[id].Number != byID[ids[0]].Number {
				return false
			}
		}
		return true
	}
	status := func(id string) reconcile.Status { return byID[id].Status }
	whole := len(byID[ids[0]].Left)+len(byID[ids[0]].Right) == len(ids)
	switch truth.Trouble {
	case ledgers.MissingBank, ledgers.MissingLedger:
		return status(ids[0]) == reconcile.Unmatched
	case ledgers.DuplicateBank, ledgers.DuplicateLedger:
		twice, once := truth.Bank, truth.Ledger
		if truth.Trouble == ledgers.DuplicateLedger {
			twice, once = once, twice
		}
		a, b := status(twice[0]), status(twice[1])
		return status(once[0]) == reconcile.Matched &&
			(a == reconcile.Matched && b == reconcile.Duplicate || a == reconcile.Duplicate && b == reconcile.Matched)
	case ledgers.SwappedAmount:
		return same(ids) && whole && status(ids[0]) != reconcile.Unmatched
	case ledgers.None, ledgers.Cents, ledgers.Shifted, ledgers.Split, ledgers.Collective,
		ledgers.Decoy, ledgers.Recurring:
		return same(ids) && whole && status(ids[0]) == reconcile.Matched
	default:
		return same(ids) && whole && (status(ids[0]) == reconcile.Matched || status(ids[0]) == reconcile.Suggested)
	}
}

// recall returns how many of the planted movements were found, by trouble.
func recall(m *reconcile.Matcher, left, right []reconcile.Line, truths []ledgers.Truth) (hits, all map[ledgers.Trouble]int) {
	byID := map[string]reconcile.Match{}
	for _, x := range m.Matches() {
		for _, i := range x.Left {
			byID[left[i].ID] = x
		}
		for _, i := range x.Right {
			byID[right[i].ID] = x
		}
	}
	hits, all = map[ledgers.Trouble]int{}, map[ledgers.Trouble]int{}
	for _, truth := range truths {
		all[truth.Trouble]++
		if found(byID, truth) {
			hits[truth.Trouble]++
		}
	}
	return hits, all
}

func TestBundledLedgersAreWhatTheGeneratorWrites(t *testing.T) {
	files, err := ledgers.Generate(ledgers.Default())
	require.NoError(t, err)
	for _, c := range []struct {
		open func() (io.ReadCloser, error)
		want []byte
	}{
		{ledgers.Bank, files.Bank}, {ledgers.Ledger, files.Ledger}, {ledgers.BankCutOff, ledgers.CutOff(files.Bank, 60)},
	} {
		f, err := c.open()
		require.NoError(t, err)
		got, err := io.ReadAll(f)
		require.NoError(t, err)
		require.True(t, bytes.Equal(c.want, got), "run go generate in examples/reconciler/ledgers")
	}
}

func TestBundledLedgers(t *testing.T) {
	t.Parallel()
	files, err := ledgers.Generate(ledgers.Default())
	require.NoError(t, err)
	left, bad := read(t, "bank.csv", bytes.NewReader(files.Bank))
	right, none := read(t, "ledger.csv", bytes.NewReader(files.Ledger))
	require.Len(t, bad, ledgers.Default().BadLines)
	require.Empty(t, none)
	m, changes := match(t, left, right)
	requireAccounted(t, m, left, right)

	hits, all := recall(m, left, right, files.Truths)
	require.Equal(t, all, hits, "everything planted in the bundled ledgers is found")
	for _, trouble := range slices.Sorted(maps.Keys(all)) {
		require.GreaterOrEqual(t, all[trouble], 15, "%q is in the bundled ledgers", trouble)
	}

	// What was planted says how many lines must be left over; the rest are pairs, or parts of a whole.
	totals := m.Totals()
	require.Equal(t, [2]int{4052, 3999}, totals.Lines)
	require.Equal(t, [2]int{all[ledgers.MissingLedger], all[ledgers.MissingBank]}, totals.Settled[reconcile.Unmatched])
	require.Equal(t, [2]int{all[ledgers.DuplicateBank], all[ledgers.DuplicateLedger]}, totals.Settled[reconcile.Duplicate])
	pairs := len(files.Truths) - all[ledgers.MissingBank] - all[ledgers.MissingLedger]
	require.Equal(t, pairs, totals.Matches[reconcile.Matched]+totals.Matches[reconcile.Suggested])
	require.Equal(t, map[reconcile.Status]int{
		reconcile.Matched: 3789, reconcile.Suggested: 26, reconcile.Duplicate: 64, reconcile.Unmatched: 166,
	}, totals.Matches)
	require.Zero(t, totals.Bounded)
	require.InDelta(t, 0.965, totals.MatchRate(), 0.0005)

	// Sums of the files' columns, added up by other means than this package.
	sums := map[reconcile.Currency][2]string{}
	for _, s := range totals.Sums {
		sums[s.Currency] = [2]string{s.Currency.Format(s.Total[0]), s.Currency.Format(s.Total[1])}
	}
	require.Equal(t, map[reconcile.Currency][2]string{
		"EUR": {"2385259.85", "2415257.20"}, "GBP": {"1439405.16", "1452406.52"}, "USD": {"1225923.36", "1253847.37"},
	}, sums)

	_, again := match(t, left, right)
	require.Equal(t, changes, again, "the same ledgers give the same changes")
	kinds := map[reconcile.Kind]int{}
	for _, c := range changes {
		kinds[c.Kind]++
	}
	require.Positive(t, kinds[reconcile.Updated])
	require.Equal(t, all[ledgers.Decoy], kinds[reconcile.Deleted], "each decoy is taken for a match first")
}

// A matcher that is held to planted truths finds at least 95 of 100 of each kind, whatever the ledgers.
func TestPlantedTroublesAreFound(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		c := ledgers.Default()
		c.Seed, c.Movements, c.BadLines = rapid.Uint64().Draw(t, "seed"), rapid.IntRange(1, 600).Draw(t, "movements"), 0
		files, err := ledgers.Generate(c)
		require.NoError(t, err)
		left, _ := read(t, "bank.csv", bytes.NewReader(files.Bank))
		right, _ := read(t, "ledger.csv", bytes.NewReader(files.Ledger))
		m, _ := match(t, left, right)
		requireAccounted(t, m, left, right)
		hits, all := recall(m, left, right, files.Truths)
		for trouble, n := range all {
			require.GreaterOrEqual(t, hits[trouble]+1+n/20, n, "found of %q", trouble)
		}
	})
}
