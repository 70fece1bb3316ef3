package goclient_test

import (
	"context"
	"fmt"
	"os"
	"os/signal"

	"github.com/tallywire/tallywire/goclient"
)

// Follows a channel until the program is interrupted.
func Example() {
	client, err := goclient.New(goclient.Options{URL: "http://127.0.0.1:8080", Token: os.Getenv("TALLYWIRE_TOKEN")})
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return
	}
	_, err = client.Subscribe("jobs:42", goclient.SubscribeOptions{Handler: goclient.Handler{
		OnEvent: func(_ context.Context, e goclient.Event) { fmt.Println(e.Cursor, string(e.Raw)) },
		OnReset: func(_ context.Context, r goclient.Reset) { fmt.Println("reload:", r.Reason, "go on after", r.Cursor) },
	}})
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return
	}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	if err := client.Run(ctx); err != nil {
		fmt.Fprintln(os.Stderr, err)
	}
}
