package main

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"net/url"
	"os"
	"strconv"
	"time"

	"golang.org/x/term"

	"github.com/tallywire/tallywire/broker"
	"github.com/tallywire/tallywire/cmd/tallywire/internal/config"
	"github.com/tallywire/tallywire/cmd/tallywire/internal/operate"
	"github.com/tallywire/tallywire/events"
)

// adminFlags say how to reach the admin API.
type adminFlags struct {
	AdminURL   string `name:"admin-url" placeholder:"URL" default:"http://127.0.0.1:9090" help:"The admin listener of any gateway (default ${default})."`
	AdminToken string `name:"admin-token" aliases:"token" placeholder:"TOKEN" help:"Token for the admin API, from 'tallywire token --admin'; best given as TALLYWIRE_ADMIN_TOKEN."`
	config.Trust
}

// client returns a client, or what is wrong with the flags.
func (f *adminFlags) client(r *run) (*operate.Client, error) {
	if err := errors.Join(r.sources.Problems()...); err != nil {
		return nil, usageError{err}
	}
	trust, err := f.TLSConfig()
	if err != nil {
		return nil, usageError{err}
	}
	c, err := operate.NewClient(f.AdminURL, f.AdminToken, trust)
	if err != nil {
		return nil, usageError{err}
	}
	return c, nil
}

// asking is a command that asks once and prints the answer.
type asking struct {
	adminFlags
	JSON bool `name:"json" help:"Print the answer as it came, for programs."`
}

// ask asks for a path and prints the answer: as JSON, or by show.
func (c *asking) ask(ctx context.Context, r *run, query url.Values, show func(json.RawMessage) error, parts ...string) error {
	client, err := c.client(r)
	if err != nil {
		return err
	}
	defer client.Close()
	raw, err := client.Get(ctx, query, parts...)
	if err != nil {
		return err
	}
	if c.JSON {
		return operate.JSON(r.stdout, raw)
	}
	return show(raw)
}

// pageFlags ask for a part of a list.
type pageFlags struct {
	After string `placeholder:"PLACE" help:"Go on after the page before."`
	Limit int    `placeholder:"N" default:"100" help:"Length of the page, at most 500 (default ${default})."`
}

func (f pageFlags) query(more url.Values) url.Values {
	if more == nil {
		more = url.Values{}
	}
	if f.After != "" {
		more.Set("after", f.After)
	}
	more.Set("limit", strconv.Itoa(f.Limit))
	return more
}

func (f pageFlags) check() error {
	if f.Limit < 1 || f.Limit > 500 {
		return usagef("limit: must be between 1 and 500, is %d", f.Limit)
	}
	return nil
}

// gatewaysCommand lists the gateways.
type gatewaysCommand struct {
	asking `embed:""`
}

// Run prints the gateways, those that are missing too.
func (c *gatewaysCommand) Run(ctx context.Context, r *run) error {
	return c.ask(ctx, r, nil, func(raw json.RawMessage) error { return operate.Gateways(r.stdout, r.stderr, raw) }, "gateways")
}

// channelsCommand lists the channels.
type channelsCommand struct {
	asking    `embed:""`
	pageFlags `embed:""`
	Prefix    string `placeholder:"PREFIX" help:"Only channels whose names begin so, as jobs:."`
}

// Run prints a page of the channels that are open at any gateway.
func (c *channelsCommand) Run(ctx context.Context, r *run) error {
	if err := c.check(); err != nil {
		return err
	}
	query := c.query(nil)
	if c.Prefix != "" {
		query.Set("prefix", c.Prefix)
	}
	return c.ask(ctx, r, query, func(raw json.RawMessage) error {
		return operate.Channels(r.stdout, r.stderr, raw, time.Now())
	}, "channels")
}

// presenceCommand tells who is in a channel, or where a user is.
type presenceCommand struct {
	asking    `embed:""`
	pageFlags `embed:""`
	Channel   string `arg:"" optional:"" help:"The channel whose members to list."`
	User      string `placeholder:"USER" help:"The user whose sessions to list, on all gateways."`
}

