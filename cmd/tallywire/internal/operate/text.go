package operate

import (
	"encoding/json"
	"fmt"
	"io"
	"strconv"
	"strings"
	"text/tabwriter"
	"time"
	"unicode"
)

// table prints rows in columns. What comes from outside is made harmless to a terminal.
type table struct{ w *tabwriter.Writer }

func newTable(out io.Writer, head ...string) table {
	t := table{tabwriter.NewWriter(out, 0, 8, 2, ' ', 0)}
	t.row(head...)
	return t
}

func (t table) row(cells ...string) {
	for i, cell := range cells {
		cells[i] = plain(cell)
		if cells[i] == "" {
			cells[i] = "-"
		}
	}
	fmt.Fprintln(t.w, strings.Join(cells, "\t"))
}

func (t table) end() error {
	if err := t.w.Flush(); err != nil {
		return fmt.Errorf("print: %w", err)
	}
	return nil
}

// plain takes out what a terminal would obey.
func plain(s string) string {
	return strings.Map(func(r rune) rune {
		if !unicode.IsPrint(r) {
			return '?'
		}
		return r
	}, s)
}

func number[T int | uint64 | int64](n T) string { return strconv.FormatInt(int64(n), 10) }

// perSecond writes a rate; a small one with a digit more.
func perSecond(v float64) string {
	if v >= 100 || v == 0 {
		return strconv.FormatFloat(v, 'f', 0, 64)
	}
	return strconv.FormatFloat(v, 'f', 1, 64)
}

// span writes a duration in the unit that matters.
func span(d time.Duration) string {
	switch {
	case d < 0:
		return "0s"
	case d < time.Second:
		return d.Round(time.Millisecond).String()
	case d < time.Minute:
		return d.Round(time.Second).String()
	case d < 48*time.Hour:
		return strings.TrimSuffix(d.Round(time.Minute).String(), "0s")
	default:
		return fmt.Sprintf("%dd", int(d.Hours()/24))
	}
}

// ago writes how long ago a time was, by the answer's clock where it has one.
func ago(now, t time.Time) string {
	if t.IsZero() {
		return ""
	}
	return span(now.Sub(t)) + " ago"
}

// warn says on the side what an answer does not speak for.
func (c coverage) warn(w io.Writer) {
	for _, m := range c.Missing {
		fmt.Fprintf(w, "missing: %s (%s)\n", plain(m.Gateway), plain(strings.ReplaceAll(m.Reason, "_", " ")))
	}
	if c.Problem != "" {
		fmt.Fprintf(w, "incomplete: %s\n", plain(c.Problem))
	}
}

// JSON prints an answer as it came, laid out.
func JSON(w io.Writer, raw json.RawMessage) error {
	var v any
	d := json.NewDecoder(strings.NewReader(string(raw)))
	d.UseNumber() // as they came
	if err := d.Decode(&v); err != nil {
		return fmt.Errorf("answer: %w", err)
	}
	e := json.NewEncoder(w)
	e.SetEscapeHTML(false)
	e.SetIndent("", "  ")
	if err := e.Encode(v); err != nil {
		return fmt.Errorf("print: %w", err)
	}
	return nil
}
