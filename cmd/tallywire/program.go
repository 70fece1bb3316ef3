package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"strings"

	"github.com/alecthomas/kong"

	"github.com/tallywire/tallywire/bench"
	"github.com/tallywire/tallywire/cmd/tallywire/internal/config"
)

// Exit statuses.
const (
	exitDone = iota
	exitFailed
	exitUsage
)

// Program is the whole program without the process around it. Its fields are not changed while it runs.
type Program struct {
	// Environ holds variables in the form of os.Environ.
	Environ []string
	// Listening, where set, is told the addresses of serve's listeners; admin may be nil.
	Listening func(public, admin net.Addr)
	// Force, where set, is closed when a program that is ending is not to wait for its clients any more.
	Force <-chan struct{}
	// Reload, where set, returns what tells serve to look at the files of its certificate at once. It is called
	// only where there are any.
	Reload func() <-chan os.Signal
}

// commands is the command line.
type commands struct {
	Serve   serveCommand   `cmd:"" help:"Run a gateway."`
	Publish publishCommand `cmd:"" help:"Publish an event."`
	Tail    tailCommand    `cmd:"" help:"Follow channels."`
	Token   tokenCommand   `cmd:"" help:"Make a token."`
	Doctor  doctorCommand  `cmd:"" help:"Examine a Redis."`

	Gateways gatewaysCommand `cmd:"" help:"List the gateways."`
	Channels channelsCommand `cmd:"" help:"List the channels."`
	Presence presenceCommand `cmd:"" help:"Tell who is in a channel, or where a user is connected."`
	Explain  explainCommand  `cmd:"" help:"Tell what became of an event for a user."`
	Top      topCommand      `cmd:"" help:"Watch the cluster."`

	Healthcheck healthcheckCommand `cmd:"" help:"Ask the gateway of this machine whether it is well."`

	Schema  schemaCommand  `cmd:"" help:"Look at event types and check events."`
	Bench   bench.Command  `cmd:"" help:"Measure a gateway under load."`
	Version versionCommand `cmd:"" help:"Print the version."`

	BenchFloor bench.FloorCommand `cmd:"" hidden:"" help:"Serve what bench compares with; bench starts it."`
}

// run is what a command has to work with.
type run struct {
	program        *Program
	kong           *kong.Context
	sources        *config.Sources
	flags          []string // the names of all commands' flags
	stdin          io.Reader
	stdout, stderr io.Writer
}

// usageError is a wrong use of the command line: the exit status is 2.
type usageError struct{ error }

func (e usageError) Unwrap() error { return e.error }

func usagef(format string, args ...any) error { return usageError{fmt.Errorf(format, args...)} }

// helpShown ends a parse that has printed help.
type helpShown struct{}

// Run runs the command that args name until it is done or ctx ends, and returns the exit status.
func (p *Program) Run(ctx context.Context, args []string, stdin io.Reader, stdout, stderr io.Writer) int {
	r := &run{program: p, sources: config.NewSources(p.Environ), stdin: stdin, stdout: stdout, stderr: stderr}
	command, err := r.parse(args)
	switch {
	case err != nil:
	case command == nil:
		return exitDone // help was shown
	default:
		r.kong.BindTo(ctx, (*context.Context)(nil))
		err = r.kong.Run(r)
	}
	return r.report(err)
}

// parse reads the command line. It returns nil where help was asked for.
func (r *run) parse(args []string) (c *commands, err error) {
	defer func() {
		if v := recover(); v != nil {
			if _, ok := v.(helpShown); !ok {
				panic(v)
			}
			c, err = nil, nil
		}
	}()
	c = &commands{}
	parser, err := kong.New(c,
		kong.Name("tallywire"),
		kong.Description("Realtime events for reconciliation platforms, over Redis.\n\n"+
			"Every flag is also an environment variable: --auth-secret is TALLYWIRE_AUTH_SECRET."),
		kong.Writers(r.stdout, r.stderr),
		kong.Exit(func(int) { panic(helpShown{}) }),
		kong.Resolvers(r.sources),
		kong.ConfigureHelp(kong.HelpOptions{Compact: true, FlagsLast: true}),
		kong.ExplicitGroups(groups),
	)
	if err != nil {
		return nil, fmt.Errorf("command line: %w", err)
	}
	for _, node := range parser.Model.Children {
		if node.Name == "serve" {
			r.sources.Settings(node.Flags)
		}
	}
	if err := kong.Visit(parser.Model.Node, func(node kong.Visitable, next kong.Next) error {
		// The environment is looked at by r.sources: kong would let the file go before it.
		if flag, ok := node.(*kong.Flag); ok && flag.Name != "help" {
			r.flags = append(r.flags, flag.Name)
		}
		return next(nil)
	}); err != nil {
		return nil, fmt.Errorf("command line: %w", err)
	}
	if len(args) == 0 {
		args = []string{"--help"}
	}
	r.kong, err = parser.Parse(args)
	if err != nil {
		var parseError *kong.ParseError
		if errors.As(err, &parseError) {
			r.kong = parseError.Context
		}
		return nil, usageError{err}
	}
	return c, nil
}

// report tells an error and returns the exit status.
func (r *run) report(err error) int {
	if err == nil {
		return exitDone
	}
	name := "tallywire"
	if r.kong != nil && r.kong.Selected() != nil {
		name = r.kong.Selected().FullPath()
	}
	for line := range strings.SplitSeq(err.Error(), "\n") {
		fmt.Fprintf(r.stderr, "%s: %s\n", name, line)
	}
	var usage usageError
	if errors.As(err, &usage) {
		fmt.Fprintf(r.stderr, "Run \"%s --help\" for usage.\n", name)
		return exitUsage
	}
	return exitFailed
}

// groups order the flags in the help.
var groups = []kong.Group{
	{Key: "mode", Title: "Without tokens:"},
	{Key: "network", Title: "Network:"},
	{Key: "store", Title: "Store:"},
	{Key: "events", Title: "Events:"},
	{Key: "auth", Title: "Tokens:"},
	{Key: "gateway", Title: "Gateway:"},
	{Key: "limits", Title: "Limits:"},
	{Key: "logs", Title: "Logs:"},
}
