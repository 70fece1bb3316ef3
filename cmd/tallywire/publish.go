package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"net/url"
	"time"

	"github.com/oklog/ulid/v2"

	"github.com/tallywire/tallywire/cmd/tallywire/internal/config"
	"github.com/tallywire/tallywire/events"
	"github.com/tallywire/tallywire/internal/redisconn"
	"github.com/tallywire/tallywire/publisher"
)

// defaultURL is where a gateway on the same machine is.
const defaultURL = "http://127.0.0.1:8080"

// maxInput bounds what is read from standard input; maxAnswer what a gateway may say.
const (
	maxInput  = 1 << 20
	maxAnswer = 1 << 20
)

// publishCommand publishes one event.
type publishCommand struct {
	Channel string `arg:"" help:"Channel, as jobs:42."`

	Type    string `required:"" placeholder:"TYPE" help:"Event type, as job.progress."`
	Data    string `placeholder:"JSON" help:"Data of the event; - reads it from standard input."`
	Subject string `placeholder:"SUBJECT" help:"What the event is about, as job/42."`
	ID      string `name:"id" placeholder:"ID" help:"Id of the event: publishing it again with the same id and source changes nothing (default: a new one)."`
	Source  string `placeholder:"SOURCE" help:"Who publishes (default: the channel)."`
	Ack     string `placeholder:"ACK" help:"stored or replicated; with --url only (default: as the namespace says)."`

	Redis string `placeholder:"URL" help:"Publish straight to this Redis, as a worker does."`
	config.RedisAccess
	RedisPrefix string `placeholder:"PREFIX" default:"tw" help:"Prefix of all keys (default ${default})."`
	Schemas     string `type:"path" placeholder:"DIR" help:"Directory of JSON Schemas with more event types; with --redis only."`

	URL string `name:"url" placeholder:"URL" help:"Publish through the gateway at this address (default http://127.0.0.1:8080)."`
	config.Caller
	Timeout time.Duration `placeholder:"DURATION" default:"10s" help:"Time for all of it (default ${default})."`
}

// published is what the command prints.
type published struct {
	Channel   string `json:"channel"`
	Cursor    string `json:"cursor"`
	Ack       string `json:"ack"`
	Duplicate bool   `json:"duplicate"`
	ID        string `json:"id"`
}

// Run publishes and prints the cursor.
func (c *publishCommand) Run(ctx context.Context, r *run) error {
	if err := errors.Join(r.sources.Problems()...); err != nil {
		return usageError{err}
	}
	straight, err := c.straight(r.sources)
	if err != nil {
		return err
	}
	if err := events.ValidateChannel(c.Channel); err != nil {
		return usageError{err}
	}
	raw, err := c.event(r.stdin)
	if err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(ctx, c.Timeout)
	defer cancel()
	var out published
	if straight {
		out, err = c.toRedis(ctx, raw)
	} else {
		out, err = c.toGateway(ctx, raw, r.sources)
	}
	if err != nil {
		return err
	}
	out.Channel, out.ID = c.Channel, c.ID
	return json.NewEncoder(r.stdout).Encode(out)
}

// straight reports whether to publish to Redis. A flag goes before a variable; without either, the
// gateway on this machine is taken.
func (c *publishCommand) straight(from *config.Sources) (bool, error) {
	redis, gateway := from.Given("redis") && c.Redis != "", from.Given("url") && c.URL != ""
	if redis && gateway {
		redisByFlag, urlByFlag := from.From("redis") == "flag", from.From("url") == "flag"
		if redisByFlag == urlByFlag {
			return false, usagef("redis, url: give one of them")
		}
		redis = redisByFlag
	}
	switch {
	case redis && c.Ack != "":
		return false, usagef("ack: a publish straight to Redis is acknowledged as stored; ask a gateway for more")
	case !redis && c.Schemas != "" && from.From("schemas") == "flag":
		return false, usagef("schemas: the gateway checks with its own")
	}
	if c.URL == "" {
		c.URL = defaultURL
	}
	return redis, nil
}

// event returns the event's JSON. It has an id, so that it may be published again.
func (c *publishCommand) event(stdin io.Reader) ([]byte, error) {
	data := []byte(c.Data)
	if c.Data == "-" {
		var err error
		if data, err = io.ReadAll(io.LimitReader(stdin, maxInput+1)); err != nil {
			return nil, fmt.Errorf("standard input: %w", err)
		}
		data = bytes.TrimSpace(data)
	}
	if len(data) > 0 && !json.Valid(data) {
		return nil, usagef("data: must be JSON (a text needs quotes of its own: '\"text\"')")
	}
	if c.ID == "" {
		c.ID = ulid.Make().String()
	}
	e := events.Event{ID: c.ID, Source: c.Source, Type: c.Type, Subject: c.Subject}
	if len(data) > 0 {
		e.Data = data
	}
	raw, err := e.MarshalJSON()
	if err != nil {
		return nil, usageError{fmt.Errorf("event: %w", err)}
	}
	return raw, nil
}

