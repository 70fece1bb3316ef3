package main

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"strings"
)

// allowedSkips are the tests that CI may skip. The zero value allows none.
type allowedSkips struct{ entries []allowedSkip }

type allowedSkip struct {
	pkg    string
	test   string // a trailing '*' matches any rest
	reason string
}

// readAllowedSkips reads lines of "<import path> <test> <reason…>"; '#' starts a comment line. A file
// that does not exist allows nothing.
func readAllowedSkips(path string) (*allowedSkips, error) {
	text, err := os.ReadFile(path) //nolint:gosec // the path is a constant of this program
	if errors.Is(err, fs.ErrNotExist) {
		return &allowedSkips{}, nil
	}
	if err != nil {
		return nil, fmt.Errorf("allowed skips: %w", err)
	}
	return parseAllowedSkips(string(text))
}

func parseAllowedSkips(text string) (*allowedSkips, error) {
	a := &allowedSkips{}
	number := 0
	for l := range strings.Lines(text) {
		number++
		l = strings.TrimSpace(l)
		if l == "" || l[0] == '#' {
			continue
		}
		fields := strings.Fields(l)
		if len(fields) < 3 {
			return nil, fmt.Errorf("%s:%d: want an import path, a test and a reason", allowedSkipsFile, number)
		}
		a.entries = append(a.entries, allowedSkip{fields[0], fields[1], strings.Join(fields[2:], " ")})
	}
	return a, nil
}

// reason tells why a test may be skipped, and whether it may.
func (a *allowedSkips) reason(pkg, test string) (string, bool) {
	for _, e := range a.entries {
		prefix, wild := strings.CutSuffix(e.test, "*")
		if e.pkg == pkg && (e.test == test || wild && strings.HasPrefix(test, prefix)) {
			return e.reason, true
		}
	}
	return "", false
}
