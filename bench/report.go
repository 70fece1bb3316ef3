package bench

import (
	"encoding/json"
	"fmt"
	"io"
	"os"
	"strings"
)

// report writes results as they come: a table for people, JSON for programs.
type report struct {
	table io.Writer // io.Discard when JSON takes its place
	json  io.Writer // nil for none
	file  *os.File  // behind json, nil when that is standard output
}

func newReport(path string, stdout io.Writer) (*report, error) {
	switch path {
	case "":
		return &report{table: stdout}, nil
	case "-":
		return &report{table: io.Discard, json: stdout}, nil
	}
	f, err := os.Create(path) //nolint:gosec // the file that was asked for
	if err != nil {
		return nil, fmt.Errorf("JSON report: %w", err)
	}
	return &report{table: stdout, json: f, file: f}, nil
}

const (
	columns = "%-17s %-8s %9s %10s %8s %7s %7s  %8s %8s %8s %8s %8s\n"
	detail  = "%-17s └ "
)

func (r *report) begin(b *bench) {
	if b.cpus.server < 0 {
		fmt.Fprintln(r.table, "One CPU: servers and load generator share it, so rates say little; CPU a delivery and ratios hold.")
	} else {
		fmt.Fprintf(r.table, "Server on CPU %d, Redis on CPU %d, load generator on CPU %d.\n", b.cpus.server, b.cpus.redis, b.cpus.load)
	}
	fmt.Fprintf(r.table, columns, "scenario", "server", "deliv/s", "/CPU s", "µs CPU", "cores", "×floor", "p50", "p99", "p99.9", "max", "missed")
}

func (r *report) add(result *Result) error {
	r.row(result, "gateway", result.Gateway, result.Ratio)
	r.row(result, "floor", result.Floor, 0)
	if result.Note != "" {
		fmt.Fprintf(r.table, detail+"%s\n", result.Scenario, result.Note)
	}
	if r.json == nil {
		return nil
	}
	b, err := json.Marshal(result)
	if err != nil {
		return fmt.Errorf("JSON report: %w", err)
	}
	if _, err := r.json.Write(append(b, '\n')); err != nil {
		return fmt.Errorf("JSON report: %w", err)
	}
	return nil
}

func (r *report) row(result *Result, name string, f *Figures, ratio float64) {
	if f == nil {
		return
	}
	p50, p99, p999, longest := "–", "–", "–", "–"
	p := f.Latency
	if p == nil {
		p = f.AckLatency
	}
	if p != nil {
		p50, p99, p999, longest = micros(p.P50), micros(p.P99), micros(p.P999), micros(p.Max)
	}
	fmt.Fprintf(r.table, columns, result.Scenario, name,
		number(f.DeliveriesPerSecond), number(f.DeliveriesPerCPUSecond), decimal(f.CPUPerDelivery, 3), decimal(f.ServerCPU, 2),
		decimal(ratio, 2), p50, p99, p999, longest, number(float64(f.Missed)))
	if lines := details(f); len(lines) > 0 {
		fmt.Fprintf(r.table, detail+"%s\n", "", strings.Join(lines, ", "))
	}
}

// details says what has no column.
func details(f *Figures) []string {
	var out []string
	say := func(when bool, format string, args ...any) {
		if when {
			out = append(out, fmt.Sprintf(format, args...))
		}
	}
	say(f.KBPerConnection != 0, "%.1f KB resident a connection, %.0f MB at %d", f.KBPerConnection, f.ResidentMB, f.Clients)
	say(f.Rate > 0, "%s publishes/s due", number(f.Rate))
	say(f.AcksPerSecond > 0, "%s publishes/s answered", number(f.AcksPerSecond))
	say(f.AckLatency != nil && f.Latency != nil, "answers %s", f.AckLatency)
	say(f.CeilingPerSecond > 0, "redis-benchmark %s/s", number(f.CeilingPerSecond))
	say(f.CeilingPerSecond > 0, "publisher on %.2f cores", f.LoadCPU)
	say(f.CatchUp > 0, "all %d caught up after %.2f s", f.Clients, f.CatchUp)
	say(f.CatchUp > 0 && f.RangeReads >= 0, "%d range reads", f.RangeReads)
	say(f.Unsent > 0, "%d events never got out", f.Unsent)
	say(f.LoadCPU > busy && f.CeilingPerSecond == 0, "load generator used %.2f cores", f.LoadCPU)
	return out
}

func number(v float64) string {
	switch {
	case v == 0:
		return "0"
	case v >= 1e6:
		return fmt.Sprintf("%.2fM", v/1e6)
	case v >= 10e3:
		return fmt.Sprintf("%.1fk", v/1e3)
	default:
		return fmt.Sprintf("%.0f", v)
	}
}

func decimal(v float64, digits int) string {
	if v == 0 {
		return "–"
	}
	return fmt.Sprintf("%.*f", digits, v)
}

func (r *report) end() error {
	if r.file == nil {
		return nil
	}
	if err := r.file.Close(); err != nil {
		return fmt.Errorf("JSON report: %w", err)
	}
	return nil
}
