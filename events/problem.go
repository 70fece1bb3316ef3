package events

import (
	"encoding/json"
	"errors"
	"fmt"
	"math/big"
	"strings"

	"github.com/santhosh-tekuri/jsonschema/v6"
	"github.com/santhosh-tekuri/jsonschema/v6/kind"
	"golang.org/x/text/language"
	"golang.org/x/text/message"
)

// problem is the one thing told about an invalid value.
type problem struct {
	// InstanceLocation is the path to the value meant.
	InstanceLocation []string
	text             string
}

// dataError puts a validation error of an event's data into words.
func dataError(err error) error {
	var details *jsonschema.ValidationError
	if !errors.As(err, &details) {
		return invalid("data", "does not fit its schema")
	}
	p := worst(details)
	return &InvalidError{
		Path:    "/data" + clip(pointer(p.InstanceLocation), MaxMessageBytes),
		Message: clip("data"+dotted(p.InstanceLocation)+": "+p.text, MaxMessageBytes),
	}
}

// worst picks what to tell of a tree of errors: always the same for the same value, whatever order the
// validator went in. Alternatives are judged by the one that got furthest into the value.
func worst(e *jsonschema.ValidationError) problem {
	if len(e.Causes) == 0 {
		return describe(e)
	}
	deepest := false
	switch e.ErrorKind.(type) {
	case *kind.AnyOf, *kind.OneOf:
		deepest = true
	case *kind.PropertyNames, *kind.Not, *kind.Contains:
		return describe(e)
	}
	best := worst(e.Causes[0])
	for _, c := range e.Causes[1:] {
		p := worst(c)
		if deepest && len(p.InstanceLocation) != len(best.InstanceLocation) {
			if len(p.InstanceLocation) > len(best.InstanceLocation) {
				best = p
			}
			continue
		}
		if at, other := pointer(p.InstanceLocation), pointer(best.InstanceLocation); at < other || at == other && p.text < best.text {
			best = p
		}
	}
	return best
}

var english = message.NewPrinter(language.English)

// describe puts one error into words.
func describe(e *jsonschema.ValidationError) problem {
	p := problem{InstanceLocation: e.InstanceLocation}
	switch k := e.ErrorKind.(type) {
	case *kind.Required:
		p.InstanceLocation = append(append([]string{}, e.InstanceLocation...), least(k.Missing))
		p.text = "is required"
	case *kind.AdditionalProperties:
		p.InstanceLocation = append(append([]string{}, e.InstanceLocation...), least(k.Properties))
		p.text = "is not allowed"
	case *kind.FalseSchema:
		p.text = "is not allowed"
	case *kind.Type:
		p.text = "must be " + article(strings.Join(k.Want, " or ")) + ", is " + article(k.Got)
	case *kind.Enum:
		p.text = "must be one of " + list(k.Want)
	case *kind.Const:
		p.text = "must be " + value(k.Want)
	case *kind.Minimum:
		p.text = "must be >= " + number(k.Want)
	case *kind.Maximum:
		p.text = "must be <= " + number(k.Want)
	case *kind.ExclusiveMinimum:
		p.text = "must be > " + number(k.Want)
	case *kind.ExclusiveMaximum:
		p.text = "must be < " + number(k.Want)
	case *kind.MultipleOf:
		p.text = "must be a multiple of " + number(k.Want)
	case *kind.MinLength:
		p.text = fmt.Sprintf("must have at least %s, has %d", count(k.Want, "character"), k.Got)
	case *kind.MaxLength:
		p.text = fmt.Sprintf("must have at most %s, has %d", count(k.Want, "character"), k.Got)
	case *kind.MinItems:
		p.text = fmt.Sprintf("must have at least %s, has %d", count(k.Want, "item"), k.Got)
	case *kind.MaxItems:
		p.text = fmt.Sprintf("must have at most %s, has %d", count(k.Want, "item"), k.Got)
	case *kind.MinProperties:
		p.text = fmt.Sprintf("must have at least %s, has %d", count(k.Want, "field"), k.Got)
	case *kind.MaxProperties:
		p.text = fmt.Sprintf("must have at most %s, has %d", count(k.Want, "field"), k.Got)
	case *kind.Pattern:
		p.text = "must match the pattern " + k.Want
	case *kind.Format:
		p.text = "must be a valid " + k.Want
	case *kind.UniqueItems:
		p.text = fmt.Sprintf("must not repeat items, %d and %d are equal", k.Duplicates[0], k.Duplicates[1])
	case *kind.DependentRequired:
		p.InstanceLocation = append(append([]string{}, e.InstanceLocation...), least(k.Missing))
		p.text = "is required beside " + clip(k.Prop, 64)
	default:
		p.text = e.ErrorKind.LocalizedString(english)
	}
	return p
}

// least returns the first name in alphabetical order.
func least(names []string) string {
	first := names[0]
	for _, n := range names[1:] {
		first = min(first, n)
	}
	return first
}

// article puts "a" or "an" before the name of a JSON type.
func article(jsonType string) string {
	switch {
	case jsonType == "null":
		return jsonType
	case strings.ContainsRune("aeiou", rune(jsonType[0])):
		return "an " + jsonType
	}
	return "a " + jsonType
}

// count writes n things.
func count(n int, thing string) string {
	if n == 1 {
		return "1 " + thing
	}
	return fmt.Sprintf("%d %ss", n, thing)
}

// number writes a limit the way it stands in the schema, as far as that can be known.
func number(r *big.Rat) string {
	if r.IsInt() {
		return r.RatString()
	}
	f, _ := r.Float64()
	return fmt.Sprint(f)
}

// value writes a JSON value, shortened.
func value(v any) string {
	b, err := json.Marshal(v)
	if err != nil {
		return "the schema's value"
	}
	return clip(string(b), 64)
}

// list writes JSON values.
func list(values []any) string {
	texts := make([]string, len(values))
	for i, v := range values {
		if s, ok := v.(string); ok {
			texts[i] = clip(s, 64)
			continue
		}
		texts[i] = value(v)
	}
	return strings.Join(texts, ", ")
}

// pointer writes a path as a JSON pointer.
func pointer(tokens []string) string {
	var b strings.Builder
	for _, t := range tokens {
		b.WriteByte('/')
		b.WriteString(strings.NewReplacer("~", "~0", "/", "~1").Replace(t))
	}
	return b.String()
}

// dotted writes a path as people do: .lines[3].amount
func dotted(tokens []string) string {
	var b strings.Builder
	for _, t := range tokens {
		if t != "" && strings.Trim(t, "0123456789") == "" {
			b.WriteString("[" + t + "]")
			continue
		}
		b.WriteByte('.')
		b.WriteString(clip(t, 64))
	}
	return b.String()
}
