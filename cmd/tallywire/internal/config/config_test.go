package config_test

import (
	"bytes"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/alecthomas/kong"
	"github.com/stretchr/testify/require"

	"github.com/tallywire/tallywire/cmd/tallywire/internal/config"
	"github.com/tallywire/tallywire/namespace"
)

// load parses settings as serve does.
func load(t *testing.T, environ []string, file string, args ...string) (*config.Serve, *config.Sources, []*kong.Flag, error) {
	t.Helper()
	if file != "" {
		path := filepath.Join(t.TempDir(), "tallywire.yaml")
		require.NoError(t, os.WriteFile(path, []byte(file), 0o600))
		args = append(args, "--config", path)
	}
	sources := config.NewSources(environ)
	serve := &config.Serve{}
	parser, err := kong.New(serve, kong.Resolvers(sources), kong.Exit(func(int) {}))
	require.NoError(t, err)
	sources.Settings(parser.Model.Flags)
	if _, err = parser.Parse(args); err != nil {
		return nil, nil, nil, err
	}
	var names []string
	for _, f := range parser.Model.Flags {
		names = append(names, f.Name)
	}
	sources.CheckEnviron(names)
	sources.Fill(serve)
	serve.Complete()
	problems := sources.Problems()
	if len(problems) == 0 {
		problems = serve.Validate(sources)
	}
	return serve, sources, parser.Model.Flags, errors.Join(problems...)
}

// TestPrecedence sets one setting of each kind in all places that could be.
func TestPrecedence(t *testing.T) {
	for _, c := range []struct {
		flag, env, file bool
		want            string
	}{
		{false, false, false, "default"},
		{false, false, true, "file"},
		{false, true, false, "env"},
		{false, true, true, "env"},
		{true, false, false, "flag"},
		{true, false, true, "flag"},
		{true, true, false, "flag"},
		{true, true, true, "flag"},
	} {
		var environ, args []string
		file := "insecure: true\n"
		if c.file {
			file += "ping: 11s\nmax-message: 1101\nstrict: true\nallowed-hosts: [file.example, two.example]\ngateway-id: file\n"
		}
		if c.env {
			environ = []string{
				"TALLYWIRE_PING=12s", "TALLYWIRE_MAX_MESSAGE=1202", "TALLYWIRE_STRICT=true", "TALLYWIRE_ALLOWED_HOSTS=env.example,two.example",
				"TALLYWIRE_GATEWAY_ID=env", "OTHER=1",
			}
		}
		if c.flag {
			args = []string{
				"--ping", "13s", "--max-message", "1303", "--no-strict", "--allowed-hosts", "flag.example,two.example", "--gateway-id", "flag",
			}
		}
		s, from, _, err := load(t, environ, file, args...)
		require.NoError(t, err)
		want := map[string]config.Serve{
			"default": {Ping: 25 * time.Second, MaxMessage: 73728},
			"file":    {Ping: 11 * time.Second, MaxMessage: 1101, Strict: true, GatewayID: "file", AllowedHosts: []string{"file.example", "two.example"}},
			"env":     {Ping: 12 * time.Second, MaxMessage: 1202, Strict: true, GatewayID: "env", AllowedHosts: []string{"env.example", "two.example"}},
			"flag":    {Ping: 13 * time.Second, MaxMessage: 1303, Strict: false, GatewayID: "flag", AllowedHosts: []string{"flag.example", "two.example"}},
		}[c.want]
		got := config.Serve{Ping: s.Ping, MaxMessage: s.MaxMessage, Strict: s.Strict, GatewayID: s.GatewayID, AllowedHosts: s.AllowedHosts}
		require.Equal(t, want, got, "%+v", c)
		origin := from.From("ping")
		switch c.want {
		case "file":
			require.Contains(t, origin, "tallywire.yaml:2")
		case "env":
			require.Equal(t, "TALLYWIRE_PING", origin)
		default:
			require.Equal(t, c.want, origin)
		}
	}
}

