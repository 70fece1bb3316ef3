package auth

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/lestrrat-go/jwx/v3/jws"
)

// Authenticator turns tokens into principals. Safe for concurrent use. It works without Run, but then it
// fetches keys only when a token needs them and reads revocations only once.
type Authenticator struct {
	o       Options                // static
	issuers map[string]*issuerKeys // static
	revoked *revokedList           // static; nil without revocations

	mu       sync.Mutex
	onRevoke map[*func()]struct{} // guarded by mu
}

// issuerKeys are the keys of one issuer, kept apart from those of all others.
type issuerKeys struct {
	static staticKeys
	remote *remoteKeys // nil without JWKS
}

// New returns an Authenticator. It makes no request: a key set that cannot be had must not keep a gateway
// from starting.
func New(o Options) (*Authenticator, error) {
	if err := o.Validate(); err != nil {
		return nil, fmt.Errorf("auth: %w", err)
	}
	o = o.withDefaults()
	static, err := newStaticKeys(o.Secret, o.Keys)
	if err != nil {
		return nil, fmt.Errorf("auth: %w", err)
	}
	a := &Authenticator{o: o, issuers: map[string]*issuerKeys{}, onRevoke: map[*func()]struct{}{}}
	if len(static) > 0 {
		a.issuers[o.Issuer] = &issuerKeys{static: static}
	}
	client := newKeysClient(o.HTTPClient)
	for _, source := range o.sources() {
		keys := a.issuers[source.Issuer]
		if keys == nil {
			keys = &issuerKeys{}
			a.issuers[source.Issuer] = keys
		}
		if keys.remote != nil {
			return nil, fmt.Errorf("auth: jwks: issuer %q is named twice", source.Issuer)
		}
		keys.remote = newRemoteKeys(source, &o, client)
	}
	if o.Revocations != nil {
		a.revoked = newRevokedList(o.Revocations, o.Clock)
	}
	return a, nil
}

// Authenticate returns who the token speaks for. Every error is an [*Error]. It waits only for keys that are
// not there yet, and for the first reading of the revocations.
//
// With [Options.Insecure] everybody is let in, with every permission but Admin: a token that looks like a
// plain name names the user, and without one the user is a guest with a name by chance.
func (a *Authenticator) Authenticate(ctx context.Context, token string) (*Principal, error) {
	var p *Principal
	var refusal *Error
	if a.o.Insecure {
		p = guest(token, a.o.Clock())
	} else if p, refusal = a.verify(ctx, token); refusal != nil {
		return nil, refusal
	}
	if refusal := a.checkRevoked(ctx, p); refusal != nil {
		return nil, refusal
	}
	return p, nil
}

// Refresh authenticates the token that is to take the place of the current one. It must speak for the same
// user and come from the same issuer, since everything that a connection has done stands under that name.
func (a *Authenticator) Refresh(ctx context.Context, current *Principal, token string) (*Principal, error) {
	if a.o.Insecure && !plainName(token) {
		token = current.User
	}
	p, err := a.Authenticate(ctx, token)
	if err != nil {
		return nil, err
	}
	if p.User != current.User || p.Issuer != current.Issuer {
		return nil, unauthorized("the token is of another user")
	}
	return p, nil
}

// Insecure reports whether everybody is let in.
func (a *Authenticator) Insecure() bool { return a.o.Insecure }

func (a *Authenticator) verify(ctx context.Context, token string) (*Principal, *Error) {
	u, refusal := peek(token)
	if refusal != nil {
		return nil, refusal
	}
	keys, ok := a.issuers[u.issuer]
	if !ok {
		return nil, unauthorized("the issuer is not accepted")
	}
	payload, refusal := keys.verify(ctx, token, u)
	if refusal != nil {
		return nil, refusal
	}
	return expected{
		issuer: u.issuer, audience: a.o.Audience, skew: a.o.Skew, now: a.o.Clock(),
	}.principal(payload)
}

// verify returns the payload if one of the issuer's keys for the token's algorithm has signed it.
func (k *issuerKeys) verify(ctx context.Context, token string, u unverified) ([]byte, *Error) {
	for _, key := range k.static[u.alg] {
		if payload, err := jws.VerifyCompactFast(key, []byte(token), u.alg.jwa()); err == nil {
			return payload, nil
		}
	}
	// A key set is public: it never answers for a secret.
	if k.remote == nil || u.alg == hs256 {
		if len(k.static[u.alg]) == 0 {
			return nil, unauthorized("the issuer has no key for the token's algorithm")
		}
		return nil, unauthorized("the signature does not match")
	}
	key, refusal := k.remote.find(ctx, u)
	if refusal != nil {
		return nil, refusal
	}
	payload, err := jws.VerifyCompactFast(key, []byte(token), u.alg.jwa())
	if err != nil {
		return nil, unauthorizedBy("the signature does not match", err)
	}
	return payload, nil
}

func (a *Authenticator) checkRevoked(ctx context.Context, p *Principal) *Error {
	if a.revoked == nil {
		return nil
	}
	if err := a.revoked.ensure(ctx); err != nil {
		return &Error{
			Code: CodeRevocationsUnavailable, Message: "revocations cannot be read now", Retry: true, cause: err,
		}
	}
	if a.revoked.has(p) {
		return &Error{Code: CodeTokenRevoked, Message: "the token was revoked"}
	}
	return nil
}

// Revoked reports whether a principal that was let in has been revoked since. It neither blocks nor
// allocates. It does not look at the clock: the gateway closes at [Principal.Expires] by itself.
func (a *Authenticator) Revoked(p *Principal) bool {
	return a.revoked != nil && a.revoked.has(p)
}

// OnRevoke has f called after something new was revoked, from the goroutine of Run; f must be quick. The
// function that is returned takes it back. A gateway looks through its connections with Revoked then, and
// once for a new connection after it has been added to those that f looks through.
func (a *Authenticator) OnRevoke(f func()) (remove func()) {
	key := &f
	a.mu.Lock()
	a.onRevoke[key] = struct{}{}
	a.mu.Unlock()
	return func() {
		a.mu.Lock()
		delete(a.onRevoke, key)
		a.mu.Unlock()
	}
}

func (a *Authenticator) announceRevoked() {
	a.mu.Lock()
	calls := make([]func(), 0, len(a.onRevoke))
	for f := range a.onRevoke {
		calls = append(calls, *f)
	}
	a.mu.Unlock()
	for _, f := range calls {
		f()
	}
}

// CodeOf returns the code of an error of this package, or "".
func CodeOf(err error) Code {
	if e, ok := errors.AsType[*Error](err); ok {
		return e.Code
	}
	return ""
}

// guestLifetime is how long a principal without a token may stay before it must ask again.
const guestLifetime = 24 * time.Hour
