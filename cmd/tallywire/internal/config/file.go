package config

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
	"strconv"

	"github.com/alecthomas/kong"
	"go.yaml.in/yaml/v3"

	"github.com/tallywire/tallywire/namespace"
)

// maxFileBytes bounds the configuration file.
const maxFileBytes = 1 << 20

// file is a configuration file that was read.
type file struct {
	path       string
	values     map[string]*yaml.Node
	namespaces map[string]namespace.Options
}

// value returns what the file sets a flag to, a string or a []any of strings, and in which line.
func (f *file) value(flag *kong.Flag) (any, int) {
	n := f.values[flag.Name]
	switch {
	case n == nil || n.Tag == "!!null":
		return nil, 0
	case n.Kind == yaml.ScalarNode:
		return n.Value, n.Line
	}
	list := make([]any, len(n.Content))
	for i, item := range n.Content {
		list[i] = item.Value
	}
	return list, n.Line
}

// readFile reads a configuration file and reports everything in it that is not a setting.
func readFile(path string, flags []*kong.Flag) (*file, []error) {
	f := &file{path: path, values: map[string]*yaml.Node{}}
	in, err := os.Open(path) //nolint:gosec // whoever starts the gateway names it
	if err != nil {
		return f, []error{fmt.Errorf("config: %w", err)}
	}
	defer in.Close() //nolint:errcheck // only read from
	source, err := io.ReadAll(io.LimitReader(in, maxFileBytes+1))
	if err != nil {
		return f, []error{fmt.Errorf("config: %w", err)}
	}
	if len(source) > maxFileBytes {
		return f, []error{fmt.Errorf("config: %s: larger than %d bytes", path, maxFileBytes)}
	}
	var document yaml.Node
	decoder := yaml.NewDecoder(bytes.NewReader(source))
	if err := decoder.Decode(&document); errors.Is(err, io.EOF) {
		return f, nil
	} else if err != nil {
		return f, []error{fmt.Errorf("config: %s: %w", path, err)}
	}
	p := &fileParser{file: f}
	if err := decoder.Decode(new(yaml.Node)); !errors.Is(err, io.EOF) {
		p.errs = append(p.errs, fmt.Errorf("%s: must hold one YAML document", path))
	}
	p.root(document.Content[0], flags)
	return f, p.errs
}

// fileParser walks the document.
type fileParser struct {
	file *file
	errs []error
}

func (p *fileParser) fail(n *yaml.Node, format string, args ...any) {
	p.errs = append(p.errs, fmt.Errorf("%s:%d: %w", p.file.path, n.Line, fmt.Errorf(format, args...)))
}

// pairs calls f for each key of a mapping whose name is known (all are where known is nil), and reports the
// others. path is the mapping's own key, "" for the document.
func (p *fileParser) pairs(n *yaml.Node, path string, known []string, f func(key string, value *yaml.Node)) {
	if n.Tag == "!!null" {
		return
	}
	if n.Kind != yaml.MappingNode {
		if path == "" {
			path = "the file"
		}
		p.fail(n, "%s: must be a mapping", path)
		return
	}
	label := path
	if label != "" {
		label += "."
	}
	seen := map[string]bool{}
	for i := 0; i+1 < len(n.Content); i += 2 {
		key, value := n.Content[i], n.Content[i+1]
		if value.Kind == yaml.AliasNode {
			value = value.Alias
		}
		switch {
		case key.Kind != yaml.ScalarNode:
			p.fail(key, "%sa key must be a name", label)
		case seen[key.Value]:
			p.fail(key, "%s%s: is there twice", label, clip(key.Value))
		case known != nil && !contains(known, key.Value):
			p.fail(key, "%s%s: unknown key%s", label, clip(key.Value), didYouMean(key.Value, known))
		default:
			f(key.Value, value)
		}
		seen[key.Value] = true
	}
}

func contains(list []string, s string) bool {
	for _, x := range list {
		if x == s {
			return true
		}
	}
	return false
}

const namespacesKey = "namespaces"

func (p *fileParser) root(n *yaml.Node, flags []*kong.Flag) {
	known := []string{namespacesKey}
	for _, flag := range flags {
		if !flag.Tag.Has("meta") && flag.Name != "help" {
			known = append(known, flag.Name)
		}
	}
	p.pairs(n, "", known, func(key string, value *yaml.Node) {
		if key == namespacesKey {
			p.namespaces(value)
			return
		}
		if p.plain(key, value) {
			p.file.values[key] = value
		}
	})
}

// plain reports whether a value is a scalar or a list of scalars.
func (p *fileParser) plain(key string, n *yaml.Node) bool {
	switch n.Kind {
	case yaml.ScalarNode:
		return true
	case yaml.SequenceNode:
		for _, item := range n.Content {
			if item.Kind != yaml.ScalarNode {
				p.fail(item, "%s: an item must be a single value", key)
				return false
			}
		}
		return true
	default:
		p.fail(n, "%s: must be a single value or a list", key)
		return false
	}
}

func (p *fileParser) namespaces(n *yaml.Node) {
	p.file.namespaces = map[string]namespace.Options{}
	p.pairs(n, namespacesKey, nil, func(prefix string, value *yaml.Node) {
		label := namespacesKey + "." + prefix
		if !validPrefix(prefix) {
			p.fail(value, "%s: must be the beginning of a channel's name, or *", label)
			return
		}
		var o namespace.Options
		p.pairs(value, label, namespaceKeys(), func(key string, value *yaml.Node) {
			if err := setNamespace(&o, key, value); err != nil {
				p.fail(value, "%s.%s: %w", label, key, err)
			}
		})
		p.file.namespaces[prefix] = o
	})
}

// number reads a whole number.
func number(n *yaml.Node) (int64, error) {
	v, err := strconv.ParseInt(n.Value, 10, 64)
	if n.Kind != yaml.ScalarNode || err != nil {
		return 0, fmt.Errorf("must be a whole number, is %q", clip(n.Value))
	}
	return v, nil
}
