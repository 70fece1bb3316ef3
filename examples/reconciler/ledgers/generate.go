package ledgers

import (
	"bytes"
	"encoding/csv"
	"fmt"
	"slices"
	"time"
)

// Trouble is what is wrong with a planted movement.
type Trouble string

// Troubles, and None for what is in order.
const (
	None             Trouble = ""
	Fee              Trouble = "fee"               // the bank's amount is less by a provider's fee
	Cents            Trouble = "cents"             // amounts differ by some cents
	Shifted          Trouble = "shifted"           // booked some days later
	NoReference      Trouble = "no-reference"      // the bank line has none
	DuplicateBank    Trouble = "duplicate-bank"    // the bank line is there twice
	DuplicateLedger  Trouble = "duplicate-ledger"  // the ledger line is there twice
	MissingBank      Trouble = "missing-bank"      // not paid
	MissingLedger    Trouble = "missing-ledger"    // paid, not booked
	SwappedReference Trouble = "swapped-reference" // two digits of the reference exchanged
	SwappedAmount    Trouble = "swapped-amount"    // two digits of the amount exchanged
	Split            Trouble = "split"             // paid in 2 to 4 parts
	Collective       Trouble = "collective"        // one payment for 2 or 3 invoices of one reference
	Decoy            Trouble = "decoy"             // paid in 2 parts, one as large as an unpaid invoice
	Recurring        Trouble = "recurring"         // a rent: one reference and amount in three months
)

// Truth is one movement as it was planted: which lines belong together. Of a duplicate, the lists hold
// both lines; one of them is too many.
type Truth struct {
	Trouble      Trouble
	Bank, Ledger []string // ids
}

// Config says what to generate. Equal configurations give equal bytes.
type Config struct {
	Seed      uint64
	Movements int       // one movement is one or a few lines on each side
	From      time.Time // the first day; movements spread over 90 days
	BadLines  int       // lines that cannot be read, planted in the bank file
	// Weights is how many of a thousand movements have which trouble; the rest has none.
	Weights map[Trouble]int
}

// Default is the configuration of the bundled files.
func Default() Config {
	return Config{
		Seed: 20260831, Movements: 3_940, From: time.Date(2026, 6, 1, 0, 0, 0, 0, time.UTC), BadLines: 7,
		Weights: map[Trouble]int{
			Fee: 45, Cents: 20, Shifted: 60, NoReference: 40, DuplicateBank: 9, DuplicateLedger: 7, MissingBank: 18,
			MissingLedger: 14, SwappedReference: 14, SwappedAmount: 10, Split: 18, Collective: 8, Decoy: 5, Recurring: 4,
		},
	}
}

// troubles in the order in which they take their share of a thousand.
var troubles = []Trouble{
	Fee, Cents, Shifted, NoReference, DuplicateBank, DuplicateLedger, MissingBank, MissingLedger,
	SwappedReference, SwappedAmount, Split, Collective, Decoy, Recurring,
}

// Files are two ledgers and what is true about them.
type Files struct {
	Bank, Ledger []byte
	Truths       []Truth
}

// row is one line before it has an id; amounts are in cents.
type row struct {
	day             int
	ref, party, cur string
	cents           int64
	truth           int
}

type generator struct {
	Config
	rand   random
	bank   []row
	ledger []row
	truths []Truth
}

// Generate writes two ledgers.
func Generate(c Config) (Files, error) {
	g := &generator{Config: c, rand: random(c.Seed)}
	for n := range c.Movements {
		g.movement(n)
	}
	bank, err := g.file(g.bank, "B", c.BadLines, func(t *Truth, id string) { t.Bank = append(t.Bank, id) })
	if err != nil {
		return Files{}, err
	}
	ledger, err := g.file(g.ledger, "L", 0, func(t *Truth, id string) { t.Ledger = append(t.Ledger, id) })
	if err != nil {
		return Files{}, err
	}
	return Files{Bank: bank, Ledger: ledger, Truths: g.truths}, nil
}

func (g *generator) trouble() Trouble {
	roll := g.rand.n(1000)
	for _, t := range troubles {
		if roll -= g.Weights[t]; roll < 0 {
			return t
		}
	}
	return None
}

