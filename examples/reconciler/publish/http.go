package publish

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/tallywire/tallywire/events"
	"github.com/tallywire/tallywire/examples/reconciler/reconcile"
)

// HTTP publishes through a gateway. It is safe for concurrent use.
type HTTP struct {
	endpoint string
	token    string
	client   *http.Client
}

var (
	_ reconcile.Publisher      = (*HTTP)(nil)
	_ reconcile.BatchPublisher = (*HTTP)(nil)
)

const (
	maxAnswer   = 1 << 20
	httpTimeout = 10 * time.Second
)

// NewHTTP returns a publisher for a gateway's base URL ("http://127.0.0.1:8080") and a token that may
// publish; an empty token sends none.
func NewHTTP(base, token string) (*HTTP, error) {
	u, err := url.Parse(base)
	if err != nil || u.Host == "" || u.Scheme != "http" && u.Scheme != "https" {
		return nil, errors.New("url: must be like http://127.0.0.1:8080")
	}
	if u.User != nil || u.RawQuery != "" {
		return nil, errors.New("url: must hold no user, password or query; a token is sent as a header")
	}
	return &HTTP{endpoint: u.JoinPath("v1", "publish").String(), token: token, client: &http.Client{Timeout: httpTimeout}}, nil
}

// Close closes idle connections.
func (h *HTTP) Close() error {
	h.client.CloseIdleConnections()
	return nil
}

// item is a publication as it stands in the body.
type item struct {
	Channel string          `json:"channel"`
	Event   json.RawMessage `json:"event"`
}

// Publish posts one event.
func (h *HTTP) Publish(ctx context.Context, channel string, e events.Event) error {
	b, err := encode(e)
	if err != nil {
		return err
	}
	return h.post(ctx, item{Channel: channel, Event: b})
}

// PublishBatch posts events in one request; the gateway publishes those of a channel in order.
func (h *HTTP) PublishBatch(ctx context.Context, batch []reconcile.Publication) error {
	body := struct {
		Events []item `json:"events"`
	}{make([]item, len(batch))}
	for i, p := range batch {
		b, err := encode(p.Event)
		if err != nil {
			return err
		}
		body.Events[i] = item{Channel: p.Channel, Event: b}
	}
	return h.post(ctx, body)
}

func (h *HTTP) post(ctx context.Context, body any) error {
	b, err := json.Marshal(body)
	if err != nil {
		return fmt.Errorf("%w: %w", reconcile.ErrRefused, err)
	}
	r, err := http.NewRequestWithContext(ctx, http.MethodPost, h.endpoint, bytes.NewReader(b))
	if err != nil {
		return fmt.Errorf("%w: %w", reconcile.ErrRefused, err)
	}
	r.Header.Set("Content-Type", "application/json")
	if h.token != "" {
		r.Header.Set("Authorization", "Bearer "+h.token)
	}
	answer, err := h.client.Do(r)
	if err != nil {
		return err
	}
	defer func() { _ = answer.Body.Close() }()
	text, err := io.ReadAll(io.LimitReader(answer.Body, maxAnswer))
	if err != nil {
		return err
	}
	return judge(answer.StatusCode, text)
}

// problem is what a gateway says about a request, or about one event of a batch.
type problem struct {
	Code    string `json:"code"`
	Title   string `json:"title"`
	Detail  string `json:"detail"`
	Message string `json:"message"`
	Retry   *bool  `json:"retry"`
}

// final reports whether a repetition makes no sense, by what the gateway says or else by otherwise.
func (p *problem) final(otherwise bool) bool {
	if p.Retry != nil {
		return !*p.Retry
	}
	return otherwise
}

func (p *problem) text() string {
	for _, s := range []string{p.Detail, p.Message, p.Title, p.Code} {
		if s != "" {
			return strings.TrimSpace(p.Code + " " + s)
		}
	}
	return "no reason given"
}

// judge turns an answer into an error: nil for success, wrapping reconcile.ErrRefused where
// asking again makes no sense. An answer to a batch may report single events that were not published.
func judge(status int, body []byte) error {
	var p problem
	_ = json.Unmarshal(body, &p) // a body that is no JSON says nothing
	if status < 200 || status >= 300 {
		passing := status == http.StatusTooManyRequests || status == http.StatusRequestTimeout || status >= 500
		if p.final(!passing) {
			return fmt.Errorf("%w: status %d: %s", reconcile.ErrRefused, status, p.text())
		}
		return fmt.Errorf("status %d: %s", status, p.text())
	}
	var answer struct {
		Results []struct {
			Error *problem `json:"error"`
		} `json:"results"`
	}
	_ = json.Unmarshal(body, &answer)
	var passing error
	for i, r := range answer.Results {
		switch {
		case r.Error == nil:
		case r.Error.final(true):
			return fmt.Errorf("%w: event %d of the batch: %s", reconcile.ErrRefused, i, r.Error.text())
		case passing == nil:
			passing = fmt.Errorf("event %d of the batch: %s", i, r.Error.text())
		}
	}
	return passing
}
