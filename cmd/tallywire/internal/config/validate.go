package config

import (
	"errors"
	"fmt"
	"net"
	"net/url"
	"regexp"
	"strconv"
	"strings"
	"time"

	"github.com/rs/zerolog"

	"github.com/tallywire/tallywire/presence"
)

// problem is a setting that is wrong.
type problem struct {
	key  string
	what error
}

// Validate reports every setting that is out of range, with its name and where it came from. It is called
// after Complete.
func (s *Serve) Validate(from *Sources) []error {
	var found []problem
	check := func(key string, err error) {
		if err != nil {
			found = append(found, problem{key, err})
		}
	}
	check("listen", address(s.Listen))
	if s.AdminListen != AdminOff {
		check("admin-listen", address(s.AdminListen))
	}
	for _, host := range s.AllowedHosts {
		check("allowed-hosts", hostPattern(host))
	}
	for _, origin := range s.AllowedOrigins {
		check("allowed-origins", originPattern(origin))
	}
	check(s.check(s.Redis))
	if strings.ContainsAny(s.RedisPrefix, "{} \t\r\n*?[]") || s.RedisPrefix == "" {
		check("redis-prefix", errors.New("must be a name without braces, blanks and globs"))
	}
	if s.GatewayID != "" && !validID.MatchString(s.GatewayID) {
		check("gateway-id", errors.New("must have 1 to 64 characters of A-Z a-z 0-9 . _ -"))
	}
	if _, err := Level(s.LogLevel); err != nil {
		check("log-level", err)
	}
	if s.LogFormat != "json" && s.LogFormat != "console" {
		check("log-format", fmt.Errorf("must be json or console, is %q", clip(s.LogFormat)))
	}
	if _, err := s.Table(); err != nil {
		check(namespacesKey, err) // what only shows when options are inherited
	}
	s.validateNetwork(check)
	if s.OTLPEndpoint != "" {
		check("otlp-endpoint", webURL(s.OTLPEndpoint))
	}
	if !(s.TraceSample >= 0 && s.TraceSample <= 1) { // nor NaN
		check("trace-sample", fmt.Errorf("must be between 0 and 1, is %v", s.TraceSample))
	}
	s.validateRanges(check)
	s.validateAuth(check)
	errs := make([]error, len(found))
	for i, p := range found {
		errs[i] = fmt.Errorf("%s: %w", p.key, p.what)
		if source := from.From(p.key); source != "default" {
			errs[i] = fmt.Errorf("%w (from %s)", errs[i], source)
		}
	}
	return errs
}

// AdminOff turns the admin listener off.
const AdminOff = "off"

var validID = regexp.MustCompile(`^[A-Za-z0-9._-]{1,64}$`)

func (s *Serve) validateRanges(check func(string, error)) {
	for _, n := range []struct {
		key              string
		value, low, high int
	}{
		{"max-message", s.MaxMessage, 1 << 10, 16 << 20},
		{"max-frame", s.MaxFrame, 4 << 10, 1 << 20},
		{"max-subscriptions", s.MaxSubscriptions, 1, 100_000},
		{"max-commands", s.MaxCommands, 1, 10_000_000},
		{"max-inflight", s.MaxInflight, 1, 1_000_000},
		{"max-errors", s.MaxErrors, 1, 1_000_000},
		{"max-connections", s.MaxConnections, 0, 10_000_000},
		{"connection-rate", s.ConnectionRate, 0, 1_000_000},
		{"relay-events", s.RelayEvents, 0, 1_000_000},
		{"relay-bytes", s.RelayBytes, 0, 1 << 30},
	} {
		if n.value < n.low || n.value > n.high {
			check(n.key, fmt.Errorf("must be between %d and %d, is %d", n.low, n.high, n.value))
		}
	}
	for _, d := range []struct {
		key              string
		value, low, high time.Duration
	}{
		{"ping", s.Ping, time.Second, 10 * time.Minute},
		{"lease-ttl", s.LeaseTTL, presence.MinTTL, presence.MaxTTL},
		{"drain-wait", s.DrainWait, 0, 10 * time.Minute},
		{"max-connection-age", s.MaxConnectionAge, 0, 30 * 24 * time.Hour},
		{"drain-window", s.DrainWindow, 10 * time.Millisecond, 10 * time.Minute},
		{"write-timeout", s.WriteTimeout, 100 * time.Millisecond, 5 * time.Minute},
		{"body-timeout", s.BodyTimeout, 100 * time.Millisecond, 10 * time.Minute},
		{"connect-timeout", s.ConnectTimeout, 100 * time.Millisecond, 5 * time.Minute},
	} {
		if d.value < d.low || d.value > d.high {
			check(d.key, fmt.Errorf("must be between %s and %s, is %s", d.low, d.high, d.value))
		}
	}
}

// validateAuth asks for a key of some kind, or for the word that there shall be none.
func (s *Serve) validateAuth(check func(string, error)) {
	hasKey := s.AuthSecret != "" || len(s.AuthKey) > 0 || s.AuthJWKS != ""
	switch {
	case !hasKey && !s.Insecure && !s.Demo:
		check("auth-secret", errors.New(
			"no key to verify tokens with: set --auth-secret, --auth-key or --auth-jwks; --demo and --insecure run without any"))
	case hasKey && s.Insecure:
		check("insecure", errors.New("excludes auth-secret, auth-key and auth-jwks: either tokens are verified or everybody is let in"))
	}
	if s.AuthJWKS != "" {
		check("auth-jwks", webURL(s.AuthJWKS))
	}
	if s.AuthIssuer == "" {
		check("auth-issuer", errors.New("must not be empty"))
	}
	if s.AuthAudience == "" {
		check("auth-audience", errors.New("must not be empty"))
	}
}

func webURL(text string) error {
	u, err := url.Parse(text)
	if err != nil || u.Host == "" || u.User != nil || u.Scheme != "http" && u.Scheme != "https" {
		return errors.New("must be an http or https URL without user information")
	}
	return nil
}

// Level returns the level of a name.
func Level(name string) (zerolog.Level, error) {
	switch name {
	case "debug", "info", "warn", "error":
		return zerolog.ParseLevel(name)
	}
	return zerolog.NoLevel, fmt.Errorf("must be debug, info, warn or error, is %q", clip(name))
}

func address(a string) error {
	_, port, err := net.SplitHostPort(a)
	if err != nil {
		return fmt.Errorf("must be host:port or :port, is %q", clip(a))
	}
	if _, err := strconv.ParseUint(port, 10, 16); err != nil {
		return fmt.Errorf("port: must be 0 to 65535, is %q", clip(port))
	}
	return nil
}

func hostPattern(host string) error {
	if host == "" || strings.ContainsAny(host, "/ ") {
		return fmt.Errorf("must be host names without scheme and path, has %q", clip(host))
	}
	return nil
}

func originPattern(origin string) error {
	_, host, hasScheme := strings.Cut(origin, "://")
	if !hasScheme {
		host = origin
	}
	if host == "" || strings.ContainsAny(strings.TrimSuffix(host, "/"), "/ ") {
		return fmt.Errorf("must be origins as https://app.example.com or host names, has %q", clip(origin))
	}
	return nil
}
