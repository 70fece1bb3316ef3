package test

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/tallywire/tallywire/broker"
)

// TestCheckerFindsSeededFaults shows that the checker would notice.
func TestCheckerFindsSeededFaults(t *testing.T) {
	build := func(change func([]step) []step) []string {
		j := newJournal()
		h := j.client("c", "jobs:1")
		h.start = broker.Cursor{Offset: 1, Stamp: 1}
		var steps []step
		for n := uint64(2); n < 12; n++ {
			c := broker.Cursor{Offset: n, Stamp: n}
			value := "v" + c.String()
			j.publish("jobs:1", value, stored, c)
			steps = append(steps, step{cursor: c, value: value})
		}
		h.steps = change(steps)
		return j.check(false)
	}
	require.Empty(t, build(func(s []step) []step { return s }))
	faults := map[string]func([]step) []step{
		"loss":        func(s []step) []step { return append(s[:4:4], s[5:]...) },
		"loss at end": func(s []step) []step { return s[:9] },
		"duplicate":   func(s []step) []step { return append(s[:5:5], s[4:]...) },
		"swap":        func(s []step) []step { s[3], s[4] = s[4], s[3]; return s },
		"reuse":       func(s []step) []step { s[3].value = s[2].value; return s },
		"invention":   func(s []step) []step { s[3].value = "never published"; return s },
		"hidden loss": func(s []step) []step { // offsets renumbered over a lost event
			s = append(s[:4:4], s[5:]...)
			for i := 4; i < len(s); i++ {
				s[i].cursor.Offset--
			}
			return s
		},
	}
	for name, fault := range faults {
		require.NotEmpty(t, build(fault), name)
	}
}
