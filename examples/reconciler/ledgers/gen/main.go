// Command gen writes the bundled ledgers anew, into the directory it is started in.
package main

import (
	"fmt"
	"os"

	"github.com/tallywire/tallywire/examples/reconciler/ledgers"
)

func main() {
	if err := write(); err != nil {
		fmt.Fprintln(os.Stderr, "gen:", err)
		os.Exit(1)
	}
}

func write() error {
	files, err := ledgers.Generate(ledgers.Default())
	if err != nil {
		return err
	}
	for name, content := range map[string][]byte{
		"bank.csv": files.Bank, "ledger.csv": files.Ledger, "bank-cut-off.csv": ledgers.CutOff(files.Bank, 60),
	} {
		if err := os.WriteFile(name, content, 0o644); err != nil { //nolint:gosec // test data for everyone
			return err
		}
	}
	return nil
}
