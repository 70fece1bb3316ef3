package config

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
)

// Caller holds the settings of a command that speaks to a gateway as a client.
type Caller struct {
	Token     string `placeholder:"TOKEN" help:"Token for the gateway; best given as TALLYWIRE_TOKEN."`
	TokenFile string `type:"path" placeholder:"FILE" help:"File with the token, in place of --token; read again for each connection, so that it may be renewed."`
	Trust
}

// Trust holds the settings of a command that speaks to a gateway over TLS.
type Trust struct {
	CAFile string `name:"ca-file" type:"path" placeholder:"FILE" help:"PEM file with the authorities of the gateway's certificate, in place of the system's."`
}

// maxTokenFile bounds the file of a token.
const maxTokenFile = 64 << 10

// Check reports what cannot be right, and reads the token once: a file that is not there is told at once.
func (c *Caller) Check(from *Sources) error {
	if c.Token != "" && c.TokenFile != "" {
		tokenByFlag, fileByFlag := from.From("token") == "flag", from.From("token-file") == "flag"
		if tokenByFlag == fileByFlag {
			return errors.New("token, token-file: give one of them")
		}
		if tokenByFlag { // a flag goes before a variable
			c.TokenFile = ""
		}
	}
	_, err := c.ReadToken()
	return err
}

// ReadToken returns the token as it is now, "" where there is none.
func (c *Caller) ReadToken() (string, error) {
	if c.TokenFile == "" {
		return c.Token, nil
	}
	f, err := os.Open(c.TokenFile)
	if err != nil {
		return "", fmt.Errorf("token-file: %w", err)
	}
	defer f.Close() //nolint:errcheck // only read from
	text, err := io.ReadAll(io.LimitReader(f, maxTokenFile+1))
	token := strings.TrimSpace(string(text))
	switch {
	case err != nil:
		return "", fmt.Errorf("token-file: %w", err)
	case len(text) > maxTokenFile:
		return "", fmt.Errorf("token-file: %s: is larger than %d bytes, which no token is", c.TokenFile, maxTokenFile)
	case token == "" || strings.ContainsAny(token, " \t\r\n"):
		return "", fmt.Errorf("token-file: %s: must hold one token and nothing else", c.TokenFile)
	}
	return token, nil
}

// TLSConfig returns nil where the system's authorities are trusted.
func (t *Trust) TLSConfig() (*tls.Config, error) {
	if t.CAFile == "" {
		return nil, nil //nolint:nilnil // as net/http has it
	}
	text, err := os.ReadFile(t.CAFile)
	if err != nil {
		return nil, fmt.Errorf("ca-file: %w", err)
	}
	pool := x509.NewCertPool()
	if !pool.AppendCertsFromPEM(text) {
		return nil, fmt.Errorf("ca-file: %s: holds no certificate in PEM", t.CAFile)
	}
	return &tls.Config{RootCAs: pool, MinVersion: tls.VersionTLS12}, nil
}