// movement plants one movement. Payments out are a quarter of all.
func (g *generator) movement(n int) {
	trouble := g.trouble()
	party := g.party(trouble)
	cents := int64(g.rand.between(1_200, 480_000))
	if g.rand.n(4) == 0 && party.fee == 0 && trouble != Fee {
		cents = -cents
	}
	entry := row{day: g.rand.n(90), ref: g.reference(n), party: party.ledger, cur: party.currency, cents: cents, truth: len(g.truths)}
	paid := entry
	paid.party = party.bank
	paid.cents -= cents * party.fee / 10_000
	if g.rand.n(3) == 0 {
		paid.day++
	}
	g.truths = append(g.truths, Truth{Trouble: trouble})
	g.plant(trouble, entry, paid)
}

// party chooses a counterparty that can have the trouble: fees are kept by payment providers, who have
// no other troubles, so that no fee hides behind one.
func (g *generator) party(trouble Trouble) counterparty {
	for {
		if p := pick(&g.rand, counterparties); (p.fee > 0) == (trouble == Fee) {
			return p
		}
	}
}

func (g *generator) reference(n int) string {
	return fmt.Sprintf("INV-2026-%06d", 100_000+n*7+g.rand.n(7))
}

func (g *generator) plant(trouble Trouble, entry, paid row) {
	bank, ledger := []row{paid}, []row{entry}
	switch trouble {
	case None, Fee:
	case Cents:
		bank[0].cents += int64(g.rand.between(1, 45)) * int64(1-2*g.rand.n(2))
	case Shifted:
		bank[0].day = entry.day + g.rand.between(2, 9)
	case NoReference:
		bank[0].ref, bank[0].day = "", entry.day+g.rand.n(3)
	case DuplicateBank:
		again := paid
		again.day += g.rand.n(2)
		bank = append(bank, again)
	case DuplicateLedger:
		again := entry
		again.day += g.rand.n(2)
		ledger = append(ledger, again)
	case MissingBank:
		bank = nil
	case MissingLedger:
		ledger = nil
	case SwappedReference:
		bank[0].ref = swapDigits(&g.rand, paid.ref)
	case SwappedAmount:
		bank[0].cents = swapCents(&g.rand, paid.cents)
	case Split:
		bank = g.parts(paid, g.rand.between(2, 4))
	case Collective:
		ledger = g.parts(entry, g.rand.between(2, 3))
	case Decoy:
		bank = g.parts(paid, 2)
		unpaid := entry
		unpaid.ref, unpaid.cents, unpaid.day = entry.ref[:9]+"9"+entry.ref[10:], bank[0].cents, bank[0].day
		unpaid.truth = g.also(MissingBank)
		ledger = append(ledger, unpaid)
	case Recurring:
		bank, ledger = g.recurring(entry, paid)
	}
	g.bank, g.ledger = append(g.bank, bank...), append(g.ledger, ledger...)
}

// also adds a truth to the movement's own.
func (g *generator) also(t Trouble) int {
	g.truths = append(g.truths, Truth{Trouble: t})
	return len(g.truths) - 1
}

// recurring repeats a movement in two more months; the second is not paid.
func (g *generator) recurring(entry, paid row) (bank, ledger []row) {
	for month := range 3 {
		e, p := entry, paid
		e.day = entry.day%28 + 30*month
		p.day = e.day + paid.day - entry.day
		switch month {
		case 1:
			e.truth = g.also(MissingBank)
		case 2:
			e.truth = g.also(Recurring)
		}
		if p.truth = e.truth; month != 1 {
			bank = append(bank, p)
		}
		ledger = append(ledger, e)
	}
	return bank, ledger
}

// parts divides a row into n of unequal amounts, some days apart.
func (g *generator) parts(whole row, n int) []row {
	var out []row
	rest := whole.cents
	for ; n > 1; n-- {
		part := whole
		part.cents = rest * int64(g.rand.between(21, 64)) / 100
		part.day += g.rand.n(6)
		rest -= part.cents
		out = append(out, part)
	}
	whole.cents = rest
	return append(out, whole)
}

