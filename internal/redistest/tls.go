package redistest

import (
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"testing"

	"github.com/tallywire/tallywire/internal/tlstest"
)

// WithTLS has the server listen for TLS too, with a certificate of an authority. clients is what it wants of
// its clients: "no" certificate, "yes" one of the authority, or it may be "optional".
func WithTLS(authority *tlstest.Authority, clients string) Option {
	return func(s *Server) {
		pair := authority.Issue(s.t, tlstest.Leaf{})
		s.tls = true
		WithConfig("tls-cert-file", pair.CertFile, "tls-key-file", pair.KeyFile, "tls-ca-cert-file", authority.File,
			"tls-auth-clients", clients)(s)
	}
}

// TLSURL returns the server's rediss:// URL.
func (s *Server) TLSURL() string { return "rediss://127.0.0.1:" + strconv.Itoa(s.tlsPort) }

// StartTLSSentinel starts a sentinel that watches a primary over TLS and speaks TLS itself. It returns the
// redis-sentinel:// URL.
func StartTLSSentinel(t testing.TB, primary *Server, authority *tlstest.Authority) string {
	t.Helper()
	s := &Server{t: t, dir: t.TempDir(), kind: "sentinel"}
	config := filepath.Join(s.dir, "sentinel.conf")
	text := fmt.Sprintf("bind 127.0.0.1\ndir %s\nsentinel monitor %s 127.0.0.1 %d 1\n", s.dir, MasterName, primary.tlsPort)
	if err := os.WriteFile(config, []byte(text), 0o600); err != nil {
		t.Fatalf("redistest: sentinel: %v", err)
	}
	s.args = []string{config}
	WithTLS(authority, "no")(s)
	WithConfig("tls-replication", "yes")(s)
	s.begin()
	return fmt.Sprintf("redis-sentinel://127.0.0.1:%d/%s?tls=true", s.tlsPort, MasterName)
}
