package auth

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
)

const (
	maxRedirects      = 3
	maxResponseHeader = 64 << 10
)

// newKeysClient returns a client that follows redirects within the same host only. Without a base it keeps
// no connection open between two fetches.
func newKeysClient(base *http.Client) *http.Client {
	var client http.Client
	if base != nil {
		client = *base
	} else if transport, ok := http.DefaultTransport.(*http.Transport); ok {
		transport = transport.Clone()
		transport.DisableKeepAlives = true
		transport.MaxResponseHeaderBytes = maxResponseHeader
		client.Transport = transport
	}
	client.CheckRedirect = sameHostOnly
	return &client
}

// sameHostOnly is a redirect policy: the configured host decides where its keys are, but not that they are
// on another host, and not that they come in the clear.
func sameHostOnly(next *http.Request, via []*http.Request) error {
	first := via[0].URL
	switch {
	case len(via) > maxRedirects:
		return errors.New("too many redirects")
	case next.URL.Host != first.Host || next.URL.User != nil:
		return errors.New("redirect to another host")
	case next.URL.Scheme != "https" && next.URL.Scheme != first.Scheme:
		return errors.New("redirect to another scheme")
	}
	return nil
}

// fetchKeys gets and reads one JWKS.
func fetchKeys(ctx context.Context, client *http.Client, url string) (*publishedKeys, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, url, http.NoBody)
	if err != nil {
		return nil, err
	}
	req.Header.Set("Accept", "application/jwk-set+json, application/json")
	resp, err := client.Do(req)
	if err != nil {
		return nil, err
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusOK {
		return nil, fmt.Errorf("status %d", resp.StatusCode)
	}
	document, err := io.ReadAll(io.LimitReader(resp.Body, maxJWKSBytes+1))
	if err != nil {
		return nil, err
	}
	if len(document) > maxJWKSBytes {
		return nil, fmt.Errorf("more than %d bytes", maxJWKSBytes)
	}
	return parseJWKS(document)
}
