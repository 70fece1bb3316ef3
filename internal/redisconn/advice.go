package redisconn

import (
	"crypto/x509"
	"errors"
	"strings"
)

// Advice says what to do about an error of a connection to the target, in the words of the program's flags. It
// knows the errors that configurations make; "" for others.
func (t *Target) Advice(err error) string {
	if err == nil {
		return ""
	}
	var name x509.HostnameError
	var invalid x509.CertificateInvalidError
	text := err.Error()
	has := func(parts ...string) bool {
		for _, part := range parts {
			if strings.Contains(text, part) {
				return true
			}
		}
		return false
	}
	switch {
	case errors.As(err, &name):
		return "Redis' certificate is for other names than the URL's host: use one of them in the URL"
	case errors.As(err, &invalid) && invalid.Reason == x509.Expired:
		return "Redis' certificate has expired, or this machine's clock is wrong: renew it"
	case has("unknown authority"):
		return "Redis' certificate is not of an authority that this machine trusts: give the authority's with --redis-ca-file"
	case has("certificate required", "handshake failure", "bad certificate"):
		return "Redis wants a certificate of its clients that it trusts: give one with --redis-cert-file and --redis-key-file"
	case has("unknown certificate authority"):
		return "Redis does not trust the authority of the client's certificate: give another --redis-cert-file, or have Redis trust it"
	case has("expired certificate"):
		return "the client's certificate has expired: renew the file of --redis-cert-file"
	case has("first record does not look like a TLS handshake"):
		return "the server speaks no TLS: use redis:// in place of rediss://"
	case has("protocol version not supported"):
		return "the server speaks no TLS 1.2 or newer: look at its tls-protocols"
	case has("WRONGPASS", "NOAUTH"):
		return "give the right user and password: redis://user:password@host:port, or --redis-username and --redis-password"
	case has("connection refused"):
		return "start Redis there, or give another --redis"
	case has("no such host"):
		return "the name of the URL's host is not known here: correct it"
	case has("LOADING"):
		return "wait: Redis is reading its data from disk"
	case has("EOF", "reset by peer", "broken pipe"):
		return t.hungUp()
	case has("i/o timeout", "deadline exceeded") && t.TLS: // a plain Redis waits for the end of what it takes for a command
		return "look whether the port speaks TLS (if not, use redis://), whether a firewall is between, and whether the server hangs"
	case has("i/o timeout", "deadline exceeded"):
		return "look whether a firewall is between, and whether the server hangs"
	}
	return ""
}

// hungUp says why a server may hang up. With TLS 1.3 a client learns that its certificate is refused after it
// has written, and sometimes not at all.
func (t *Target) hungUp() string {
	switch {
	case !t.TLS:
		return "the server hung up: if it wants TLS, use rediss://"
	case t.certificate == nil:
		return "the server hung up: if it wants a certificate of its clients, give one with --redis-cert-file and --redis-key-file"
	}
	return "the server hung up: look at its log, it may not trust the certificate of --redis-cert-file"
}