// Run prints the members of a channel, or the sessions of a user.
func (c *presenceCommand) Run(ctx context.Context, r *run) error {
	switch {
	case (c.Channel == "") == (c.User == ""):
		return usagef("channel, user: name a channel, or a user with --user")
	case c.User != "":
		return c.ask(ctx, r, nil, func(raw json.RawMessage) error {
			return operate.Sessions(r.stdout, r.stderr, raw, time.Now())
		}, "users", c.User, "sessions")
	}
	if err := events.ValidateChannel(c.Channel); err != nil {
		return usageError{err}
	}
	if err := c.check(); err != nil {
		return err
	}
	return c.ask(ctx, r, c.query(nil), func(raw json.RawMessage) error {
		return operate.Members(r.stdout, r.stderr, raw, time.Now())
	}, "channels", c.Channel, "members")
}

// explainCommand says what became of an event.
type explainCommand struct {
	asking  `embed:""`
	User    string `required:"" placeholder:"USER" help:"Who should have got it."`
	Channel string `required:"" placeholder:"CHANNEL" help:"The event's channel."`
	Cursor  string `required:"" placeholder:"CURSOR" help:"The event's cursor, as 41-1795514041000000."`
}

// Run prints what became of an event for a user.
func (c *explainCommand) Run(ctx context.Context, r *run) error {
	if err := events.ValidateChannel(c.Channel); err != nil {
		return usageError{err}
	}
	if cursor, err := broker.ParseCursor(c.Cursor); err != nil || cursor.IsZero() {
		return usagef("cursor: must be <offset>-<stamp>")
	}
	query := url.Values{"user": {c.User}, "channel": {c.Channel}, "cursor": {c.Cursor}}
	return c.ask(ctx, r, query, func(raw json.RawMessage) error {
		return operate.Explanation(r.stdout, r.stderr, raw)
	}, "explain")
}

// topCommand shows the cluster as it lives.
type topCommand struct {
	adminFlags `embed:""`
	Interval   time.Duration `placeholder:"DURATION" default:"2s" help:"Time between two looks (default ${default})."`
	Once       bool          `help:"Look once and print, as it does where standard output is no terminal."`
}

// Help adds to the help of the flags.
func (*topCommand) Help() string { return "q ends it." }

// Run shows gateways, and the channels with the most subscribers, until q is typed.
func (c *topCommand) Run(ctx context.Context, r *run) error {
	if c.Interval < 250*time.Millisecond || c.Interval > time.Hour {
		return usagef("interval: must be between 250ms and 1h, is %s", c.Interval)
	}
	client, err := c.client(r)
	if err != nil {
		return err
	}
	defer client.Close()
	out, isFile := r.stdout.(*os.File)
	if c.Once || !isFile || !term.IsTerminal(int(out.Fd())) {
		return operate.Frame(ctx, client, r.stdout)
	}
	ctx, stop := context.WithCancel(ctx)
	defer stop()
	screen := operate.Screen{Out: out, Size: func() (int, int) {
		columns, lines, err := term.GetSize(int(out.Fd()))
		if err != nil || columns <= 0 || lines <= 0 { // a terminal that nobody has told its size says 0
			return 80, 24
		}
		return columns, lines
	}}
	if in, ok := r.stdin.(*os.File); ok && term.IsTerminal(int(in.Fd())) {
		state, err := term.MakeRaw(int(in.Fd()))
		if err == nil {
			defer func() { _ = term.Restore(int(in.Fd()), state) }()
			screen.Keys = keys(ctx, in)
		}
	}
	return operate.Top(ctx, client, screen, c.Interval)
}

// keys brings what is typed. The goroutine ends with the process: nothing takes a read of a terminal back.
func keys(ctx context.Context, in io.Reader) <-chan byte {
	out := make(chan byte)
	go func() {
		var b [1]byte
		for {
			if n, err := in.Read(b[:]); err != nil || n == 0 {
				return
			}
			select {
			case out <- b[0]:
			case <-ctx.Done():
				return
			}
		}
	}()
	return out
}