// swapDigits exchanges two neighbouring unequal digits among the last five of a reference.
func swapDigits(r *random, s string) string {
	b := []byte(s)
	for start, n := r.n(4), 0; n < 4; n++ {
		if i := len(b) - 5 + (start+n)%4; b[i] != b[i+1] {
			b[i], b[i+1] = b[i+1], b[i]
			return string(b)
		}
	}
	b[len(b)-1] = '0' + (b[len(b)-1]-'0'+1)%10 // all equal: one digit wrong is the same kind of slip
	return string(b)
}

// swapCents exchanges two neighbouring unequal digits of an amount, not the first.
func swapCents(r *random, cents int64) int64 {
	sign, s := int64(1), []byte(fmt.Sprint(cents))
	if cents < 0 {
		sign, s = -1, s[1:]
	}
	for start, n := r.n(len(s)-2), 0; n < len(s)-2; n++ {
		if i := 1 + (start+n)%(len(s)-2); s[i] != s[i+1] {
			s[i], s[i+1] = s[i+1], s[i]
			break
		}
	}
	var out int64
	for _, c := range s {
		out = out*10 + int64(c-'0')
	}
	return sign * out
}

// file sorts rows by day, gives them ids and writes them, with bad lines spread evenly among them.
func (g *generator) file(rows []row, prefix string, bad int, name func(*Truth, string)) ([]byte, error) {
	slices.SortStableFunc(rows, func(a, b row) int { return a.day - b.day })
	var buf bytes.Buffer
	w := csv.NewWriter(&buf)
	if err := w.Write([]string{"id", "date", "reference", "amount", "currency", "counterparty"}); err != nil {
		return nil, err
	}
	for n, r := range rows {
		id := fmt.Sprintf("%s-%05d", prefix, n+1)
		name(&g.truths[r.truth], id)
		date := g.From.AddDate(0, 0, r.day).Format(time.DateOnly)
		if err := w.Write([]string{id, date, r.ref, decimal(r.cents), r.cur, r.party}); err != nil {
			return nil, err
		}
		if bad > 0 && (n+1)%(len(rows)/(bad+1)) == 0 && n/(len(rows)/(bad+1)) < bad {
			w.Flush()
			buf.WriteString(badLines[n/(len(rows)/(bad+1))%len(badLines)] + "\n")
		}
	}
	w.Flush()
	return buf.Bytes(), w.Error()
}

// badLines are what real exports contain now and then.
var badLines = []string{
	`B-X0001,2026-06-31,INV-2026-900001,120.00,EUR,NORDWIND LOGISTIK HAMBURG`,
	`B-X0002,2026-06-22,INV-2026-900002,"1.204,50",EUR,AURELIA KAFFEEHAUS AG`,
	`B-X0003,2026-07-02,INV-2026-900003,88.10`,
	`B-X0004,2026-07-11,INV-2026-900004,45.5O,GBP,THISTLE ROW BAKERY`,
	`B-X0005,2026-07-19,INV-2026-900005,310.00,US$,MARLOW FREIGHT CORP`,
	`B-00017,2026-08-02,INV-2026-900006,15.00,EUR,LAHTI TIMBER OY`,
	`B-X0007,2026-08-14,INV-2026-900007,19.999,USD,CEDAR HOLLOW FARMS`,
}

func decimal(cents int64) string {
	sign := ""
	if cents < 0 {
		sign, cents = "-", -cents
	}
	return fmt.Sprintf("%s%d.%02d", sign, cents/100, cents%100)
}

// CutOff returns the first part of a file, ending inside a field whose quote is never closed: what a
// broken transfer leaves behind. keep is the share of the lines that remain, in percent.
func CutOff(file []byte, keep int) []byte {
	lines := bytes.SplitAfter(file, []byte("\n"))
	n := len(lines) * keep / 100
	out := bytes.Join(lines[:n], nil)
	last, _, _ := bytes.Cut(lines[n], []byte(",INV"))
	return append(append(bytes.Clone(out), last...), `,"INV-20`...)
}
