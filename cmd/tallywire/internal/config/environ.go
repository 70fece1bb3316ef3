package config

import (
	"fmt"
	"regexp"
	"slices"
	"strings"
)

// linkVariable matches what Kubernetes and Docker put into the environment for a service named tallywire
// or tallywire-something.
var linkVariable = regexp.MustCompile(`^TALLYWIRE_(.+_)?(SERVICE_(HOST|PORT(_.+)?)|PORT_[0-9]+_(TCP|UDP|SCTP)(_(PROTO|PORT|ADDR))?)$`)

// CheckEnviron reports the TALLYWIRE_ variables that set none of the flags. Those that a cluster sets for
// a service of that name are none of ours.
func (s *Sources) CheckEnviron(flags []string) {
	known := make([]string, len(flags))
	for i, flag := range flags {
		known[i] = EnvName(flag)
	}
	names := make([]string, 0, len(s.env))
	for name := range s.env {
		names = append(names, name)
	}
	slices.Sort(names)
	for _, name := range names {
		if slices.Contains(known, name) || linkVariable.MatchString(name) {
			continue
		}
		if strings.HasSuffix(name, "_PORT") && strings.Contains(s.env[name], "://") {
			continue // TALLYWIRE_PORT=tcp://10.0.0.1:8080 is a cluster's too
		}
		s.errs = append(s.errs, fmt.Errorf("%s: unknown environment variable%s", name, didYouMean(name, known)))
	}
}

// didYouMean returns a hint at the known name that is nearest, "" where none is near.
func didYouMean(name string, known []string) string {
	best, bestDistance := "", len(name)/3+1
	for _, k := range known {
		if d := distance(strings.ToLower(name), strings.ToLower(k)); d < bestDistance {
			best, bestDistance = k, d
		}
	}
	if best == "" {
		return ""
	}
	return fmt.Sprintf(", did you mean %s?", best)
}

// distance is how many insertions, deletions and replacements of a byte make b of a.
func distance(a, b string) int {
	row := make([]int, len(b)+1)
	for j := range row {
		row[j] = j
	}
	for i := range len(a) {
		diagonal := row[0]
		row[0] = i + 1
		for j := range len(b) {
			cost := diagonal
			if a[i] != b[j] {
				cost = 1 + min(diagonal, row[j], row[j+1])
			}
			diagonal, row[j+1] = row[j+1], cost
		}
	}
	return row[len(b)]
}
