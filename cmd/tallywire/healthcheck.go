package main

import (
	"context"
	"crypto/tls"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"time"

	"github.com/tallywire/tallywire/cmd/tallywire/internal/config"
)

// healthcheckCommand asks the gateway of this machine how it is: for containers that have no curl.
type healthcheckCommand struct {
	Live bool `help:"Ask whether the process lives (/healthz), not whether it is ready (/readyz)."`

	Config      string        `meta:"" type:"path" placeholder:"FILE" help:"The gateway's settings, for its addresses."`
	AdminListen string        `placeholder:"ADDR" default:"127.0.0.1:9090" help:"The gateway's address for health (default ${default})."`
	Listen      string        `placeholder:"ADDR" default:":8080" help:"The gateway's address for clients, asked where the other is off (default ${default})."`
	TLSCert     string        `name:"tls-cert" type:"path" placeholder:"FILE" help:"Given where the gateway takes clients over TLS."`
	URL         string        `name:"health-url" placeholder:"URL" help:"Address of the gateway, in place of all that."`
	Timeout     time.Duration `placeholder:"DURATION" default:"5s" help:"Time for the answer (default ${default})."`
}

// Help adds to the help of the flags.
func (*healthcheckCommand) Help() string {
	return "Exits with 0 where the gateway is well, else with 1 and the reason. It finds the gateway by the same flags, variables and file."
}

// Run asks once.
func (c *healthcheckCommand) Run(ctx context.Context, r *run) error {
	if err := errors.Join(r.sources.Problems()...); err != nil {
		return usageError{err}
	}
	address, err := c.address()
	if err != nil {
		return usageError{err}
	}
	ctx, cancel := context.WithTimeout(ctx, c.Timeout)
	defer cancel()
	q, err := http.NewRequestWithContext(ctx, http.MethodGet, address, nil)
	if err != nil {
		return usageError{err}
	}
	// It asks a process of this machine for a word that it repeats to nobody; its certificate has other names.
	client := &http.Client{Transport: &http.Transport{TLSClientConfig: &tls.Config{InsecureSkipVerify: true}}} //nolint:gosec // see above
	defer client.CloseIdleConnections()
	a, err := client.Do(q)
	if err != nil {
		return err
	}
	defer a.Body.Close()
	body, err := io.ReadAll(io.LimitReader(a.Body, maxAnswer))
	if err != nil {
		return fmt.Errorf("read the answer: %w", err)
	}
	if a.StatusCode == http.StatusOK {
		fmt.Fprintln(r.stdout, "ok")
		return nil
	}
	var said struct{ Status, Reason string }
	if json.Unmarshal(body, &said) == nil && said.Reason != "" {
		return fmt.Errorf("%s: %s", said.Status, said.Reason)
	}
	return fmt.Errorf("%s answered %s", address, a.Status)
}

// address returns what to ask.
func (c *healthcheckCommand) address() (string, error) {
	path := "/readyz"
	if c.Live {
		path = "/healthz"
	}
	if c.URL != "" {
		u, err := url.Parse(c.URL)
		if err != nil || u.Host == "" || u.Scheme != "http" && u.Scheme != "https" {
			return "", fmt.Errorf("health-url: must be as http://127.0.0.1:9090, is %q", c.URL)
		}
		return u.JoinPath(path).String(), nil
	}
	scheme, key, listen := "http", "admin-listen", c.AdminListen
	if listen == config.AdminOff {
		key, listen = "listen", c.Listen
		if c.TLSCert != "" {
			scheme = "https"
		}
	}
	host, port, err := net.SplitHostPort(listen)
	if err != nil {
		return "", fmt.Errorf("%s: must be host:port or :port, is %q", key, listen)
	}
	if a, err := netip.ParseAddr(host); host == "" || err == nil && a.IsUnspecified() && a.Is4() {
		host = "127.0.0.1"
	} else if err == nil && a.IsUnspecified() {
		host = "::1"
	}
	return scheme + "://" + net.JoinHostPort(host, port) + path, nil
}