// toRedis checks the event, since no gateway does before it is in the log, and calls the published function.
func (c *publishCommand) toRedis(ctx context.Context, raw []byte) (published, error) {
	registry, err := events.NewRegistry(events.Options{Dir: c.Schemas})
	if err != nil {
		return published{}, fmt.Errorf("schemas: %w", err)
	}
	envelope, err := events.Scan(raw)
	if err == nil {
		err = registry.Check(envelope, raw)
	}
	if err != nil {
		return published{}, fmt.Errorf("event: %w", err)
	}
	redisconn.LogTo(func(string) {}) // errors say it
	target, err := c.Target(c.Redis)
	if err != nil {
		return published{}, usageError{err}
	}
	client := target.Client()
	defer client.Close()
	p, err := publisher.New(client, c.RedisPrefix)
	if err != nil {
		return published{}, usageError{err}
	}
	cursor, duplicate, err := p.Publish(ctx, c.Channel, json.RawMessage(raw), publisher.Options{})
	switch {
	case errors.Is(err, publisher.ErrNoLibrary):
		return published{}, fmt.Errorf("%s: the function library is not loaded: start a gateway, or run \"tallywire doctor --load\"", target)
	case err != nil:
		err = fmt.Errorf("%s: %w", target, err)
		if advice := target.Advice(err); advice != "" {
			err = fmt.Errorf("%w\n%s", err, advice)
		}
		return published{}, err
	}
	return published{Cursor: cursor.String(), Ack: "stored", Duplicate: duplicate}, nil
}

// retryPause is the longest pause between two attempts.
const retryPause = time.Second

// toGateway posts the event, and again while the gateway says that it may be taken later: it has an id.
func (c *publishCommand) toGateway(ctx context.Context, raw []byte, from *config.Sources) (published, error) {
	if err := c.Check(from); err != nil {
		return published{}, usageError{err}
	}
	trust, err := c.TLSConfig()
	if err != nil {
		return published{}, usageError{err}
	}
	client := &http.Client{Transport: &http.Transport{Proxy: http.ProxyFromEnvironment, TLSClientConfig: trust}}
	defer client.CloseIdleConnections()
	for {
		out, err := c.post(ctx, client, raw)
		var refused *refusal
		if err == nil || !errors.As(err, &refused) || !refused.Retry {
			return out, err
		}
		pause := time.NewTimer(retryPause/2 + rand.N(retryPause/2)) // jitter
		select {
		case <-pause.C:
		case <-ctx.Done():
			pause.Stop()
			return out, err
		}
	}
}

// post makes one attempt.
func (c *publishCommand) post(ctx context.Context, client *http.Client, raw []byte) (published, error) {
	u, err := url.Parse(c.URL)
	if err != nil || u.Host == "" || u.Scheme != "http" && u.Scheme != "https" {
		return published{}, usagef("url: must be as http://127.0.0.1:8080, is %q", c.URL)
	}
	body, err := json.Marshal(map[string]any{"channel": c.Channel, "event": json.RawMessage(raw), "ack": c.Ack})
	if err != nil {
		return published{}, err
	}
	q, err := http.NewRequestWithContext(ctx, http.MethodPost, u.JoinPath("v1", "publish").String(), bytes.NewReader(body))
	if err != nil {
		return published{}, err
	}
	q.Header.Set("Content-Type", "application/json")
	token, err := c.ReadToken()
	if err != nil {
		return published{}, err
	}
	if token != "" {
		q.Header.Set("Authorization", "Bearer "+token)
	}
	a, err := client.Do(q)
	if err != nil {
		return published{}, err
	}
	defer a.Body.Close()
	text, err := io.ReadAll(io.LimitReader(a.Body, maxAnswer))
	if err != nil {
		return published{}, fmt.Errorf("read the answer: %w", err)
	}
	var out published
	if a.StatusCode == http.StatusOK {
		if err := json.Unmarshal(text, &out); err != nil || out.Cursor == "" {
			return published{}, fmt.Errorf("%s: is no tallywire gateway: the answer is not its", c.URL)
		}
		return out, nil
	}
	return published{}, newRefusal(a.Status, text)
}

// refusal is what a gateway says instead of a receipt, as problem details.
type refusal struct {
	Code, Detail, Path string
	Retry              bool
}

func newRefusal(status string, body []byte) error {
	var r refusal
	if json.Unmarshal(body, &r) != nil || r.Code == "" {
		return fmt.Errorf("the gateway answered %s", status)
	}
	return &r
}

// Error returns code and detail, and the place in the event where there is one.
func (r *refusal) Error() string {
	if r.Path != "" {
		return fmt.Sprintf("%s: %s (at %s)", r.Code, r.Detail, r.Path)
	}
	return r.Code + ": " + r.Detail
}
