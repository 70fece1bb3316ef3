package admin

import (
	"context"
	"errors"
	"net/http"
	"time"

	"github.com/rs/zerolog"

	"github.com/tallywire/tallywire/broker"
	"github.com/tallywire/tallywire/events"
	"github.com/tallywire/tallywire/gateway/auth"
	"github.com/tallywire/tallywire/namespace"
	"github.com/tallywire/tallywire/presence"
)

// DefaultAudience is the audience of tokens for the admin API: a client's token does not open it.
const DefaultAudience = "tallywire-admin"

// Limits of requests.
const (
	maxBody    = 256 << 10
	maxChannel = 128
	maxUser    = presence.MaxUser
	maxSession = presence.MaxSessionID
	maxGateway = 128
	maxDrainMS = 10 * 60 * 1000

	defaultLimit = 50
	maxLimit     = MaxItems - 1
)

// Authenticator verifies tokens of the admin audience. *auth.Authenticator is one.
type Authenticator interface {
	Authenticate(ctx context.Context, token string) (*auth.Principal, error)
}

// Members lists who is in a channel. A presence.Tracker does.
type Members interface {
	Members(ctx context.Context, channel string, r presence.PageRequest) (presence.Page, error)
}

// Directory knows sessions and gateways. A presence.Directory does.
type Directory interface {
	UserSessions(ctx context.Context, user string) ([]presence.SessionInfo, error)
	Gateways(ctx context.Context) ([]presence.GatewayInfo, error)
}

// DeadLetters are read. A broker.DeadLetters can be.
type DeadLetters interface {
	List(ctx context.Context, after string, limit int) (letters []broker.DeadLetter, next string, err error)
}

// Checker validates events. *events.Registry is one.
type Checker interface {
	Check(env events.Envelope, raw []byte) error
}

// Revocations is the list of what is revoked. *redisrevoke.List and *auth.Memory are such.
type Revocations interface {
	Revoke(ctx context.Context, r auth.Revocation) error
	List(ctx context.Context) ([]auth.Revocation, error)
}

// Store is the part of a broker that the admin API uses.
type Store interface {
	Read(ctx context.Context, channel string, r broker.ReadRequest) (broker.Page, error)
	Publish(ctx context.Context, p broker.Publication, done func(broker.Receipt, error))
}

// Mint makes a client's token. [auth.Mint] with its secret does.
type Mint func(c auth.Claims, ttl time.Duration) (string, error)

// Options configure an Admin. Gateway, Cluster, Store, Namespaces, Registry and Auth are required; without
// the others what needs them answers that it is not supported.
type Options struct {
	// Gateway names the gateway that serves.
	Gateway    string
	Cluster    Cluster
	Store      Store
	Namespaces *namespace.Table
	Registry   Checker
	// Auth accepts tokens of the admin audience, and no others.
	Auth Authenticator

	Members     Members
	Directory   Directory
	Dead        DeadLetters
	Revocations Revocations
	// Mint makes the console's tokens for following a channel. It has the clients' audience.
	Mint Mint
	// Client is the gateway's handler for clients: the console follows channels through its /v1/ws.
	Client http.Handler

	Log zerolog.Logger
	// Inflight is how many requests may be under way (64).
	Inflight int
}

func (o *Options) setDefaults() {
	if o.Inflight == 0 {
		o.Inflight = 64
	}
}

func (o *Options) validate() error {
	switch {
	case o.Gateway == "" || o.Cluster == nil || o.Store == nil || o.Namespaces == nil || o.Registry == nil || o.Auth == nil:
		return errors.New("admin options: Gateway, Cluster, Store, Namespaces, Registry and Auth are required")
	case o.Inflight < 1:
		return errors.New("admin options: Inflight must be at least 1")
	}
	return nil
}
