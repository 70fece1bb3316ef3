package reconcile

import (
	"bufio"
	"bytes"
	"encoding/csv"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"
)

// Columns that a ledger must have, by the names in its first line; their order is free, and other
// columns are ignored.
var requiredColumns = []string{"id", "date", "reference", "amount", "currency", "counterparty"}

const (
	maxFieldLength = 120
	maxFileBytes   = 256 << 20
)

// LineError tells of one line that cannot be used. The lines after it can.
type LineError struct {
	File   string
	Row    int    // line number in the file, from 1
	Pos    int    // position in that line in bytes, from 1; 0 where the whole line is meant
	Column string // name of the column, or empty
	Reason string
}

// Error returns "bank.csv:17:23: amount: …".
func (e *LineError) Error() string {
	var b strings.Builder
	fmt.Fprintf(&b, "%s:%d", e.File, e.Row)
	if e.Pos > 0 {
		fmt.Fprintf(&b, ":%d", e.Pos)
	}
	if e.Column != "" {
		b.WriteString(": " + e.Column)
	}
	return b.String() + ": " + e.Reason
}

// FileError tells that a file cannot be read further, so that nothing of it can be trusted.
type FileError struct {
	File   string
	Row    int // line number from which the file is unreadable; 0 where it is not about a line
	Reason string
	Err    error // the cause, where there is one
}

// Error returns "bank.csv:17: …".
func (e *FileError) Error() string {
	if e.Row > 0 {
		return fmt.Sprintf("%s:%d: %s", e.File, e.Row, e.Reason)
	}
	return e.File + ": " + e.Reason
}

// Unwrap returns the cause.
func (e *FileError) Unwrap() error { return e.Err }

// Reader reads a ledger line by line. It is for one goroutine.
type Reader struct {
	file   string
	csv    *csv.Reader
	limit  *io.LimitedReader
	column map[string]int
	fields int
	seen   map[string]int // row by id
	rows   int

	ahead    bool // the next record has been read already
	aheadRec []string
	aheadErr error
}

// NewReader reads the first line, which names the columns. The error is a [*FileError].
func NewReader(file string, r io.Reader) (*Reader, error) {
	limit := &io.LimitedReader{R: r, N: maxFileBytes}
	buffered := bufio.NewReader(limit)
	if mark, err := buffered.Peek(3); err == nil && bytes.Equal(mark, []byte("\xef\xbb\xbf")) {
		_, _ = buffered.Discard(3)
	}
	c := csv.NewReader(buffered)
	c.FieldsPerRecord = -1
	c.ReuseRecord = true
	header, err := c.Read()
	if errors.Is(err, io.EOF) {
		return nil, &FileError{File: file, Reason: "is empty"}
	}
	if err != nil {
		return nil, &FileError{File: file, Row: 1, Reason: "its first line is no CSV: " + err.Error(), Err: err}
	}
	column := map[string]int{}
	for i, name := range header {
		name = strings.ToLower(strings.TrimSpace(name))
		if _, twice := column[name]; twice && slices.Contains(requiredColumns, name) {
			return nil, &FileError{File: file, Row: 1, Reason: fmt.Sprintf("has two columns %q", name)}
		}
		column[name] = i
	}
	for _, name := range requiredColumns {
		if _, ok := column[name]; !ok {
			return nil, &FileError{File: file, Row: 1, Reason: fmt.Sprintf(
				"has no column %q; its first line must name the columns %s, separated by commas",
				name, strings.Join(requiredColumns, ", "))}
		}
	}
	return &Reader{file: file, csv: c, limit: limit, column: column, fields: len(header), seen: map[string]int{}}, nil
}

