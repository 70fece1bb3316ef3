// Package ledgers holds the reconciler's bundled ledgers, and the generator that wrote them: some
// thousand bank lines against a company's own ledger, with the usual troubles planted in it.
//
// [Bank], [Ledger] and [BankCutOff] open the bundled files. [Generate] writes such files for any
// [Config] and tells what it planted, so that a matcher can be held to it. The files come from
// the default configuration: go generate writes them anew, byte for byte.
package ledgers

//go:generate go run ./gen

import (
	"bytes"
	_ "embed"
	"io"
)

//go:embed bank.csv
var bank []byte

//go:embed ledger.csv
var ledger []byte

//go:embed bank-cut-off.csv
var bankCutOff []byte

// Bank opens the bundled bank statement.
func Bank() (io.ReadCloser, error) { return open(bank), nil }

// Ledger opens the bundled ledger of the company.
func Ledger() (io.ReadCloser, error) { return open(ledger), nil }

// BankCutOff opens the bank statement as it arrives when its transfer breaks off in the middle of a
// quoted field.
func BankCutOff() (io.ReadCloser, error) { return open(bankCutOff), nil }

func open(b []byte) io.ReadCloser { return io.NopCloser(bytes.NewReader(b)) }