func TestWrongFiles(t *testing.T) {
	for name, c := range map[string]struct{ file, says string }{
		"unknown key":           {"listne: :1", "tallywire.yaml:1: listne: unknown key, did you mean listen?"},
		"underscores":           {"max_message: 5000", "max_message: unknown key, did you mean max-message?"},
		"far from any":          {"colour: red", "colour: unknown key"},
		"no setting":            {"print-config: true", "print-config: unknown key"},
		"twice":                 {"ping: 5s\nping: 6s", ":2: ping: is there twice"},
		"number":                {"max-message: many", `max-message: must be a whole number, is "many" (from `},
		"duration":              {"ping: 5", `ping: must be a duration`},
		"bool":                  {"strict: yes", `strict: must be true or false, is "yes"`},
		"list for one":          {"ping: [5s]", "ping: must be one value, is a list"},
		"mapping":               {"ping: {a: 1}", "ping: must be a single value or a list"},
		"list of lists":         {"allowed-hosts: [[a]]", "allowed-hosts: an item must be a single value"},
		"range, with line":      {"insecure: true\nmax-frame: 1", "max-frame: must be between 4096 and 1048576, is 1 (from "},
		"not a mapping":         {"- a", "the file: must be a mapping"},
		"no YAML":               {"a: [", "config: "},
		"two documents":         {"ping: 5s\n---\nping: 6s", "one YAML document"},
		"namespace key":         {"namespaces: {jobs: {maxlne: 5}}", "namespaces.jobs.maxlne: unknown key, did you mean maxlen?"},
		"namespace name":        {"namespaces: {'a b': {maxlen: 5}}", "namespaces.a b: must be the beginning"},
		"namespace value":       {"namespaces: {jobs: {maxlen: 0}}", "namespaces.jobs.maxlen: must be at least 1, is 0"},
		"namespace ttl":         {"namespaces: {jobs: {ttl: 5}}", "namespaces.jobs.ttl: must be a duration"},
		"namespace short ttl":   {"namespaces: {jobs: {ttl: 5ms}}", "namespaces.jobs.ttl: must be at least 1s, is 5ms"},
		"namespace delivery":    {"namespaces: {jobs: {delivery: some}}", `namespaces.jobs.delivery: must be all or latest, is "some"`},
		"namespace ack":         {"namespaces: {jobs: {ack: never}}", "namespaces.jobs.ack: must be stored or replicated"},
		"namespace grace":       {"namespaces: {jobs: {grace: 2h}}", "grace: must be between 0 and 1h, is 2h0m0s (from /"},
		"namespace types":       {"namespaces: {jobs: {types: job.*}}", "namespaces.jobs.types: must be a list"},
		"namespace type":        {"namespaces: {jobs: {types: ['*.x']}}", "namespaces.jobs.types: an item"},
		"namespaces, no names":  {"namespaces: [jobs]", "namespaces: must be a mapping"},
		"namespace, no options": {"namespaces: {jobs: 5}", "namespaces.jobs: must be a mapping"},
	} {
		t.Run(name, func(t *testing.T) {
			_, _, _, err := load(t, nil, c.file)
			require.ErrorContains(t, err, c.says)
		})
	}
	t.Run("all at once", func(t *testing.T) {
		_, _, _, err := load(t, []string{"TALLYWIRE_PNG=1"}, "listne: a\nnamespaces: {jobs: {maxlen: x}}\nping: 5")
		require.Len(t, strings.Split(err.Error(), "\n"), 4)
	})
	t.Run("too large", func(t *testing.T) {
		_, _, _, err := load(t, nil, "# "+strings.Repeat("x", 1<<20))
		require.ErrorContains(t, err, "larger than")
	})
}

