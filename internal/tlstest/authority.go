// Package tlstest makes certificates for tests: an [Authority] that nobody else knows, and pairs that it has
// signed, as files.
package tlstest

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"math/big"
	"net"
	"os"
	"path/filepath"
	"testing"
	"time"
)

// Authority signs certificates. It is for one goroutine.
type Authority struct {
	// File holds the authority's certificate in PEM.
	File string
	// Pool trusts the authority and nobody else.
	Pool *x509.CertPool

	certificate *x509.Certificate
	key         *ecdsa.PrivateKey
	serial      int64
}

// Leaf says what a certificate is of. The zero value is of this machine, for an hour.
type Leaf struct {
	// Names are host names and addresses; none means localhost, 127.0.0.1 and ::1.
	Names []string
	// CommonName is who a client is.
	CommonName string
	// NotAfter is when it expires.
	NotAfter time.Time
}

// Pair is a certificate and its key in files of PEM.
type Pair struct{ CertFile, KeyFile string }

// New makes an authority.
func New(t testing.TB) *Authority {
	t.Helper()
	a := &Authority{key: newKey(t), serial: 1, Pool: x509.NewCertPool()}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "authority of " + t.Name()},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour),
		IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageCertSign,
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, a.key.Public(), a.key)
	check(t, err)
	a.certificate, err = x509.ParseCertificate(der)
	check(t, err)
	a.Pool.AddCert(a.certificate)
	a.File = filepath.Join(t.TempDir(), "ca.pem")
	write(t, a.File, "CERTIFICATE", der)
	return a
}

// Issue makes a pair of files.
func (a *Authority) Issue(t testing.TB, l Leaf) Pair {
	t.Helper()
	folder := t.TempDir()
	p := Pair{CertFile: filepath.Join(folder, "tls.crt"), KeyFile: filepath.Join(folder, "tls.key")}
	a.Renew(t, p, l)
	return p
}

// Renew puts a new certificate with a new key into the files of a pair. Each file is replaced at once, and one
// after the other.
func (a *Authority) Renew(t testing.TB, p Pair, l Leaf) {
	t.Helper()
	if l.Names == nil {
		l.Names = []string{"localhost", "127.0.0.1", "::1"}
	}
	if l.NotAfter.IsZero() {
		l.NotAfter = time.Now().Add(time.Hour)
	}
	a.serial++
	template := &x509.Certificate{
		SerialNumber: big.NewInt(a.serial), Subject: pkix.Name{CommonName: l.CommonName},
		NotBefore: l.NotAfter.Add(-24 * time.Hour), NotAfter: l.NotAfter,
		KeyUsage: x509.KeyUsageDigitalSignature, ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth, x509.ExtKeyUsageClientAuth},
	}
	for _, name := range l.Names {
		if ip := net.ParseIP(name); ip != nil {
			template.IPAddresses = append(template.IPAddresses, ip)
		} else {
			template.DNSNames = append(template.DNSNames, name)
		}
	}
	key := newKey(t)
	der, err := x509.CreateCertificate(rand.Reader, template, a.certificate, key.Public(), a.key)
	check(t, err)
	secret, err := x509.MarshalPKCS8PrivateKey(key)
	check(t, err)
	write(t, p.CertFile, "CERTIFICATE", der)
	write(t, p.KeyFile, "PRIVATE KEY", secret)
}

func newKey(t testing.TB) *ecdsa.PrivateKey {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	check(t, err)
	return key
}

// write replaces a file at once.
func write(t testing.TB, path, kind string, der []byte) {
	t.Helper()
	check(t, os.WriteFile(path+".new", pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: der}), 0o600))
	check(t, os.Rename(path+".new", path))
}

func check(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatalf("tlstest: %v", err)
	}
}
