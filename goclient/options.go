package goclient

import (
	"context"
	"crypto/rand"
	"crypto/tls"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"time"

	"github.com/tallywire/tallywire/gateway/wire"
)

// Defaults of Options.
const (
	DefaultBackoffMin       = 250 * time.Millisecond
	DefaultBackoffMax       = 20 * time.Second
	DefaultHandshakeTimeout = 10 * time.Second
	DefaultWriteTimeout     = 10 * time.Second
	DefaultMaxOutstanding   = 256
)

// Options configure a Client. Only URL is required.
type Options struct {
	// URL is http(s):// or ws(s)://host:port; /v1/ws is appended when it has no path.
	URL string
	// Token is what the client connects with, until Refresh or TokenSource give another.
	Token string
	// TokenSource, when not nil, is asked for a token before every connection, and in time before the
	// token of a connection expires. It may be called from several goroutines.
	TokenSource func(context.Context) (string, error)
	// Session names the logical client across its connections; random when empty.
	Session string
	// HTTPClient makes handshakes; it must have no Timeout. Nil means one of its own, with proxies from
	// the environment.
	HTTPClient *http.Client
	// DialContext opens the network connections of the client's own HTTPClient; nil means the default.
	DialContext func(ctx context.Context, network, addr string) (net.Conn, error)
	// TLSConfig is for wss:// and https://, with the client's own HTTPClient: authorities that are not the
	// system's, or a certificate of the client. Nil means the defaults.
	TLSConfig *tls.Config
	// Header is added to every handshake's request.
	Header http.Header
	// Logger is told of connections and protocol oddities; nil means silence. It never gets tokens or events.
	Logger *slog.Logger
	// BackoffMin and BackoffMax bound the full jitter between attempts. The first retry is immediate.
	BackoffMin, BackoffMax time.Duration
	// HandshakeTimeout bounds dialling, the HTTP handshake and `connect` together.
	HandshakeTimeout time.Duration
	// WriteTimeout bounds the writing of one message.
	WriteTimeout time.Duration
	// MaxOutstanding bounds the publishes and signals under way; further calls wait.
	MaxOutstanding int
	// ReadLimit bounds a server message in bytes.
	ReadLimit int64
	// OnStatus is told what becomes of the connection, always from the goroutine of Run. It must return soon.
	OnStatus func(Status)
}

// State is what the client's connection is doing.
type State string

// States of a Status.
const (
	StateConnecting   State = "connecting"   // an attempt follows, after RetryIn
	StateConnected    State = "connected"    // Gateway, Session and User are known
	StateMoving       State = "moving"       // the gateway is draining; the next connection is opened first
	StateDisconnected State = "disconnected" // Err says why
)

// Status is a change of the client's connection.
type Status struct {
	State   State
	Gateway string
	Session string
	User    string
	// Attempt counts attempts since the last stable connection, from 1.
	Attempt int
	// RetryIn is the wait before the attempt.
	RetryIn time.Duration
	// Err is why the last connection or attempt ended.
	Err error
	// Degraded reports that the gateway's path to its store is broken: events are late, none is lost.
	Degraded bool
	// Reason says what is degraded, for people.
	Reason string
}

// withDefaults fills what is unset and checks the rest.
func (o Options) withDefaults() (Options, error) {
	if _, err := endpoint(o.URL); err != nil {
		return o, err
	}
	setDefault(&o.BackoffMin, DefaultBackoffMin)
	setDefault(&o.BackoffMax, max(DefaultBackoffMax, o.BackoffMin))
	setDefault(&o.HandshakeTimeout, DefaultHandshakeTimeout)
	setDefault(&o.WriteTimeout, DefaultWriteTimeout)
	setDefault(&o.MaxOutstanding, DefaultMaxOutstanding)
	setDefault(&o.ReadLimit, DefaultReadLimit)
	if o.Session == "" {
		o.Session = rand.Text()
	}
	if o.Logger == nil {
		o.Logger = slog.New(slog.DiscardHandler)
	}
	switch {
	case o.BackoffMin < 0 || o.BackoffMax < o.BackoffMin:
		return o, fmt.Errorf("backoff: must be 0 < min <= max, is %s and %s", o.BackoffMin, o.BackoffMax)
	case o.HandshakeTimeout < 0 || o.WriteTimeout < 0:
		return o, errors.New("timeouts: must not be negative")
	case o.MaxOutstanding < 0 || o.ReadLimit < 0:
		return o, errors.New("limits: must not be negative")
	case len(o.Session) > wire.MaxSessionLen:
		return o, fmt.Errorf("session: at most %d bytes, has %d", wire.MaxSessionLen, len(o.Session))
	case o.HTTPClient != nil && o.DialContext != nil:
		return o, errors.New("dial context: has no effect beside an HTTP client, set it there")
	case o.HTTPClient != nil && o.TLSConfig != nil:
		return o, errors.New("TLS config: has no effect beside an HTTP client, set it there")
	case o.HTTPClient != nil && o.HTTPClient.Timeout != 0:
		return o, errors.New("HTTP client: must have no timeout, it would end connections")
	}
	if o.HTTPClient == nil {
		o.HTTPClient = &http.Client{Transport: &http.Transport{
			Proxy:                 http.ProxyFromEnvironment,
			DialContext:           o.DialContext,
			TLSClientConfig:       o.TLSConfig,
			TLSHandshakeTimeout:   o.HandshakeTimeout,
			ResponseHeaderTimeout: o.HandshakeTimeout,
			DisableKeepAlives:     true,
		}}
	}
	return o, nil
}

func setDefault[T comparable](field *T, value T) {
	var zero T
	if *field == zero {
		*field = value
	}
}
