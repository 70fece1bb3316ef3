package server

import (
	"bytes"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"os"
	"sync/atomic"
	"time"

	"github.com/rs/zerolog"
)

const (
	// certificateEvery is how often the files of the certificate are looked at.
	certificateEvery = 5 * time.Second
	// expiresSoon is how long before its end a certificate is warned of, once a day.
	expiresSoon = 7 * 24 * time.Hour
	warnEvery   = 24 * time.Hour
)

// certificate is what the public listener shows, from files that are renewed while it serves. Handshakes read
// it from any goroutine; look belongs to one.
type certificate struct {
	certFile, keyFile string
	log               zerolog.Logger

	current atomic.Pointer[tls.Certificate]

	// Owned by the caller of look.
	cert, key []byte // the files as they were last seen
	failed    string // what was last logged of files that cannot be read
	warned    time.Time
}

// loadCertificate reads the files; errors begin with the setting's name.
func loadCertificate(certFile, keyFile string, log zerolog.Logger) (*certificate, error) {
	c := &certificate{certFile: certFile, keyFile: keyFile, log: log}
	cert, key, err := c.read()
	if err != nil {
		return nil, err
	}
	pair, err := c.parse(cert, key)
	if err != nil {
		return nil, err
	}
	c.take(pair, cert, key)
	c.warn(time.Now())
	return c, nil
}

func (c *certificate) read() (cert, key []byte, err error) {
	if cert, err = os.ReadFile(c.certFile); err != nil {
		return nil, nil, fmt.Errorf("tls-cert: %w", err)
	}
	if key, err = os.ReadFile(c.keyFile); err != nil {
		return nil, nil, fmt.Errorf("tls-key: %w", err)
	}
	return cert, key, nil
}

func (c *certificate) parse(cert, key []byte) (*tls.Certificate, error) {
	pair, err := tls.X509KeyPair(cert, key)
	if err != nil {
		return nil, fmt.Errorf("tls-cert, tls-key: %s and %s: %w", c.certFile, c.keyFile, err)
	}
	return &pair, nil
}

func (c *certificate) take(pair *tls.Certificate, cert, key []byte) {
	c.cert, c.key, c.failed, c.warned = cert, key, "", time.Time{}
	c.current.Store(pair)
	c.log.Info().Str("event", "tls_certificate").Strs("names", names(pair)).Time("not_after", pair.Leaf.NotAfter.UTC()).
		Str("issuer", pair.Leaf.Issuer.CommonName).Msg("certificate loaded")
}

// end is when the certificate that is served ends.
func (c *certificate) end() time.Time { return c.current.Load().Leaf.NotAfter }

func names(pair *tls.Certificate) []string {
	out := pair.Leaf.DNSNames
	for _, ip := range pair.Leaf.IPAddresses {
		out = append(out[:len(out):len(out)], ip.String())
	}
	return out
}

// run takes over renewed files until ctx ends. A value from reload has it look at once.
func (c *certificate) run(ctx context.Context, reload <-chan os.Signal) error {
	tick := time.NewTicker(certificateEvery)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-reload:
		case <-tick.C:
		}
		c.look()
		c.warn(time.Now())
	}
}

// look reads the files and takes them over where they have changed. What is broken, or half of a pair that is
// being written, leaves the old one in place and is logged once.
func (c *certificate) look() {
	cert, key, err := c.read()
	if err == nil && bytes.Equal(cert, c.cert) && bytes.Equal(key, c.key) {
		c.failed = ""
		return
	}
	var pair *tls.Certificate
	if err == nil {
		pair, err = c.parse(cert, key)
	}
	if err != nil {
		if text := err.Error(); text != c.failed {
			c.failed = text
			c.log.Warn().Str("event", "tls_not_renewed").Err(err).Time("not_after", c.current.Load().Leaf.NotAfter.UTC()).
				Msg("the new certificate cannot be used, the old one stays")
		}
		return
	}
	c.take(pair, cert, key)
}

// warn says that the certificate is not valid now, or not for long.
func (c *certificate) warn(now time.Time) {
	leaf := c.current.Load().Leaf
	message := ""
	switch {
	case now.After(leaf.NotAfter):
		message = "the certificate has expired: clients refuse it"
	case now.Before(leaf.NotBefore):
		message = "the certificate is not valid yet: clients refuse it"
	case leaf.NotAfter.Sub(now) < expiresSoon && leaf.NotAfter.Sub(leaf.NotBefore) > 2*expiresSoon:
		message = "the certificate expires soon" // those that live for days are renewed late
	}
	if message == "" || now.Sub(c.warned) < warnEvery {
		return
	}
	c.warned = now
	c.log.Warn().Str("event", "tls_expires").Time("not_before", leaf.NotBefore.UTC()).Time("not_after", leaf.NotAfter.UTC()).
		Strs("names", names(c.current.Load())).Msg(message)
}

// config is that of the listener: HTTP/2 for all but WebSockets, whose clients ask for HTTP/1.1.
func (c *certificate) config() *tls.Config {
	return &tls.Config{
		MinVersion: tls.VersionTLS12,
		NextProtos: []string{"h2", "http/1.1"},
		GetCertificate: func(*tls.ClientHelloInfo) (*tls.Certificate, error) {
			if pair := c.current.Load(); pair != nil {
				return pair, nil
			}
			return nil, errors.New("no certificate")
		},
	}
}
