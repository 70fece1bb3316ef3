package reconcile

import (
	"fmt"
	"time"
)

// Date is a calendar day, counted from 1 January 1970. Ledgers have days, not moments: no zone is
// involved, and a difference of two dates is a number of days.
type Date int32

const dayLayout = "2006-01-02"

// ParseDate reads "2026-03-31".
func ParseDate(s string) (Date, error) {
	t, err := time.Parse(dayLayout, s)
	if err != nil {
		return 0, fmt.Errorf("%q is not a date like 2026-03-31", s)
	}
	if t.Year() < 1970 || t.Year() > 2199 {
		return 0, fmt.Errorf("%q is not between 1970 and 2199", s)
	}
	return Date(t.Unix() / 86_400), nil //nolint:gosec // 230 years of days fit
}

// String returns the date as it is read.
func (d Date) String() string { return time.Unix(int64(d)*86_400, 0).UTC().Format(dayLayout) }

// days returns how far apart two dates are.
func days(a, b Date) int {
	if a < b {
		a, b = b, a
	}
	return int(a - b)
}
