package config

import (
	"fmt"
	"reflect"
	"strconv"
	"strings"
	"time"

	"github.com/alecthomas/kong"
)

// EnvPrefix begins the names of the environment variables.
const EnvPrefix = "TALLYWIRE_"

// EnvName returns the variable that sets a flag.
func EnvName(flag string) string {
	return EnvPrefix + strings.ToUpper(strings.ReplaceAll(flag, "-", "_"))
}

// Sources resolves flags that were not given from the environment and, for commands that have a flag
// `config`, from the YAML file that it names. It is for one goroutine and one parse. Problems do not stop
// the parse, so that all of them can be told at once.
type Sources struct {
	env    map[string]string
	keys   []*kong.Flag      // the flags of serve: what a file may set
	looked map[string]bool   // flags that were not on the command line
	from   map[string]string // where their values came from
	file   *file             // nil until it was asked for
	errs   []error
}

// NewSources takes variables in the form of os.Environ.
func NewSources(environ []string) *Sources {
	s := &Sources{env: map[string]string{}, looked: map[string]bool{}, from: map[string]string{}}
	for _, pair := range environ {
		if name, value, ok := strings.Cut(pair, "="); ok && strings.HasPrefix(name, EnvPrefix) {
			s.env[name] = value
		}
	}
	return s
}

// Settings tells which flags a file may set: those of serve. It is called before the parse. Other commands
// may read the same file, for what concerns them.
func (s *Sources) Settings(flags []*kong.Flag) { s.keys = flags }

// Validate implements kong.Resolver.
func (s *Sources) Validate(*kong.Application) error { return nil }

// Resolve implements kong.Resolver: the environment before the file.
func (s *Sources) Resolve(c *kong.Context, _ *kong.Path, flag *kong.Flag) (any, error) {
	if flag.Name == "help" {
		return nil, nil //nolint:nilnil // kong: no value
	}
	if s.file == nil {
		s.file = s.open(c)
	}
	s.looked[flag.Name] = true
	name := EnvName(flag.Name)
	if text := s.env[name]; text != "" {
		return s.take(flag, text, name), nil
	}
	if value, line := s.file.value(flag); value != nil {
		return s.take(flag, value, fmt.Sprintf("%s:%d", s.file.path, line)), nil
	}
	return nil, nil //nolint:nilnil // kong: no value
}

// take remembers where a value came from and returns it, or nil where it is not of the flag's kind.
func (s *Sources) take(flag *kong.Flag, value any, from string) any {
	if err := fits(flag.Target, value); err != nil {
		s.errs = append(s.errs, fmt.Errorf("%s: %w (from %s)", flag.Name, err, from))
		return nil
	}
	s.from[flag.Name] = from
	if value == "" && flag.Tag.Type == "path" {
		return nil // kong would take it for the working directory
	}
	return value
}

// open reads the file that the flag or the variable names; a command without such a flag has none.
func (s *Sources) open(c *kong.Context) *file {
	for _, flag := range c.Flags() {
		if flag.Name != "config" {
			continue
		}
		path, _ := c.FlagValue(flag).(string)
		if path == "" {
			path = s.env[EnvName("config")]
		}
		if path == "" {
			break
		}
		f, errs := readFile(path, s.keys)
		s.errs = append(s.errs, errs...)
		return f
	}
	return &file{}
}

// Fill takes over what only the file can set.
func (s *Sources) Fill(serve *Serve) {
	if s.file != nil {
		serve.Namespaces = s.file.namespaces
	}
}

// From says where a flag's value came from: "flag", a variable's name, "file:line", or "default".
func (s *Sources) From(flag string) string {
	switch {
	case flag == namespacesKey && s.file != nil && s.file.namespaces != nil:
		return s.file.path
	case flag == namespacesKey:
		return "default"
	case !s.looked[flag]:
		return "flag"
	case s.from[flag] != "":
		return s.from[flag]
	}
	return "default"
}

// Given reports whether a flag's value is more than the default.
func (s *Sources) Given(flag string) bool { return s.From(flag) != "default" }

// Problems returns what could not be read.
func (s *Sources) Problems() []error { return s.errs }

// fits reports why text or a list cannot be a value for the field.
func fits(field reflect.Value, value any) error {
	text, isText := value.(string)
	if !isText {
		if field.Kind() != reflect.Slice {
			return fmt.Errorf("must be one value, is a list")
		}
		return nil
	}
	switch {
	case field.Type() == reflect.TypeFor[time.Duration]():
		if _, err := time.ParseDuration(text); err != nil {
			return fmt.Errorf("must be a duration as 1m30s, is %q", clip(text))
		}
	case field.Kind() == reflect.Int:
		if _, err := strconv.Atoi(text); err != nil {
			return fmt.Errorf("must be a whole number, is %q", clip(text))
		}
	case field.Kind() == reflect.Float64:
		if _, err := strconv.ParseFloat(text, 64); err != nil {
			return fmt.Errorf("must be a number, is %q", clip(text))
		}
	case field.Kind() == reflect.Bool:
		if _, err := strconv.ParseBool(text); err != nil {
			return fmt.Errorf("must be true or false, is %q", clip(text))
		}
	}
	return nil
}

// clip bounds what an error repeats of a value.
func clip(s string) string {
	const most = 60
	if len(s) > most {
		return s[:most] + "…"
	}
	return s
}
