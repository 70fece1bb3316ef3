package reconcile

import (
	"fmt"
	"strconv"
	"strings"
)

// Amount is money in a currency's minor units (cents of EUR, whole JPY). Sums cannot overflow: a parsed
// amount is at most [MaxAmount] and a ledger at most [MaxLines] lines.
type Amount int64

// Bounds that keep every sum and difference of a job inside an int64.
const (
	MaxAmount Amount = 10_000_000_000_000
	MaxLines  int    = 400_000
)

// Currency is an ISO 4217 code in capitals.
type Currency string

// minorDigits lists the currencies whose minor unit is not a hundredth.
var minorDigits = map[Currency]int{
	"BHD": 3, "CLP": 0, "IQD": 3, "ISK": 0, "JOD": 3, "JPY": 0, "KRW": 0, "KWD": 3, "LYD": 3, "OMR": 3,
	"PYG": 0, "RWF": 0, "TND": 3, "UGX": 0, "VND": 0, "XAF": 0, "XOF": 0, "XPF": 0,
}

// Digits returns how many decimals the currency's amounts have.
func (c Currency) Digits() int {
	if d, ok := minorDigits[c]; ok {
		return d
	}
	return 2
}

// ParseCurrency accepts three letters and returns them in capitals.
func ParseCurrency(s string) (Currency, error) {
	s = strings.ToUpper(strings.TrimSpace(s))
	if len(s) != 3 || strings.Trim(s, "ABCDEFGHIJKLMNOPQRSTUVWXYZ") != "" {
		return "", fmt.Errorf("%q is not a three-letter currency code", s)
	}
	return Currency(s), nil
}

// Parse reads a decimal number: an optional sign, digits, and a point with at most as many decimals as
// the currency has. Grouping and decimal commas are refused, since guessing at them is how
// "1.234" becomes a thousand.
func (c Currency) Parse(s string) (Amount, error) {
	text := strings.TrimSpace(s)
	digits, negative := strings.CutPrefix(text, "-")
	if !negative {
		digits = strings.TrimPrefix(digits, "+")
	}
	whole, fraction, point := strings.Cut(digits, ".")
	if whole == "" || (point && fraction == "") || !allDigits(whole) || !allDigits(fraction) {
		return 0, fmt.Errorf("%q is not a decimal number like -1234.50", s)
	}
	places := c.Digits()
	if len(fraction) > places {
		return 0, fmt.Errorf("%q has more than the %d decimals of %s", s, places, c)
	}
	minor, err := strconv.ParseInt(whole+fraction+strings.Repeat("0", places-len(fraction)), 10, 64)
	if err != nil || Amount(minor) > MaxAmount {
		return 0, fmt.Errorf("%q is larger than %s", s, c.Format(MaxAmount))
	}
	if negative {
		minor = -minor
	}
	return Amount(minor), nil
}

// Format returns a as a plain decimal number, with all decimals of the currency: "-1234.50".
func (c Currency) Format(a Amount) string {
	places := c.Digits()
	sign, text := "", strconv.FormatUint(uint64(a.abs()), 10) //nolint:gosec // an absolute value fits
	if a < 0 {
		sign = "-"
	}
	if places == 0 {
		return sign + text
	}
	if missing := places + 1 - len(text); missing > 0 {
		text = strings.Repeat("0", missing) + text
	}
	return sign + text[:len(text)-places] + "." + text[len(text)-places:]
}

func (a Amount) abs() Amount {
	if a < 0 {
		return -a
	}
	return a
}

// sameSign reports whether money moves in the same direction.
func sameSign(a, b Amount) bool { return (a < 0) == (b < 0) }

func allDigits(s string) bool {
	for i := range len(s) {
		if s[i] < '0' || s[i] > '9' {
			return false
		}
	}
	return true
}
