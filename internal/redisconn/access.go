package redisconn

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"os"
	"sync/atomic"
)

// Access is what lets a client in, as far as the URL does not say it. Passwords are as they are, without
// percent-encoding. The zero value adds nothing.
type Access struct {
	Username, Password                 string
	SentinelUsername, SentinelPassword string

	// CAFile holds the certificates (PEM) of the authorities that Redis' own is verified with, in place of
	// the system's. It is read once.
	CAFile string
	// CertFile and KeyFile hold the client's certificate and key (PEM). They are read for each connection, so
	// that renewed ones are taken over; while they cannot be read the last ones serve.
	CertFile, KeyFile string
}

// AccessError says which field of an Access is wrong.
type AccessError struct {
	// Field is username, password, sentinel-username, sentinel-password, ca-file, cert-file or key-file.
	Field string
	Err   error
}

func (e *AccessError) Error() string { return e.Field + ": " + e.Err.Error() }

func (e *AccessError) Unwrap() error { return e.Err }

func wrong(field, format string, args ...any) error {
	return &AccessError{field, fmt.Errorf(format, args...)}
}

// Check reports what of an Access does not go with the target. It reads no file.
func (t *Target) Check(a Access) error {
	twice := "the URL says it too: give one of them"
	switch {
	case a.Username != "" && t.username != "":
		return wrong("username", "%s", twice)
	case a.Password != "" && t.password != "":
		return wrong("password", "%s", twice)
	case a.Username != "" && a.Password == "" && t.password == "":
		return wrong("username", "is nobody without a password")
	case a.SentinelUsername != "" && t.sentinelUsername != "":
		return wrong("sentinel-username", "%s", twice)
	case a.SentinelPassword != "" && t.sentinelPassword != "":
		return wrong("sentinel-password", "%s", twice)
	case t.Mode != Sentinel && a.SentinelUsername != "":
		return wrong("sentinel-username", "the URL has no sentinels")
	case t.Mode != Sentinel && a.SentinelPassword != "":
		return wrong("sentinel-password", "the URL has no sentinels")
	case a.CertFile != "" && a.KeyFile == "":
		return wrong("cert-file", "needs its key: give redis-key-file too")
	case a.KeyFile != "" && a.CertFile == "":
		return wrong("key-file", "needs its certificate: give redis-cert-file too")
	}
	for field, file := range map[string]string{"ca-file": a.CAFile, "cert-file": a.CertFile} {
		if file != "" && !t.TLS {
			return wrong(field, "the URL is one without TLS: use rediss://, or add ?tls=true")
		}
	}
	return nil
}

// With returns the target with what an Access adds. It reads the files.
func (t *Target) With(a Access) (*Target, error) {
	if err := t.Check(a); err != nil {
		return nil, err
	}
	out := *t
	add(&out.username, a.Username)
	add(&out.password, a.Password)
	add(&out.sentinelUsername, a.SentinelUsername)
	add(&out.sentinelPassword, a.SentinelPassword)
	if a.CAFile != "" {
		text, err := os.ReadFile(a.CAFile)
		if err != nil {
			return nil, &AccessError{"ca-file", err}
		}
		out.authorities = x509.NewCertPool()
		if !out.authorities.AppendCertsFromPEM(text) {
			return nil, wrong("ca-file", "%s holds no certificate in PEM", a.CAFile)
		}
	}
	if a.CertFile != "" {
		pair := &keyPair{cert: a.CertFile, key: a.KeyFile}
		if _, err := pair.get(nil); err != nil {
			return nil, err
		}
		out.certificate = pair.get
	}
	return &out, nil
}

func add(field *string, value string) {
	if value != "" {
		*field = value
	}
}

// keyPair is a certificate and its key in files that may be renewed. It is safe for concurrent use.
type keyPair struct {
	cert, key string
	last      atomic.Pointer[tls.Certificate]
}

// get implements tls.Config.GetClientCertificate.
func (p *keyPair) get(*tls.CertificateRequestInfo) (*tls.Certificate, error) {
	c, err := tls.LoadX509KeyPair(p.cert, p.key)
	if err == nil {
		p.last.Store(&c)
		return &c, nil
	}
	if last := p.last.Load(); last != nil {
		return last, nil
	}
	return nil, &AccessError{"cert-file", explainPair(p.cert, p.key, err)}
}

// explainPair says which of the two files an error is about.
func explainPair(cert, key string, err error) error {
	var path *os.PathError
	if errors.As(err, &path) {
		return err // it names the file
	}
	return fmt.Errorf("%s and %s: %w", cert, key, err)
}

// tlsConfig returns nil for a target without TLS.
func (t *Target) tlsConfig() *tls.Config {
	if !t.TLS {
		return nil
	}
	c := &tls.Config{MinVersion: tls.VersionTLS12, RootCAs: t.authorities, GetClientCertificate: t.certificate}
	if t.Mode == Standalone {
		c.ServerName = t.host()
	}
	return c
}
