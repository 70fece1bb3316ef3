package main

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/tallywire/tallywire/gateway/auth"
)

// tokenCommand mints a token.
type tokenCommand struct {
	AuthSecret   string `required:"" placeholder:"SECRET" help:"Secret of the gateways; best given as TALLYWIRE_AUTH_SECRET."`
	AuthIssuer   string `placeholder:"ISS" default:"tallywire" help:"Issuer (default ${default})."`
	AuthAudience string `placeholder:"AUD" default:"tallywire" help:"Audience (default ${default})."`

	AdminAudience string `placeholder:"AUD" default:"tallywire-admin" help:"Audience of the admin API, which --admin adds (default ${default})."`

	User string        `required:"" placeholder:"USER" help:"Whom the token speaks for."`
	Name string        `placeholder:"NAME" help:"What to call the user in front of others."`
	ID   string        `name:"id" placeholder:"ID" help:"Id to revoke the token by (default: a random one)."`
	TTL  time.Duration `name:"ttl" placeholder:"DURATION" default:"1h" help:"How long the token is good (default ${default})."`

	Subscribe []string `placeholder:"PATTERN" help:"Channels to follow, as 'jobs:*' or 'user:$$user'."`
	Publish   []string `placeholder:"PATTERN" help:"Channels to publish to."`
	Presence  []string `placeholder:"PATTERN" help:"Channels to be present in."`
	History   []string `placeholder:"PATTERN" help:"Channels to read the past of; whoever may follow a channel may that too."`
	Edit      []string `placeholder:"PATTERN" help:"Channels whose state may be changed."`
	Admin     bool     `help:"Allow the admin API."`
}

// Run prints the token.
func (c *tokenCommand) Run(_ context.Context, r *run) error {
	if err := errors.Join(r.sources.Problems()...); err != nil {
		return usageError{err}
	}
	var more []string
	if c.Admin {
		more = []string{c.AdminAudience}
	}
	token, err := auth.Mint([]byte(c.AuthSecret), auth.Claims{
		Issuer: c.AuthIssuer, Audience: c.AuthAudience, MoreAudiences: more, User: c.User, Name: c.Name, ID: c.ID,
		Permissions: auth.Permissions{
			Subscribe: c.Subscribe, Publish: c.Publish, Presence: c.Presence, History: c.History, Edit: c.Edit, Admin: c.Admin,
		},
	}, c.TTL)
	if err != nil {
		return usageError{err}
	}
	if auth.WeakSecret(c.AuthSecret) {
		fmt.Fprintf(r.stderr, "tallywire token: the secret is weak: whoever has the token can guess it; use %d bytes or more\n", auth.MinSecretBytes)
	}
	_, err = fmt.Fprintln(r.stdout, token)
	return err
}
