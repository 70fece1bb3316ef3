package events_test

import (
	"encoding/json"
	"errors"
	"fmt"

	"github.com/tallywire/tallywire/events"
)

// The path of an event that arrives: one scan, one check.
func Example() {
	registry, err := events.NewRegistry(events.Options{})
	if err != nil {
		panic(err)
	}
	raw := []byte(`{"type":"job.progress","subject":"job/42","data":{"job_id":"42","percent":130}}`)

	env, err := events.Scan(raw)
	if err != nil {
		panic(err)
	}
	fmt.Println(env.Type, env.Subject)

	var invalid *events.InvalidError
	if errors.As(registry.Check(env, raw), &invalid) {
		fmt.Println(invalid.Path)
		fmt.Println(invalid.Message)
	}
	// Output:
	// job.progress job/42
	// /data/percent
	// data.percent: must be <= 100
}

func ExampleScan() {
	_, err := events.Scan([]byte(`{"id":"7","data":{}}`))
	fmt.Println(err)
	// Output: type: is required
}

func ExampleValidateChannel() {
	fmt.Println(events.ValidateChannel("jobs:42"))
	fmt.Println(events.ValidateChannel("jobs:*"))
	// Output:
	// <nil>
	// invalid channel name: '*' at byte 5, allowed are A-Z a-z 0-9 _ . : -
}

func ExampleMatchPattern() {
	fmt.Println(events.MatchPattern("jobs:*", "jobs:42", "alice"))
	fmt.Println(events.MatchPattern("user:$user", "user:alice", "alice"))
	fmt.Println(events.MatchPattern("user:$user", "user:bob", "alice"))
	// Output:
	// true
	// true
	// false
}

func ExampleEvent() {
	e, err := events.New("match.created", map[string]any{
		"match_id": "m-1007", "left_ids": []string{"bank-881"}, "right_ids": []string{"inv-2031"}, "status": "proposed",
	})
	if err != nil {
		panic(err)
	}
	e.Source, e.ID = "worker-3", "m-1007-1" // makes the publish idempotent
	b, err := json.Marshal(e)
	if err != nil {
		panic(err)
	}
	fmt.Println(string(b))
	// Output: {"id":"m-1007-1","source":"worker-3","type":"match.created","data":{"left_ids":["bank-881"],"match_id":"m-1007","right_ids":["inv-2031"],"status":"proposed"}}
}

func ExampleRegistry_Types() {
	registry, err := events.NewRegistry(events.Options{})
	if err != nil {
		panic(err)
	}
	for _, t := range registry.Types() {
		if t.Terminal {
			fmt.Println(t.Name)
		}
	}
	// Output:
	// error.raised
	// job.completed
	// job.failed
	// match.deleted
	// notification.raised
}
