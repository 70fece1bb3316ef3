package publisher_test

import (
	"context"
	"fmt"
	"os"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/tallywire/tallywire/events"
	"github.com/tallywire/tallywire/publisher"
)

// Publishes one event, and gives up after ten seconds without Redis.
func Example() {
	client := redis.NewClient(&redis.Options{Addr: "127.0.0.1:6379"})
	defer client.Close()
	p, err := publisher.New(client, "")
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return
	}
	event, err := events.New("job.progress", map[string]any{"job_id": "42", "percent": 50})
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return
	}
	event.ID, event.Source = "42.1.4", "worker-3" // the same in every repetition
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()
	cursor, duplicate, err := p.Publish(ctx, "jobs:42", event, publisher.Options{})
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return
	}
	fmt.Println(cursor, duplicate)
}
