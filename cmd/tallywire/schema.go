package main

import (
	"bufio"
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"text/tabwriter"

	"github.com/tallywire/tallywire/events"
)

// schemaCommand looks at event types.
type schemaCommand struct {
	Schemas string `type:"path" placeholder:"DIR" help:"Directory of JSON Schemas with more event types."`

	List  schemaList  `cmd:"" help:"List the event types."`
	Show  schemaShow  `cmd:"" help:"Print the JSON Schema of a type."`
	Check schemaCheck `cmd:"" help:"Check events, or a directory of schemas."`
}

func (c *schemaCommand) registry(r *run, strict bool) (*events.Registry, error) {
	if err := errors.Join(r.sources.Problems()...); err != nil {
		return nil, usageError{err}
	}
	return events.NewRegistry(events.Options{Dir: c.Schemas, Strict: strict})
}

type schemaList struct {
	JSON bool `name:"json" help:"Print JSON, with what describes each type."`
}

// Run prints a line for each type.
func (c *schemaList) Run(r *run, parent *schemaCommand) error {
	registry, err := parent.registry(r, false)
	if err != nil {
		return err
	}
	if c.JSON {
		out := json.NewEncoder(r.stdout)
		out.SetIndent("", "  ")
		return out.Encode(registry.Types())
	}
	table := tabwriter.NewWriter(r.stdout, 0, 0, 2, ' ', 0)
	fmt.Fprintln(table, "TYPE\tVERSION\tORIGIN\tTERMINAL\tTITLE")
	for _, t := range registry.Types() {
		origin, terminal := "own", ""
		if t.BuiltIn {
			origin = "built-in"
		}
		if t.Terminal {
			terminal = "terminal"
		}
		fmt.Fprintf(table, "%s\t%d\t%s\t%s\t%s\n", t.Name, t.Version, origin, terminal, t.Title)
	}
	return table.Flush()
}

type schemaShow struct {
	Type string `arg:"" help:"Type, as job.progress; of another version than its oldest, as job.progress/2."`
}

// Run prints the schema as it was written.
func (c *schemaShow) Run(r *run, parent *schemaCommand) error {
	registry, err := parent.registry(r, false)
	if err != nil {
		return err
	}
	source, ok := registry.Schema(c.Type)
	if !ok {
		return fmt.Errorf("%s: no such type; \"tallywire schema list\" shows all", c.Type)
	}
	_, err = r.stdout.Write(append(bytes.TrimRight(source, "\n"), '\n'))
	return err
}

type schemaCheck struct {
	Files  []string `arg:"" name:"file" help:"Files with events (one, a list, or one a line), directories of schemas or a schema in one; - for standard input."`
	Strict bool     `negatable:"" help:"Events of unknown types are wrong too."`
}

// errWrong says that something was found; it has been printed.
var errWrong = errors.New("not all is right")

// Run prints a line for all that is wrong, with a JSON pointer to the place.
func (c *schemaCheck) Run(r *run, parent *schemaCommand) error {
	registry, err := parent.registry(r, c.Strict)
	if err != nil {
		return err
	}
	wrong := false
	for _, name := range c.Files {
		problems, err := c.check(r, registry, name)
		if err != nil {
			return err
		}
		wrong = wrong || problems > 0
	}
	if wrong {
		return errWrong
	}
	return nil
}

// check looks at one argument and returns how much is wrong in it.
func (c *schemaCheck) check(r *run, registry *events.Registry, name string) (problems int, err error) {
	if info, err := os.Stat(name); name != "-" && err == nil && info.IsDir() {
		return c.checkSchemas(r, name), nil
	}
	source, err := readInput(r.stdin, name)
	if err != nil {
		return 0, err
	}
	if isSchema(source) && name != "-" {
		return c.checkSchemas(r, filepath.Dir(name)), nil
	}
	count, unknown := 0, map[string]bool{}
	for at, raw := range eventsIn(source) {
		count++
		envelope, err := events.Scan(raw)
		if err == nil {
			err = registry.Check(envelope, raw)
		}
		var invalid *events.InvalidError
		switch {
		case errors.As(err, &invalid):
			problems++
			fmt.Fprintf(r.stdout, "%s:%s: %s: %s\n", name, at, pointer(invalid.Path), invalid.Message)
		case err != nil:
			return problems, err
		default:
			if _, known := registry.Schema(envelope.Type); !known {
				unknown[envelope.Type] = true
			}
		}
	}
	for t := range unknown {
		fmt.Fprintf(r.stderr, "%s: type %s is unknown: its data was not checked\n", name, t)
	}
	if problems == 0 {
		fmt.Fprintf(r.stdout, "%s: ok, %d event(s)\n", name, count)
	}
	return problems, nil
}

// checkSchemas loads a directory as a gateway would.
func (c *schemaCheck) checkSchemas(r *run, dir string) (problems int) {
	registry, err := events.NewRegistry(events.Options{Dir: dir})
	if err != nil {
		for text := range strings.SplitSeq(err.Error(), "\n") {
			problems++
			fmt.Fprintln(r.stdout, text)
		}
		return problems
	}
	own := 0
	for _, t := range registry.Types() {
		if !t.BuiltIn {
			own++
		}
	}
	fmt.Fprintf(r.stdout, "%s: ok, %d schema(s)\n", dir, own)
	return 0
}

func pointer(path string) string {
	if path == "" {
		return "/"
	}
	return path
}

func readInput(stdin io.Reader, name string) ([]byte, error) {
	const most = 64 << 20
	in := stdin
	if name != "-" {
		f, err := os.Open(name) //nolint:gosec // the user names it
		if err != nil {
			return nil, err
		}
		defer f.Close() //nolint:errcheck // only read from
		in = f
	}
	source, err := io.ReadAll(io.LimitReader(in, most+1))
	if err != nil {
		return nil, fmt.Errorf("%s: %w", name, err)
	}
	if len(source) > most {
		return nil, fmt.Errorf("%s: larger than %d bytes", name, most)
	}
	return source, nil
}

// isSchema tells a JSON Schema from an event.
func isSchema(source []byte) bool {
	var head map[string]json.RawMessage
	return json.Unmarshal(source, &head) == nil && (head["$schema"] != nil || head["$id"] != nil || head["properties"] != nil)
}

// eventsIn yields the events of a file with where each one is: the file as a whole, the items of a list, or
// lines.
func eventsIn(source []byte) func(yield func(at string, raw []byte) bool) {
	return func(yield func(string, []byte) bool) {
		trimmed := bytes.TrimSpace(source)
		var list []json.RawMessage
		switch {
		case json.Unmarshal(trimmed, &list) == nil:
			for i, raw := range list {
				if !yield(fmt.Sprintf("/%d", i), raw) {
					return
				}
			}
		case json.Valid(trimmed):
			yield("1", trimmed)
		default:
			lines := bufio.NewScanner(bytes.NewReader(source))
			lines.Buffer(nil, len(source)+1)
			for n := 1; lines.Scan(); n++ {
				if raw := bytes.TrimSpace(lines.Bytes()); len(raw) > 0 && !yield(fmt.Sprint(n), bytes.Clone(raw)) {
					return
				}
			}
		}
	}
}
