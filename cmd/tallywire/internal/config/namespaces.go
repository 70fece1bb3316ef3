package config

import (
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"go.yaml.in/yaml/v3"

	"github.com/tallywire/tallywire/events"
	"github.com/tallywire/tallywire/namespace"
)

// namespaceSettings sets one option of a namespace by its key in the file.
var namespaceSettings = map[string]func(*namespace.Options, *yaml.Node) error{
	"maxlen": func(o *namespace.Options, n *yaml.Node) error { return setPositive(&o.MaxLen, n) },
	"ttl":    func(o *namespace.Options, n *yaml.Node) error { return setDuration(&o.TTL, n, time.Second) },
	"dedupe": func(o *namespace.Options, n *yaml.Node) error { return setDuration(&o.Dedupe, n, time.Second) },
	"flush":  func(o *namespace.Options, n *yaml.Node) error { return setDuration(&o.Flush, n, time.Millisecond) },
	"delivery": func(o *namespace.Options, n *yaml.Node) error {
		return setWord(&o.Delivery, n, namespace.DeliverAll, namespace.DeliverLatest)
	},
	"ack": func(o *namespace.Options, n *yaml.Node) error {
		return setWord(&o.Ack, n, namespace.AckStored, namespace.AckReplicated)
	},
	"grace": func(o *namespace.Options, n *yaml.Node) error { return setDuration(&o.Grace, n, time.Millisecond) },
	"types": func(o *namespace.Options, n *yaml.Node) error { return setTypes(&o.Types, n) },
}

func namespaceKeys() []string { return slices.Sorted(maps.Keys(namespaceSettings)) }

func setNamespace(o *namespace.Options, key string, n *yaml.Node) error {
	return namespaceSettings[key](o, n)
}

// validPrefix reports whether a channel's name may begin so; "*" stands for all.
func validPrefix(prefix string) bool {
	return prefix == "*" || events.ValidateChannel(prefix) == nil
}

func setPositive(field *int64, n *yaml.Node) error {
	v, err := number(n)
	if err != nil {
		return err
	}
	if v < 1 {
		return fmt.Errorf("must be at least 1, is %d", v)
	}
	*field = v
	return nil
}

func setDuration(field *time.Duration, n *yaml.Node, least time.Duration) error {
	d, err := time.ParseDuration(n.Value)
	if err != nil {
		return fmt.Errorf("must be a duration as 24h or 10ms, is %q", clip(n.Value))
	}
	if d < least {
		return fmt.Errorf("must be at least %s, is %s", least, d)
	}
	*field = d
	return nil
}

func setWord[T ~string](field *T, n *yaml.Node, words ...T) error {
	if n.Kind == yaml.ScalarNode && slices.Contains(words, T(n.Value)) {
		*field = T(n.Value)
		return nil
	}
	quoted := make([]string, len(words))
	for i, w := range words {
		quoted[i] = string(w)
	}
	return fmt.Errorf("must be %s, is %q", strings.Join(quoted, " or "), clip(n.Value))
}

func setTypes(field *[]string, n *yaml.Node) error {
	if n.Kind != yaml.SequenceNode || len(n.Content) == 0 {
		return errors.New("must be a list of event types, as [job.progress, match.*]")
	}
	for _, item := range n.Content {
		if stem := strings.TrimSuffix(item.Value, "*"); item.Kind != yaml.ScalarNode || strings.Contains(stem, "*") || item.Value == "" {
			return fmt.Errorf("an item must be an event type, with * at its end only, is %q", clip(item.Value))
		}
		*field = append(*field, item.Value)
	}
	return nil
}
