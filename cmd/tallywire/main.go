// Command tallywire is the gateway and its tools: serve runs a gateway, the others publish, follow
// channels, make tokens, check schemas and look after Redis. `tallywire --help` tells more.
package main

import (
	"context"
	"os"
	"os/signal"
	"syscall"
)

func main() {
	ctx, cancel := context.WithCancel(context.Background())
	force := make(chan struct{})
	signals := make(chan os.Signal, 3)
	signal.Notify(signals, os.Interrupt, syscall.SIGTERM)
	go func() {
		<-signals
		cancel() // ends in good order
		<-signals
		close(force) // whoever asks twice does not want to wait
		<-signals
		os.Exit(exitFailed)
	}()
	p := Program{Environ: os.Environ(), Force: force, Reload: func() <-chan os.Signal {
		reload := make(chan os.Signal, 1)
		signal.Notify(reload, syscall.SIGHUP)
		return reload
	}}
	status := p.Run(ctx, os.Args[1:], os.Stdin, os.Stdout, os.Stderr)
	cancel()
	os.Exit(status)
}