func TestNamespaces(t *testing.T) {
	s, _, _, err := load(t, nil, `
insecure: true
namespaces:
  '*': {ttl: 2h}
  jobs: {maxlen: 10, delivery: latest, flush: 50ms, ack: replicated, types: [job.*, error.raised], dedupe: 1m, grace: 3s}
  jobs:eu: &eu {maxlen: 20}
  jobs:us: *eu
`)
	require.NoError(t, err)
	table, err := s.Table()
	require.NoError(t, err)
	require.Equal(t, 2*time.Hour, table.For("other:1").TTL)
	want := *table.For("jobs:1") // with the defaults of what the file does not set
	want.MaxLen, want.TTL, want.Dedupe, want.Delivery = 10, 2*time.Hour, time.Minute, namespace.DeliverLatest
	want.Grace = 3 * time.Second
	want.Flush, want.Ack, want.Types = 50*time.Millisecond, namespace.AckReplicated, []string{"job.*", "error.raised"}
	require.Equal(t, &want, table.For("jobs:1"))
	require.EqualValues(t, 20, table.For("jobs:us:3").MaxLen)
	require.Equal(t, namespace.DeliverLatest, table.For("jobs:eu:3").Delivery)

	_, _, _, err = load(t, nil, "")
	require.ErrorContains(t, err, "no key", "an empty configuration does not let everybody in")
}

// TestPrintedConfigLoads: what is printed sets the same, as far as it holds no secret.
func TestPrintedConfigLoads(t *testing.T) {
	secret := strings.Repeat("s3cret", 6)
	environ := []string{"TALLYWIRE_REDIS=redis://user:hush@127.0.0.1:6379/2", "TALLYWIRE_AUTH_SECRET=" + secret}
	s, from, flags, err := load(t, environ, "ping: 10s\nallowed-hosts: [a.example]\nnamespaces: {jobs: {maxlen: 7, types: [job.*]}}", "--max-frame", "8192")
	require.NoError(t, err)
	var out bytes.Buffer
	require.NoError(t, config.Print(&out, s, flags, from))
	text := out.String()
	require.NotContains(t, text, secret)
	require.NotContains(t, text, "hush")
	require.Contains(t, text, "auth-secret: '[redacted]' # TALLYWIRE_AUTH_SECRET\n")
	require.Contains(t, text, "max-frame: 8192 # flag\n")
	require.Contains(t, text, "drain-window: 5s # default\n")
	require.Regexp(t, `(?m)^ping: 10s # .*tallywire.yaml:1$`, text)
	require.Regexp(t, `(?m)^redis: redis://user:\*\*\*@127.0.0.1:6379\?db=2 # TALLYWIRE_REDIS$`, text)

	again, _, _, err := load(t, nil, text)
	require.NoError(t, err)
	require.Equal(t, s.Ping, again.Ping)
	require.Equal(t, s.AllowedHosts, again.AllowedHosts)
	require.Equal(t, s.MaxFrame, again.MaxFrame)
	require.Empty(t, again.Schemas, "no file is no file, and not the working directory")
	require.Empty(t, again.TLSCert)
	first, err := s.Table()
	require.NoError(t, err)
	second, err := again.Table()
	require.NoError(t, err)
	require.Equal(t, first.For("jobs:1"), second.For("jobs:1"))
	require.Equal(t, first.For("x"), second.For("x"))
}

func TestDemoDefaults(t *testing.T) {
	s, _, _, err := load(t, nil, "namespaces: {metrics: {maxlen: 7}}", "--demo")
	require.NoError(t, err)
	require.Equal(t, "127.0.0.1:8080", s.Listen, "nobody else reaches a demonstration")
	require.Equal(t, "console", s.LogFormat)
	table, err := s.Table()
	require.NoError(t, err)
	require.EqualValues(t, 7, table.For("metrics:x").MaxLen, "the file goes before what the demonstration likes")
	require.Equal(t, namespace.DeliverLatest, table.For("system:status").Delivery)

	s, _, _, err = load(t, nil, "", "--demo", "--listen", ":9000")
	require.NoError(t, err)
	require.Equal(t, ":9000", s.Listen)
	s, _, _, err = load(t, nil, "", "--insecure")
	require.NoError(t, err)
	require.Equal(t, ":8080", s.Listen)
}
