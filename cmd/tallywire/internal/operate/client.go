package operate

import (
	"context"
	"crypto/tls"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"
	"time"
)

// timeout bounds one question. A gateway itself waits two seconds for others.
const timeout = 15 * time.Second

// maxAnswer bounds what is read of an answer.
const maxAnswer = 64 << 20

// Client asks a gateway's admin API. Safe for concurrent use.
type Client struct {
	base  *url.URL
	token string
	http  *http.Client
}

// NewClient returns a client of the admin API at an address, as http://127.0.0.1:9090. trust is for https, nil
// for the defaults.
func NewClient(address, token string, trust *tls.Config) (*Client, error) {
	base, err := url.Parse(address)
	if err != nil || (base.Scheme != "http" && base.Scheme != "https") || base.Host == "" || base.User != nil {
		return nil, errors.New("admin-url: must be an http or https address, as http://127.0.0.1:9090")
	}
	if token == "" {
		return nil, errors.New("admin-token: is needed; `tallywire token --admin --user …` makes one, best given as TALLYWIRE_ADMIN_TOKEN")
	}
	return &Client{base: base, token: token, http: &http.Client{
		Transport:     &http.Transport{Proxy: http.ProxyFromEnvironment, IdleConnTimeout: time.Minute, TLSClientConfig: trust},
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }, // the token stays here
	}}, nil
}

// Close ends idle connections.
func (c *Client) Close() { c.http.CloseIdleConnections() }

// Problem is an answer that is no success.
type Problem struct {
	Status int    `json:"status"`
	Code   string `json:"code"`
	Detail string `json:"detail"`
}

func (p *Problem) Error() string {
	text := p.Detail + " (" + p.Code + ")"
	switch p.Code {
	case "unauthorized", "token_expired", "token_revoked", "forbidden":
		return text + "; `tallywire token --admin` makes a token for the admin API"
	default:
		return text
	}
}

// Get asks for a path below /admin/v1/ and returns the answer as it came. parts of the path are escaped.
func (c *Client) Get(ctx context.Context, query url.Values, parts ...string) (json.RawMessage, error) {
	for i, part := range parts {
		parts[i] = url.PathEscape(part)
	}
	target := strings.TrimSuffix(c.base.String(), "/") + "/admin/v1/" + strings.Join(parts, "/")
	if text := query.Encode(); text != "" {
		target += "?" + text
	}
	ctx, cancel := context.WithTimeout(ctx, timeout)
	defer cancel()
	q, err := http.NewRequestWithContext(ctx, http.MethodGet, target, http.NoBody)
	if err != nil {
		return nil, fmt.Errorf("ask: %w", err)
	}
	q.Header.Set("Authorization", "Bearer "+c.token)
	a, err := c.http.Do(q)
	if err != nil {
		return nil, fmt.Errorf("no gateway answers at %s: %w", c.base.Host, unwrapURL(err))
	}
	defer a.Body.Close()
	raw, err := io.ReadAll(io.LimitReader(a.Body, maxAnswer))
	if err != nil {
		return nil, fmt.Errorf("the answer broke off: %w", err)
	}
	if a.StatusCode == http.StatusOK && json.Valid(raw) {
		return raw, nil
	}
	p := &Problem{}
	if json.Unmarshal(raw, p) != nil || p.Code == "" {
		return nil, fmt.Errorf("%s is no admin API: it answers %s", c.base.Host, a.Status)
	}
	return nil, p
}

// unwrapURL leaves the address out, which has been said.
func unwrapURL(err error) error {
	var e *url.Error
	if errors.As(err, &e) {
		return e.Err
	}
	return err
}
