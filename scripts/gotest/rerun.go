package main

import (
	"fmt"
	"slices"
	"strings"
)

// raceSkip marks the tests that skip themselves under the race detector, such as those that count
// allocations: their reason says so.
const raceSkip = "race detector"

// takeRaceSkips removes those tests from the tally and returns their packages and a pattern for -run.
func (t *tally) takeRaceSkips() (packages []string, pattern string) {
	var names []string
	t.skips = slices.DeleteFunc(t.skips, func(s skip) bool {
		if !strings.Contains(s.reason, raceSkip) {
			return false
		}
		name, _, _ := strings.Cut(s.test, "/")
		names = append(names, name)
		packages = append(packages, s.pkg)
		t.skipped--
		return true
	})
	if len(names) == 0 {
		return nil, ""
	}
	slices.Sort(names)
	slices.Sort(packages)
	fmt.Fprintln(t.out, "\nwithout the race detector:")
	return slices.Compact(packages), "^(" + strings.Join(slices.Compact(names), "|") + ")$"
}
