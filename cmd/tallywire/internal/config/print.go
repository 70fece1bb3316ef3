package config

import (
	"fmt"
	"io"
	"maps"
	"reflect"
	"slices"
	"strconv"
	"time"

	"github.com/alecthomas/kong"
	"go.yaml.in/yaml/v3"

	"github.com/tallywire/tallywire/internal/redisconn"
	"github.com/tallywire/tallywire/namespace"
)

// redacted stands for a secret.
const redacted = "[redacted]"

// Print writes the settings as a file that would set them, secrets left out, each with a comment that
// says where it came from. flags are those of the command serve.
func Print(w io.Writer, s *Serve, flags []*kong.Flag, from *Sources) error {
	root := &yaml.Node{Kind: yaml.MappingNode}
	for _, flag := range flags {
		if flag.Tag.Has("meta") || flag.Name == "help" {
			continue
		}
		value := valueNode(flag.Target)
		switch flag.Tag.Get("secret") {
		case "all":
			if value.Value != "" {
				value.Value = redacted
			}
		case "redis":
			value.Value = redactURL(value.Value)
		}
		comment := from.From(flag.Name)
		key := scalar("!!str", flag.Name)
		if value.Kind == yaml.SequenceNode && len(value.Content) > 0 {
			key.LineComment = comment
		} else {
			value.LineComment = comment
		}
		root.Content = append(root.Content, key, value)
	}
	spaces, err := namespacesNode(s)
	if err != nil {
		return err
	}
	root.Content = append(root.Content, scalar("!!str", namespacesKey), spaces)
	encoder := yaml.NewEncoder(w)
	encoder.SetIndent(2)
	if err := encoder.Encode(root); err != nil {
		return fmt.Errorf("print the settings: %w", err)
	}
	return encoder.Close()
}

// redactURL returns a Redis URL without its secrets; one that cannot be read says nothing.
func redactURL(text string) string {
	if text == "" {
		return ""
	}
	t, err := redisconn.Parse(text)
	if err != nil {
		return redacted
	}
	return t.String()
}

func scalar(tag, text string) *yaml.Node {
	n := &yaml.Node{Kind: yaml.ScalarNode, Tag: tag, Value: text}
	if tag == "!!str" && text == "" {
		n.Style = yaml.DoubleQuotedStyle
	}
	return n
}

func valueNode(v reflect.Value) *yaml.Node {
	switch x := v.Interface().(type) {
	case time.Duration:
		return scalar("!!str", x.String())
	case bool:
		return scalar("!!bool", strconv.FormatBool(x))
	case int:
		return scalar("!!int", strconv.Itoa(x))
	case float64:
		return scalar("!!float", strconv.FormatFloat(x, 'f', -1, 64))
	case []string:
		return listNode(x)
	default:
		return scalar("!!str", v.String())
	}
}

func listNode(items []string) *yaml.Node {
	n := &yaml.Node{Kind: yaml.SequenceNode}
	if len(items) == 0 {
		n.Style = yaml.FlowStyle
	}
	for _, item := range items {
		n.Content = append(n.Content, scalar("!!str", item))
	}
	return n
}

// namespacesNode holds the options of each namespace as they are after inheriting.
func namespacesNode(s *Serve) (*yaml.Node, error) {
	table, err := s.Table()
	if err != nil {
		return nil, fmt.Errorf("%s: %w", namespacesKey, err)
	}
	n := &yaml.Node{Kind: yaml.MappingNode}
	add := func(prefix string, o *namespace.Options) {
		pairs := []*yaml.Node{
			scalar("!!str", "maxlen"), scalar("!!int", strconv.FormatInt(o.MaxLen, 10)),
			scalar("!!str", "ttl"), scalar("!!str", o.TTL.String()),
			scalar("!!str", "dedupe"), scalar("!!str", o.Dedupe.String()),
			scalar("!!str", "delivery"), scalar("!!str", string(o.Delivery)),
			scalar("!!str", "flush"), scalar("!!str", o.Flush.String()),
			scalar("!!str", "ack"), scalar("!!str", string(o.Ack)),
			scalar("!!str", "grace"), scalar("!!str", o.Grace.String()),
		}
		if len(o.Types) > 0 {
			pairs = append(pairs, scalar("!!str", "types"), listNode(o.Types))
		}
		n.Content = append(n.Content, scalar("!!str", prefix), &yaml.Node{Kind: yaml.MappingNode, Content: pairs})
	}
	add("*", table.For(""))
	for _, prefix := range slices.Sorted(maps.Keys(s.Namespaces)) {
		if prefix != "*" {
			add(prefix, table.For(prefix))
		}
	}
	return n, nil
}
