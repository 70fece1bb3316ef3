package server

import (
	"context"
	"crypto/rand"
	"fmt"
	"net/http"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/tallywire/tallywire/cmd/tallywire/internal/config"
	"github.com/tallywire/tallywire/gateway"
	"github.com/tallywire/tallywire/gateway/admin"
	"github.com/tallywire/tallywire/gateway/admin/redisask"
	"github.com/tallywire/tallywire/gateway/auth"
	"github.com/tallywire/tallywire/gateway/inspect"
	"github.com/tallywire/tallywire/namespace"
)

// adminSide is what serves operators.
type adminSide struct {
	api       http.Handler
	auth      *auth.Authenticator
	responder *admin.Responder
	cluster   *redisask.Cluster // nil with the embedded engine
	token     string            // where no key is configured: the one that opens the console
}

// adminTokenTTL is how long the token of a gateway without keys is good.
const adminTokenTTL = 12 * time.Hour

// newAdmin makes the admin API. A gateway without keys, which lets every client in, does not let everybody
// administrate: it makes a secret of its own, and a token to go with it.
func (s *Server) newAdmin(spaces *namespace.Table, keys []string) (*adminSide, error) {
	c := s.settings
	a := &adminSide{}
	secret := c.AuthSecret
	mint := func(claims auth.Claims, ttl time.Duration) (string, error) {
		claims.Issuer, claims.Audience = c.AuthIssuer, c.AuthAudience
		return auth.Mint([]byte(c.AuthSecret), claims, ttl)
	}
	if s.auth.Insecure() {
		secret = rand.Text() + rand.Text()
		token, err := auth.Mint([]byte(secret), auth.Claims{
			Issuer: c.AuthIssuer, Audience: c.AdminAudience, User: "operator", Permissions: auth.Permissions{Admin: true},
		}, adminTokenTTL)
		if err != nil {
			return nil, fmt.Errorf("admin: %w", err)
		}
		a.token = token
		mint = func(claims auth.Claims, _ time.Duration) (string, error) { return claims.User, nil }
	}
	var err error
	a.auth, err = auth.New(auth.Options{
		Secret: secret, Keys: keys, JWKSURL: c.AuthJWKS, Issuer: c.AuthIssuer, Audience: c.AdminAudience,
		Revocations: s.store.revocations, Log: s.log,
	})
	if err != nil {
		return nil, fmt.Errorf("admin: %w", err)
	}
	var local inspect.Local = s.gateway
	if s.level != nil {
		local = operated{s.gateway, s}
	}
	a.responder = admin.NewResponder(local, s.log)
	cluster := admin.Alone(a.responder)
	if s.store.client != nil {
		a.cluster, err = redisask.New(s.store.client, redisask.Options{
			Responder: a.responder, Gateways: s.store.directory, Prefix: c.RedisPrefix, Log: s.log,
		})
		if err != nil {
			return nil, fmt.Errorf("admin: %w", err)
		}
		cluster = a.cluster
	}
	o := admin.Options{
		Gateway: s.id, Cluster: cluster, Store: s.outlet, Namespaces: spaces, Registry: s.registry, Auth: a.auth,
		Members: s.store.presence, Directory: s.store.directory, Dead: s.store.dead, Revocations: s.store.revocations,
		Client: s.gateway.Handler(), Log: s.log,
	}
	if c.AuthSecret != "" || s.auth.Insecure() {
		o.Mint = mint
	}
	a.api, err = admin.New(o)
	return a, err
}

// operated is the gateway with its log.
type operated struct {
	*gateway.Gateway
	server *Server
}

var _ inspect.LogLeveler = operated{}

// SetLogLevel implements inspect.LogLeveler.
func (o operated) SetLogLevel(name string, d time.Duration) time.Time {
	level, err := config.Level(name)
	if err != nil {
		return time.Time{} // the API lets no other names pass
	}
	until := o.server.level.Set(level, d)
	o.server.log.WithLevel(level).Str("event", "log_level").Str("to", name).Time("until", until).Msg("the level of the log was changed")
	return until
}

// run serves what stands behind the API until ctx ends.
func (a *adminSide) run(ctx context.Context, work *errgroup.Group) {
	work.Go(func() error { return a.auth.Run(ctx) })
	work.Go(func() error { return a.responder.Run(ctx) })
	if a.cluster != nil {
		work.Go(func() error { return a.cluster.Run(ctx) })
	}
}

// AdminToken returns the token that opens the console of a gateway without keys, "" where there are keys.
func (s *Server) AdminToken() string {
	if s.admin == nil {
		return ""
	}
	return s.admin.token
}
