package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"strings"
	"time"

	"github.com/rs/zerolog"

	"github.com/tallywire/tallywire/cmd/tallywire/internal/config"
	"github.com/tallywire/tallywire/cmd/tallywire/internal/logs"
	"github.com/tallywire/tallywire/cmd/tallywire/internal/server"
	"github.com/tallywire/tallywire/gateway/auth"
)

// serveCommand runs a gateway.
type serveCommand struct {
	config.Serve `embed:""`
}

// Help adds to the help of the flags.
func (*serveCommand) Help() string {
	return "Settings come from flags, TALLYWIRE_ variables, the file of --config and defaults, the first that has one. " +
		"Namespaces are set in the file only. --print-config shows what is in effect and why.\n\n" +
		"With --tls-cert the certificate's files are looked at every few seconds, and at once on SIGHUP.\n\n" +
		"The first SIGTERM or SIGINT drains: the gateway is no longer ready, takes no new connections and moves its clients away. " +
		"The second closes the rest at once, the third ends the process."
}

// Run serves until ctx ends.
func (c *serveCommand) Run(ctx context.Context, r *run) error {
	r.sources.CheckEnviron(r.flags)
	r.sources.Fill(&c.Serve)
	c.Complete()
	problems := r.sources.Problems()
	if len(problems) == 0 {
		problems = c.Validate(r.sources)
	}
	if err := errors.Join(problems...); err != nil {
		return usageError{err}
	}
	if c.PrintConfig {
		return config.Print(r.stdout, &c.Serve, r.kong.Selected().Flags, r.sources)
	}
	log, level, err := c.logger(r.stderr)
	if err != nil {
		return err
	}
	var s *server.Server
	listening := func(public, admin net.Addr) {
		c.banner(r.stderr, public, admin, s.AdminToken())
		if r.program.Listening != nil {
			r.program.Listening(public, admin)
		}
	}
	o := server.Options{Settings: &c.Serve, Log: log, Level: level, Listening: listening, Version: shortVersion(), Force: r.program.Force}
	if c.TLSCert != "" && r.program.Reload != nil {
		o.Reload = r.program.Reload()
	}
	s, err = server.New(o) //nolint:contextcheck // it dials nothing; Run has a context
	if err != nil {
		return err
	}
	return s.Run(ctx)
}

// logger returns the gateway's log, and what changes its level.
func (c *serveCommand) logger(stderr io.Writer) (zerolog.Logger, *logs.Switch, error) {
	level, err := config.Level(c.LogLevel)
	if err != nil {
		return zerolog.Nop(), nil, fmt.Errorf("log-level: %w", err)
	}
	out := zerolog.SyncWriter(stderr)
	if c.LogFormat == "console" {
		out = zerolog.ConsoleWriter{Out: out, TimeFormat: time.TimeOnly, NoColor: true}
	}
	log, change := logs.New(out, level)
	return log, change, nil
}

// banner says to people what the log says to programs: where the pages are, and that nothing is protected.
// adminToken is the one that opens the console of a gateway without keys.
func (c *serveCommand) banner(w io.Writer, public, admin net.Addr, adminToken string) {
	var lines []string
	if c.Demo {
		scheme := "http"
		if c.TLSCert != "" {
			scheme = "https"
		}
		lines = append(lines, "Demonstration: open "+pageURL(scheme, public)+" in a browser.")
	}
	if c.AuthSecret == "" && len(c.AuthKey) == 0 && c.AuthJWKS == "" {
		lines = append(lines,
			"NO KEY IS CONFIGURED: whoever can reach "+public.String()+" may read and publish everything.",
			"Set --auth-secret, --auth-key or --auth-jwks before anybody else uses this gateway.")
	}
	if admin != nil && adminToken != "" {
		lines = append(lines, "Console for operators: "+pageURL("http", admin)+" with the token", adminToken)
	}
	if auth.WeakSecret(c.AuthSecret) {
		lines = append(lines, fmt.Sprintf("WEAK SECRET: whoever has a token can guess it. Use %d bytes or more.", auth.MinSecretBytes))
	}
	if len(lines) == 0 {
		return
	}
	rule := strings.Repeat("=", 88)
	fmt.Fprintf(w, "%s\n  %s\n%s\n", rule, strings.Join(lines, "\n  "), rule)
}

// pageURL returns an address that a browser on this machine can open.
func pageURL(scheme string, a net.Addr) string {
	host, port, err := net.SplitHostPort(a.String())
	if err != nil {
		return a.String()
	}
	if ip := net.ParseIP(host); ip == nil || ip.IsUnspecified() {
		host = "localhost"
	}
	return scheme + "://" + net.JoinHostPort(host, port) + "/"
}
