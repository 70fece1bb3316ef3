package redispresence

import (
	"fmt"
	"strings"

	"github.com/tallywire/tallywire/presence"
)

// DefaultPrefix is the prefix of all keys.
const DefaultPrefix = "tw"

// Options are the settings of a Tracker. The zero value of a field means its default.
type Options struct {
	presence.Options
	// Prefix of all keys; the broker's.
	Prefix string
}

func (o *Options) fill() error {
	if o.Prefix == "" {
		o.Prefix = DefaultPrefix
	}
	if strings.ContainsAny(o.Prefix, "{} \t\r\n*?[]") {
		return fmt.Errorf("prefix %q: no braces, blanks or globs", o.Prefix)
	}
	var err error
	o.Options, err = o.WithDefaults()
	return err
}
