package events

import (
	"encoding/json"
	"errors"
	"fmt"
	"math/big"
	"slices"
	"strings"

	"github.com/santhosh-tekuri/jsonschema/v6"
	"github.com/santhosh-tekuri/jsonschema/v6/kind"
	"golang.org/x/text/language"
	"golang.org/x/text/message"
)

// problem is the one thing told about an invalid value.
type problem struct {
	location  []string // the path to the value meant
	text      string   // what is wanted of it
	wrongType bool     // whether it is another type that is wanted
}

// dataError puts a validation error of an event's data into words.
func dataError(err error) error {
	var details *jsonschema.ValidationError
	if !errors.As(err, &details) {
		return invalid("data", "does not fit its schema")
	}
	p := worst(details)
	return &InvalidError{
		Path:    "/data" + clip(pointer(p.location), MaxMessageBytes),
		Message: clip("data"+dotted(p.location)+": "+p.text, MaxMessageBytes),
	}
}

// worst picks what to tell of a tree of errors: always the same for the same value, whatever order the
// validator went in. Alternatives are judged by the one that the value comes closest to.
func worst(e *jsonschema.ValidationError) problem {
	if len(e.Causes) == 0 {
		return describe(e)
	}
	less := problem.before
	switch e.ErrorKind.(type) {
	case *kind.AnyOf, *kind.OneOf:
		less = problem.closer
	case *kind.PropertyNames, *kind.Not, *kind.Contains:
		return describe(e)
	}
	best := worst(e.Causes[0])
	for _, c := range e.Causes[1:] {
		if p := worst(c); less(p, best) {
			best = p
		}
	}
	return best
}

// before orders problems by place and text.
func (p problem) before(q problem) bool {
	at, other := pointer(p.location), pointer(q.location)
	return at < other || at == other && p.text < q.text
}

// closer orders problems of alternatives: the one that got further into the value first, and of two at
// the same place the one that at least has the type right.
func (p problem) closer(q problem) bool {
	switch {
	case len(p.location) != len(q.location):
		return len(p.location) > len(q.location)
	case p.wrongType != q.wrongType:
		return q.wrongType
	}
	return p.before(q)
}

var english = message.NewPrinter(language.English)

// describe puts one error into words.
func describe(e *jsonschema.ValidationError) problem {
	p := problem{location: e.InstanceLocation}
	switch k := e.ErrorKind.(type) {
	case *kind.Required:
		p.location = within(e, k.Missing)
		p.text = "is required"
	case *kind.AdditionalProperties:
		p.location = within(e, k.Properties)
		p.text = "is not allowed"
	case *kind.FalseSchema:
		p.text = "is not allowed"
	case *kind.Type:
		p.text, p.wrongType = "must be "+article(strings.Join(k.Want, " or "))+", is "+article(k.Got), true
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
		p.location = within(e, k.Missing)
		p.text = "is required beside " + clip(k.Prop, 64)
	default:
		p.text = e.ErrorKind.LocalizedString(english)
	}
	return p
}

// within returns the path to the first of names, in alphabetical order, in the value that e is about.
func within(e *jsonschema.ValidationError, names []string) []string {
	return append(slices.Clone(e.InstanceLocation), slices.Min(names))
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
