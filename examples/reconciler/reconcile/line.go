package reconcile

import (
	"strings"
	"unicode"
)

// Side names one of the two ledgers.
type Side int

// Left is the bank's side of a job, Right the company's own ledger.
const (
	Left Side = iota
	Right
)

// String returns "left" or "right".
func (s Side) String() string {
	if s == Left {
		return "left"
	}
	return "right"
}

// other returns the opposite side.
func (s Side) other() Side { return 1 - s }

// Line is one movement of a ledger. Amounts have the same sign on both sides: money received is positive.
type Line struct {
	ID           string
	Row          int // line number in the file, from 1
	Date         Date
	Amount       Amount
	Currency     Currency
	Reference    string
	Counterparty string

	ref   string // Reference as it is compared
	party string // Counterparty as it is compared
}

// prepare fills what is compared.
func (l *Line) prepare() {
	l.ref = compact(l.Reference)
	l.party = partyName(l.Counterparty)
}

// compact keeps letters and digits, in capitals, so that "inv-2026/001 " equals "INV2026001".
func compact(s string) string {
	return strings.Map(func(r rune) rune {
		if unicode.IsLetter(r) || unicode.IsDigit(r) {
			return unicode.ToUpper(r)
		}
		return -1
	}, s)
}

// legalForms are words of a company's name that one side writes and the other leaves out.
var legalForms = map[string]bool{
	"AB": true, "AG": true, "BV": true, "CO": true, "CORP": true, "GMBH": true, "INC": true, "KG": true,
	"LLC": true, "LLP": true, "LTD": true, "NV": true, "PLC": true, "SA": true, "SARL": true, "SPA": true, "SRL": true,
}

// partyName returns the words of a name without its legal form, joined.
func partyName(s string) string {
	var b strings.Builder
	for word := range strings.FieldsSeq(s) {
		if w := compact(word); !legalForms[w] {
			b.WriteString(w)
		}
	}
	return b.String()
}

// sameParty reports whether two names mean the same counterparty: equal, or one a longer writing of
// the other ("NORDWIND LOGISTIK" and "Nordwind Logistik Hamburg GmbH").
func sameParty(a, b *Line) bool {
	if len(a.party) < 4 || len(b.party) < 4 {
		return a.party != "" && a.party == b.party
	}
	return strings.HasPrefix(a.party, b.party) || strings.HasPrefix(b.party, a.party)
}
