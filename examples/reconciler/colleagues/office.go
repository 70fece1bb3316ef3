package colleagues

import (
	"context"
	"time"

	"github.com/tallywire/tallywire/examples/reconciler/reconcile"
)

// Office is where the team is seen.
type Office interface {
	// Enter makes a person present in a channel, or changes the status there.
	Enter(ctx context.Context, channel string, p Person, status Status) error
	// Leave ends it.
	Leave(ctx context.Context, channel string, p Person) error
}

// Person is one of the team.
type Person struct{ User, Name string }

// Status is what a person's presence says, in the form in which the workbench says it too.
type Status struct {
	Viewing string `json:"viewing,omitempty"` // the subject of a match
}

// Options say how a team works. Office and Publisher are required.
type Options struct {
	Office    Office
	Publisher reconcile.Publisher
	// People are who is there; nil means four.
	People []Person
	// Look is about how long somebody looks at one match; 0 means 12 seconds.
	Look time.Duration
}

func (o Options) withDefaults() Options {
	if o.People == nil {
		o.People = []Person{
			{"mara", "Mara Lindqvist"}, {"jonas", "Jonas Weber"}, {"aiko", "Aiko Tanaka"}, {"tomas", "Tomás Rivera"},
		}
	}
	if o.Look == 0 {
		o.Look = 12 * time.Second
	}
	return o
}
