package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"

	"github.com/tallywire/tallywire/cmd/tallywire/internal/config"
	"github.com/tallywire/tallywire/cmd/tallywire/internal/doctor"
	"github.com/tallywire/tallywire/internal/redisconn"
)

// doctorCommand examines a Redis.
type doctorCommand struct {
	Config string `meta:"" type:"path" placeholder:"FILE" help:"The gateways' settings: their namespaces are part of the function library."`
	Redis  string `placeholder:"URL" help:"The Redis (or in the file of --config)."`
	config.RedisAccess
	RedisPrefix string `placeholder:"PREFIX" default:"tw" help:"Prefix of all keys (default ${default})."`
	Load        bool   `help:"Load the function library where it is missing, older or different."`
	JSON        bool   `name:"json" help:"Print one JSON line a finding."`
}

// errUnfit says that a check failed; it has been printed.
var errUnfit = errors.New("not fit: see what failed above")

// Run prints what it finds.
func (c *doctorCommand) Run(ctx context.Context, r *run) error {
	var settings config.Serve
	r.sources.Fill(&settings)
	if err := errors.Join(r.sources.Problems()...); err != nil {
		return usageError{err}
	}
	if c.Redis == "" {
		return usagef("redis: give the address of a Redis, as --redis redis://127.0.0.1:6379")
	}
	target, err := c.Target(c.Redis)
	if err != nil {
		return usageError{err}
	}
	table, err := settings.Table()
	if err != nil {
		return usageError{err}
	}
	redisconn.LogTo(func(string) {}) // the findings say it
	fit := doctor.Examine(ctx, doctor.Options{
		Target: target, Prefix: c.RedisPrefix, Namespaces: table, Load: c.Load,
	}, func(f doctor.Finding) {
		if c.JSON {
			_ = json.NewEncoder(r.stdout).Encode(f)
			return
		}
		fmt.Fprintf(r.stdout, "%-5s %-15s %s\n", f.Status, f.Check, f.Detail)
		if f.Advice != "" {
			fmt.Fprintf(r.stdout, "%21s → %s\n", "", f.Advice)
		}
	})
	if !fit {
		return errUnfit
	}
	return nil
}
