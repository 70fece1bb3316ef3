package gateway

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/netip"
	"runtime"
	"strings"
	"time"

	"github.com/rs/zerolog"

	"github.com/tallywire/tallywire/broker"
	"github.com/tallywire/tallywire/broker/relay"
	"github.com/tallywire/tallywire/events"
	"github.com/tallywire/tallywire/gateway/auth"
	"github.com/tallywire/tallywire/namespace"
	"github.com/tallywire/tallywire/presence"
	"github.com/tallywire/tallywire/receipt"
)

// Authenticator turns tokens into principals. *auth.Authenticator is one.
type Authenticator interface {
	Authenticate(ctx context.Context, token string) (*auth.Principal, error)
	Refresh(ctx context.Context, current *auth.Principal, token string) (*auth.Principal, error)
	Revoked(p *auth.Principal) bool
	OnRevoke(f func()) (remove func())
}

// Options configure a Gateway. Broker, Namespaces, Registry and Auth are required; zero values of the
// others mean the defaults in the comments.
type Options struct {
	ID         string // names the gateway to clients and logs
	Broker     broker.Broker
	Namespaces *namespace.Table
	Registry   relay.Checker
	Auth       Authenticator
	Dead       relay.Undertaker
	Log        zerolog.Logger
	// Presence tracks members; nil disables presence. Directory takes the sessions that are connected here.
	Presence  presence.Tracker
	Directory presence.Directory
	// Receipts keeps what was answered to numbered commands over HTTP; nil refuses those.
	Receipts receipt.Book
	// Tracer follows events; nil follows none.
	Tracer Tracer
	// Version is the program's, for the on-call.
	Version string

	// AllowedOrigins are host patterns ("app.example.com", "*.example.com") of pages that may connect,
	// beside those that the gateway itself serves. "*" allows all.
	AllowedOrigins []string
	// AllowedHosts are the names under which clients reach the gateway. Addresses and localhost are
	// always allowed, since no foreign name can be bound to them in a browser. "*" allows all.
	AllowedHosts []string
	// TrustedProxies are the networks whose X-Forwarded-For and X-Forwarded-Proto are believed (none).
	TrustedProxies []netip.Prefix
	// CookieSameSite is which pages browsers send the cookie of POST /v1/cookie for: those of the gateway's own
	// site (http.SameSiteStrictMode, the default; or Lax), or those of every allowed origin (None).
	CookieSameSite http.SameSite

	Limits Limits

	// Ping is the silence after which the gateway pings a client (25 s).
	Ping time.Duration
	// DrainWait is how long a gateway that ends serves on, not ready, until load balancers have noticed (0).
	// DrainWindow is how long the moves of its connections are spread over after that (5 s).
	DrainWait   time.Duration
	DrainWindow time.Duration
	// MaxConnectionAge is how long a WebSocket or an event stream lasts, give or take a tenth, until its
	// client is told to move: so that gateways that were added get their share (0: for ever).
	MaxConnectionAge time.Duration
	// Flushers is how many goroutines write (GOMAXPROCS).
	Flushers int
	// Relay bounds what is kept in memory of each channel.
	RelayMaxEvents int
	RelayMaxBytes  int
	RelayLinger    time.Duration
}

// Limits bound what one connection may use.
type Limits struct {
	// Message is the largest client message in bytes (72 KB: an event of 64 KB and its frame). A larger one is skipped and answered with
	// an error; one that is 16 times larger closes the connection with 1009.
	Message int
	// Subscriptions is the number of channels of a connection (1,000).
	Subscriptions int
	// Commands is how many frames a second a connection may send, in bursts of as many (100,000).
	Commands int
	// Inflight is how many publishes of a connection may wait for the store (1,024); then the gateway
	// stops reading from it.
	Inflight int
	// Frame is about the largest server message in bytes (64 KB).
	Frame int
	// WriteTimeout is how long a full socket may take to accept a frame (10 s).
	WriteTimeout time.Duration
	// ConnectTimeout is how long a client may take to send `connect` (5 s).
	ConnectTimeout time.Duration
	// BodyTimeout is how long the body of a request may take to arrive (30 s).
	BodyTimeout time.Duration
	// Errors is how many bad frames a connection may send within ten seconds before it is closed (100).
	Errors int
	// Connections is how many connections the gateway takes (unlimited).
	Connections int
	// Rate is how many WebSockets and event streams a second the gateway takes, in bursts of as many
	// (unlimited).
	Rate int
}

func (o *Options) setDefaults() {
	def(&o.ID, "gateway")
	def(&o.Ping, 25*time.Second)
	def(&o.DrainWindow, 5*time.Second)
	def(&o.CookieSameSite, http.SameSiteStrictMode)
	def(&o.Flushers, min(runtime.GOMAXPROCS(0), 64))
	l := &o.Limits
	def(&l.Message, events.MaxEventBytes+8<<10)
	def(&l.Subscriptions, 1000)
	def(&l.Commands, 100_000)
	def(&l.Inflight, 1024)
	def(&l.Frame, 64<<10)
	def(&l.WriteTimeout, 10*time.Second)
	def(&l.ConnectTimeout, 5*time.Second)
	def(&l.BodyTimeout, 30*time.Second)
	def(&l.Errors, 100)
}

func def[T comparable](v *T, value T) {
	var zero T
	if *v == zero {
		*v = value
	}
}

func (o *Options) validate() error {
	switch {
	case o.Broker == nil || o.Namespaces == nil || o.Registry == nil || o.Auth == nil:
		return errors.New("gateway options: Broker, Namespaces, Registry and Auth are required")
	case o.Limits.Message < 1024:
		return fmt.Errorf("limit of a message: must be at least 1024 bytes, is %d", o.Limits.Message)
	case o.Limits.Frame < 4096:
		return fmt.Errorf("limit of a frame: must be at least 4096 bytes, is %d", o.Limits.Frame)
	case o.CookieSameSite < http.SameSiteLaxMode || o.CookieSameSite > http.SameSiteNoneMode:
		return fmt.Errorf("SameSite of the cookie: must be Strict, Lax or None, is %d", o.CookieSameSite)
	case o.MaxConnectionAge != 0 && o.MaxConnectionAge < time.Second:
		return fmt.Errorf("age of a connection: must be at least 1s, or 0 for no limit, is %s", o.MaxConnectionAge)
	case o.DrainWait < 0 || o.DrainWindow < 0 || o.Limits.Rate < 0:
		return errors.New("drain and rate: must not be negative")
	case o.Ping < time.Second:
		return fmt.Errorf("ping interval: must be at least 1s, is %s", o.Ping)
	}
	for _, host := range o.AllowedHosts {
		if strings.ContainsAny(host, "/ ") {
			return fmt.Errorf("allowed host %q: must be a host name, without scheme or path", host)
		}
	}
	return nil
}
