package auth

import (
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/rs/zerolog"
)

// Defaults and limits of Options.
const (
	DefaultIssuer   = "tallywire"
	DefaultAudience = "tallywire"

	DefaultSkew = 10 * time.Second
	MaxSkew     = 30 * time.Second

	// MinSecretBytes is the length that a secret should have: HS256 wants a key as long as its hash (RFC
	// 7518, section 3.2). A shorter one is accepted, since it is enough on a developer's machine; whoever
	// configures the gateway should be warned, see [WeakSecret].
	MinSecretBytes = 32

	DefaultKeysEvery        = 15 * time.Minute
	DefaultKeysCooldown     = 10 * time.Second
	DefaultKeysKeep         = 6 * time.Hour
	DefaultKeysTimeout      = 5 * time.Second
	DefaultRevocationsEvery = 5 * time.Second
)

// IssuerKeys names where an issuer publishes its keys.
type IssuerKeys struct {
	// Issuer is the value of iss.
	Issuer string
	// URL is where the issuer's JWKS is: http or https, without user information.
	URL string
}

// Options configure an Authenticator. The zero value of a field means its default. Either a key of some
// kind or Insecure is needed, not both.
type Options struct {
	// Secret verifies HS256 tokens of Issuer; it should have [MinSecretBytes].
	Secret string
	// Keys are public keys in PEM, one or several in a string, that verify tokens of Issuer: RSA of 2048
	// bits or more for RS256, P-256 for ES256, Ed25519 for EdDSA. They are found by algorithm, the
	// token's kid does not matter.
	Keys []string
	// JWKSURL is where Issuer publishes its keys.
	JWKSURL string
	// JWKS are further issuers, each with keys of its own.
	JWKS []IssuerKeys
	// Insecure accepts everybody, without a key: see [Authenticator.Authenticate].
	Insecure bool

	// Issuer is the iss of tokens that Secret, Keys and JWKSURL verify.
	Issuer string
	// Audience must be in the aud of every token, whoever issued it.
	Audience string
	// Skew is by how much nbf and iat may lie in the future, at most [MaxSkew].
	Skew time.Duration

	// KeysEvery is how often a JWKS is fetched, less up to a tenth; Run does that.
	KeysEvery time.Duration
	// KeysCooldown is the least time between two fetches of one JWKS, whatever asks for them. An issuer
	// must publish a key that much before it signs with it.
	KeysCooldown time.Duration
	// KeysKeep is how long the last good set is used while no other can be fetched.
	KeysKeep time.Duration
	// KeysTimeout bounds one fetch.
	KeysTimeout time.Duration
	// HTTPClient fetches JWKS. Its redirect policy is replaced, the rest is used as it is.
	HTTPClient *http.Client

	// Revocations is the list of tokens that are no longer good; nil means that there is none.
	Revocations Revocations
	// RevocationsEvery is how often the list is read even when nobody rings, less up to a fifth.
	RevocationsEvery time.Duration

	// Clock tells the time; nil means time.Now.
	Clock func() time.Time
	// Log receives what happens to keys and revocations; never a token, or a part of one.
	Log zerolog.Logger
}

func (o Options) withDefaults() Options {
	setDefault(&o.Issuer, DefaultIssuer)
	setDefault(&o.Audience, DefaultAudience)
	setDefault(&o.Skew, DefaultSkew)
	setDefault(&o.KeysEvery, DefaultKeysEvery)
	setDefault(&o.KeysCooldown, DefaultKeysCooldown)
	setDefault(&o.KeysKeep, DefaultKeysKeep)
	setDefault(&o.KeysTimeout, DefaultKeysTimeout)
	setDefault(&o.RevocationsEvery, DefaultRevocationsEvery)
	if o.Clock == nil {
		o.Clock = time.Now
	}
	return o
}

func setDefault[T comparable](v *T, value T) {
	var zero T
	if *v == zero {
		*v = value
	}
}

// Validate reports every setting that is wrong. The zero value of a field is taken for its default.
func (o Options) Validate() error {
	o = o.withDefaults()
	var errs []error
	hasKey := o.Secret != "" || len(o.Keys) > 0 || o.JWKSURL != "" || len(o.JWKS) > 0
	switch {
	case hasKey && o.Insecure:
		errs = append(errs, errors.New("insecure: excludes secret, keys and jwks"))
	case !hasKey && !o.Insecure:
		errs = append(errs, errors.New("no key: set a secret, keys or jwks, or insecure"))
	}
	if o.Secret != "" {
		errs = append(errs, validateSecret([]byte(o.Secret)))
	}
	if o.Skew < 0 || o.Skew > MaxSkew {
		errs = append(errs, fmt.Errorf("skew: must be between 0 and %s, is %s", MaxSkew, o.Skew))
	}
	for _, d := range []struct {
		name  string
		value time.Duration
	}{
		{"keys every", o.KeysEvery},
		{"keys cooldown", o.KeysCooldown},
		{"keys keep", o.KeysKeep},
		{"keys timeout", o.KeysTimeout},
		{"revocations every", o.RevocationsEvery},
	} {
		if d.value < 0 {
			errs = append(errs, fmt.Errorf("%s: must be positive, is %s", d.name, d.value))
		}
	}
	for _, source := range o.sources() {
		errs = append(errs, source.validate())
	}
	return errors.Join(errs...)
}

// sources returns all JWKS, that of Issuer first.
func (o Options) sources() []IssuerKeys {
	if o.JWKSURL == "" {
		return o.JWKS
	}
	return append([]IssuerKeys{{Issuer: o.Issuer, URL: o.JWKSURL}}, o.JWKS...)
}

func (k IssuerKeys) validate() error {
	if k.Issuer == "" {
		return errors.New("jwks: an issuer is empty")
	}
	u, err := url.Parse(k.URL)
	switch {
	case err != nil:
		return fmt.Errorf("jwks of %q: %w", k.Issuer, err)
	case u.Scheme != "https" && u.Scheme != "http":
		return fmt.Errorf("jwks of %q: the URL must be http or https", k.Issuer)
	case u.Host == "" || u.User != nil:
		return fmt.Errorf("jwks of %q: the URL must have a host, and no user information", k.Issuer)
	}
	return nil
}

// WeakSecret reports whether a secret is so short that it could be guessed from a token.
func WeakSecret(secret string) bool { return secret != "" && len(secret) < MinSecretBytes }

// validateSecret refuses public keys in place of a secret: whoever knows the public key could sign with it.
func validateSecret(secret []byte) error {
	switch {
	case len(secret) == 0:
		return errors.New("secret: is empty")
	case strings.Contains(string(secret), "-----BEGIN"):
		return errors.New("secret: is a PEM block; public keys are given as keys")
	}
	return nil
}
