package reconcile_test

import (
	"errors"
	"io"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/tallywire/tallywire/examples/reconciler/reconcile"
)

const header = "id,date,reference,amount,currency,counterparty\n"

func TestReaderTakesColumnsInAnyOrder(t *testing.T) {
	lines, bad := read(t, "a.csv", strings.NewReader("\xef\xbb\xbfAmount, Currency ,Note,Counterparty,Date,Reference,ID\r\n"+
		"-1234.5,eur,\"a, \"\"b\"\"\",Lahti Timber Oy,2026-02-28,INV 1,x1\r\n"+
		"1200,JPY,,,2026-03-01,,x2\r\n"))
	require.Empty(t, bad)
	require.Len(t, lines, 2)
	require.Equal(t, "x1", lines[0].ID)
	require.Equal(t, reconcile.Amount(-123450), lines[0].Amount)
	require.Equal(t, reconcile.Currency("EUR"), lines[0].Currency)
	require.Equal(t, "2026-02-28", lines[0].Date.String())
	require.Equal(t, 2, lines[0].Row)
	require.Equal(t, reconcile.Amount(1200), lines[1].Amount)
}

func TestReaderSaysWhereALineIsWrong(t *testing.T) {
	good := "g1,2026-01-01,R,1.00,EUR,P\n"
	for name, c := range map[string]struct{ line, want string }{
		"date":              {"a,2026-02-29,R,1.00,EUR,P", `f.csv:3:3: date: "2026-02-29" is not a date like 2026-03-31`},
		"year":              {"a,1812-02-09,R,1.00,EUR,P", `f.csv:3:3: date: "1812-02-09" is not between 1970 and 2199`},
		"decimal comma":     {`a,2026-01-02,R,"1,00",EUR,P`, `f.csv:3:16: amount: "1,00" is not a decimal number like -1234.50`},
		"letter":            {"a,2026-01-02,R,1.O0,EUR,P", `f.csv:3:16: amount: "1.O0" is not a decimal number like -1234.50`},
		"exponent":          {"a,2026-01-02,R,1e3,EUR,P", `f.csv:3:16: amount: "1e3" is not a decimal number like -1234.50`},
		"two signs":         {"a,2026-01-02,R,-+1,EUR,P", `f.csv:3:16: amount: "-+1" is not a decimal number like -1234.50`},
		"decimals":          {"a,2026-01-02,R,1.005,EUR,P", `f.csv:3:16: amount: "1.005" has more than the 2 decimals of EUR`},
		"decimals of JPY":   {"a,2026-01-02,R,1.0,JPY,P", `f.csv:3:16: amount: "1.0" has more than the 0 decimals of JPY`},
		"large":             {"a,2026-01-02,R,100000000000.01,EUR,P", `f.csv:3:16: amount: "100000000000.01" is larger than 100000000000.00`},
		"very large":        {"a,2026-01-02,R,99999999999999999999,EUR,P", `f.csv:3:16: amount: "99999999999999999999" is larger than 100000000000.00`},
		"currency":          {"a,2026-01-02,R,1.00,US$,P", `f.csv:3:21: currency: "US$" is not a three-letter currency code`},
		"no id":             {",2026-01-02,R,1.00,EUR,P", `f.csv:3:1: id: is empty`},
		"id twice":          {"g1,2026-01-02,R,1.00,EUR,P", `f.csv:3:1: id: "g1" is the id of line 2 already`},
		"fields":            {"a,2026-01-02,R,1.00", `f.csv:3: has 4 fields, the first line has 6`},
		"stray quote":       {`a,2026-01-02,R"x,1.00,EUR,P`, `f.csv:3:15: is no CSV: bare " in non-quoted-field`},
		"text after quote":  {`a,2026-01-02,"R"x,1.00,EUR,P`, `f.csv:3:16: is no CSV: extraneous or missing " in quoted-field`},
		"bytes":             {"a,2026-01-02,R,1.00,EUR,\xff\xfe", `f.csv:3:25: counterparty: is not UTF-8`},
		"long":              {"a,2026-01-02," + strings.Repeat("R", 121) + ",1.00,EUR,P", `f.csv:3:14: reference: is longer than 120 bytes`},
		"control character": {"a,2026-01-02,R\x1b[2J,1.00,EUR,P", `f.csv:3:14: reference: has a line break or another control character in it`},
	} {
		t.Run(name, func(t *testing.T) {
			lines, bad := read(t, "f.csv", strings.NewReader(header+good+c.line+"\n"+"g2,2026-01-03,R,2.00,EUR,P\n"))
			require.Len(t, bad, 1)
			require.EqualError(t, bad[0], c.want)
			require.Len(t, lines, 2, "lines around the bad one")
			require.Equal(t, "g2", lines[1].ID)
			require.Equal(t, 4, lines[1].Row)
		})
	}
}

func TestReaderRefusesFiles(t *testing.T) {
	for name, c := range map[string]struct{ file, want string }{
		"empty":         {"", "f.csv: is empty"},
		"column":        {"id,date,reference,amount,currency\n", `f.csv:1: has no column "counterparty"; its first line must name the columns id, date, reference, amount, currency, counterparty, separated by commas`},
		"column twice":  {"id,date,reference,amount,currency,counterparty,Amount\n", `f.csv:1: has two columns "amount"`},
		"no CSV":        {"i\"d\n", `f.csv:1: its first line is no CSV: parse error on line 1, column 2: bare " in non-quoted-field`},
		"cut off":       {header + "a,2026-01-02,R,1.00,EUR,P\nb,2026-01-02,\"R", "f.csv:3: the file ends inside a quoted field; it is cut off"},
		"quote not met": {header + "a,2026-01-02,\"R,1.00,EUR,P\nb,2026-01-02,R,1.00,EUR,P\n", "f.csv:2: a quote opened here is not closed by line 3; the file is cut off or damaged"},
	} {
		t.Run(name, func(t *testing.T) {
			r, err := reconcile.NewReader("f.csv", strings.NewReader(c.file))
			for err == nil {
				_, err = r.Next()
			}
			var file *reconcile.FileError
			require.ErrorAs(t, err, &file)
			require.EqualError(t, err, c.want)
		})
	}
}

func TestReaderPassesOnReadErrors(t *testing.T) {
	broken := errors.New("disk on fire")
	r, err := reconcile.NewReader("f.csv", io.MultiReader(strings.NewReader(header), iotestErr{broken}))
	for err == nil {
		_, err = r.Next()
	}
	require.ErrorIs(t, err, broken)
}

type iotestErr struct{ err error }

func (e iotestErr) Read([]byte) (int, error) { return 0, e.err }

func FuzzReader(f *testing.F) {
	f.Add(header + "a,2026-01-02,R,1.00,EUR,P\n")
	f.Add(header + "a,2026-01-02,\"R,1.00,EUR,P\nb,2026-01-02,R\"\"x,-0.1,JPY,P\n")
	f.Fuzz(func(t *testing.T, file string) {
		r, err := reconcile.NewReader("f.csv", strings.NewReader(file))
		for rows := 0; err == nil && rows <= len(file); rows++ {
			var l reconcile.Line
			l, err = r.Next()
			var bad *reconcile.LineError
			if errors.As(err, &bad) {
				require.Positive(t, bad.Row)
				err = nil
				continue
			}
			if err != nil {
				break
			}
			again, parseErr := l.Currency.Parse(l.Currency.Format(l.Amount))
			require.NoError(t, parseErr)
			require.Equal(t, l.Amount, again)
		}
		require.Error(t, err, "the file must come to an end")
	})
}