// Next returns the next line; [io.EOF] after the last; a [*LineError] for a line that must be left out,
// after which Next goes on; a [*FileError] where the file cannot be read further.
func (r *Reader) Next() (Line, error) {
	record, err := r.record()
	switch {
	case errors.Is(err, io.EOF) && r.limit.N <= 0:
		return Line{}, &FileError{File: r.file, Reason: fmt.Sprintf("is larger than %d MB", maxFileBytes>>20)}
	case errors.Is(err, io.EOF):
		return Line{}, io.EOF
	case err != nil:
		return Line{}, r.syntax(err)
	}
	if r.rows++; r.rows > MaxLines {
		return Line{}, &FileError{File: r.file, Reason: fmt.Sprintf("has more than %d lines", MaxLines)}
	}
	return r.line(record)
}

// syntax sorts the errors of the CSV reader: a stray quote spoils its line only, an unclosed one
// swallows what follows.
func (r *Reader) syntax(err error) error {
	var parse *csv.ParseError
	if !errors.As(err, &parse) {
		return &FileError{File: r.file, Reason: "cannot be read: " + err.Error(), Err: err}
	}
	if parse.Line > parse.StartLine || r.limit.N <= 0 {
		return &FileError{File: r.file, Row: parse.StartLine, Err: err, Reason: fmt.Sprintf(
			"a quote opened here is not closed by line %d; the file is cut off or damaged", parse.Line)}
	}
	if errors.Is(parse.Err, csv.ErrQuote) && r.atEnd() {
		return &FileError{
			File: r.file, Row: parse.StartLine, Err: err,
			Reason: "the file ends inside a quoted field; it is cut off",
		}
	}
	return &LineError{File: r.file, Row: parse.StartLine, Pos: parse.Column, Reason: "is no CSV: " + parse.Err.Error()}
}

// atEnd reports whether no record follows; one that does is kept for Next.
func (r *Reader) atEnd() bool {
	r.aheadRec, r.aheadErr = r.csv.Read()
	r.ahead = true
	return errors.Is(r.aheadErr, io.EOF)
}

func (r *Reader) record() ([]string, error) {
	if r.ahead {
		r.ahead = false
		return r.aheadRec, r.aheadErr
	}
	return r.csv.Read()
}

func (r *Reader) line(record []string) (Line, error) {
	row, _ := r.csv.FieldPos(0)
	if len(record) != r.fields {
		return Line{}, &LineError{File: r.file, Row: row, Reason: fmt.Sprintf(
			"has %d fields, the first line has %d", len(record), r.fields)}
	}
	for _, name := range requiredColumns {
		switch f := record[r.column[name]]; {
		case !utf8.ValidString(f):
			return Line{}, r.bad(row, name, errors.New("is not UTF-8"))
		case len(f) > maxFieldLength:
			return Line{}, r.bad(row, name, fmt.Errorf("is longer than %d bytes", maxFieldLength))
		case strings.ContainsFunc(f, unicode.IsControl):
			return Line{}, r.bad(row, name, errors.New("has a line break or another control character in it"))
		}
	}
	text := func(name string) string { return strings.Clone(strings.TrimSpace(record[r.column[name]])) }
	l := Line{ID: text("id"), Row: row, Reference: text("reference"), Counterparty: text("counterparty")}
	if l.ID == "" {
		return Line{}, r.bad(row, "id", errors.New("is empty"))
	}
	if first, twice := r.seen[l.ID]; twice {
		return Line{}, r.bad(row, "id", fmt.Errorf("%q is the id of line %d already", l.ID, first))
	}
	var err error
	if l.Date, err = ParseDate(text("date")); err != nil {
		return Line{}, r.bad(row, "date", err)
	}
	if l.Currency, err = ParseCurrency(text("currency")); err != nil {
		return Line{}, r.bad(row, "currency", err)
	}
	if l.Amount, err = l.Currency.Parse(text("amount")); err != nil {
		return Line{}, r.bad(row, "amount", err)
	}
	r.seen[l.ID] = row
	l.prepare()
	return l, nil
}

func (r *Reader) bad(row int, column string, err error) error {
	_, pos := r.csv.FieldPos(r.column[column])
	return &LineError{File: r.file, Row: row, Pos: pos, Column: column, Reason: err.Error()}
}
