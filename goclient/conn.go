package goclient

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"

	"github.com/coder/websocket"

	"github.com/tallywire/tallywire/gateway/wire"
)

// DefaultReadLimit bounds a server message in bytes.
const DefaultReadLimit = 1 << 20

// DialOptions say how to open one connection.
type DialOptions struct {
	// URL is http(s):// or ws(s)://host:port; /v1/ws is appended when it has no path.
	URL string
	// Token is sent in the `connect` frame; empty for a gateway that wants none.
	Token string
	// Session names the logical client; empty lets the gateway choose.
	Session string
	// HTTPClient makes the handshake; nil means http.DefaultClient. It must have no Timeout.
	HTTPClient *http.Client
	// Header is added to the handshake's request.
	Header http.Header
	// ReadLimit bounds a server message in bytes (default DefaultReadLimit).
	ReadLimit int64
}

// Conn is one connection that has been answered with `connected`. It neither reconnects nor answers
// pings. Send, Close and CloseNow may be called concurrently with everything, Receive and ReceiveRaw
// from one goroutine at a time.
type Conn struct {
	// Connected is the gateway's answer to `connect`. It is not changed afterwards.
	Connected wire.Frame

	ws    *websocket.Conn
	early []wire.Frame // owned by Receive: what came in one message with `connected`
}

// Dial opens a connection and connects with the token. The context bounds the handshake only.
func Dial(ctx context.Context, rawURL, token string) (*Conn, error) {
	return DialWith(ctx, DialOptions{URL: rawURL, Token: token})
}

// DialWith is [Dial] with all options. A refusal by the gateway is a [*wire.Error], one by HTTP a
// [*StatusError].
func DialWith(ctx context.Context, o DialOptions) (*Conn, error) {
	target, err := endpoint(o.URL)
	if err != nil {
		return nil, err
	}
	//nolint:bodyclose // the library replaces the body by a buffer on failure and takes it on success
	ws, res, err := websocket.Dial(ctx, target, &websocket.DialOptions{
		HTTPClient:   o.HTTPClient,
		HTTPHeader:   o.Header,
		Subprotocols: []string{wire.Subprotocol},
	})
	if err != nil {
		if res != nil && res.StatusCode != http.StatusSwitchingProtocols {
			err = refusedBy(res, err)
		}
		return nil, fmt.Errorf("dial %s: %w", target, err)
	}
	if o.ReadLimit <= 0 {
		o.ReadLimit = DefaultReadLimit
	}
	ws.SetReadLimit(o.ReadLimit)
	c := &Conn{ws: ws}
	if err := c.connect(ctx, o.Token, o.Session); err != nil {
		c.CloseNow()
		return nil, fmt.Errorf("connect to %s: %w", target, err)
	}
	return c, nil
}

// refusedBy returns the error of an HTTP answer that is no handshake. The library has read the first
// bytes of its body.
func refusedBy(res *http.Response, err error) *StatusError {
	e := &StatusError{Status: res.StatusCode, RetryAfter: retryAfter(res.Header, time.Now()), err: err}
	var problem struct {
		Code   wire.Code `json:"code"`
		Detail string    `json:"detail"`
	}
	if json.NewDecoder(res.Body).Decode(&problem) == nil {
		e.Code, e.Detail = problem.Code, problem.Detail
	}
	return e
}

// connect sends the first frame and waits for its answer.
func (c *Conn) connect(ctx context.Context, token, session string) error {
	if err := c.Send(ctx, appendConnect(nil, 1, token, session)); err != nil {
		return err
	}
	var refusal error
	for {
		frames, err := c.Receive(ctx)
		if err != nil {
			// The refusal says more than the close that follows it.
			return errors.Join(refusal, err)
		}
		for i := range frames {
			switch f := &frames[i]; f.Type {
			case frameConnected:
				c.Connected = *f
				c.early = frames[i+1:]
				return nil
			case frameError:
				e := &wire.Error{Code: f.Code, Message: f.Message, Path: f.Path}
				if string(f.ID) == "1" {
					return e
				}
				refusal = e
			}
		}
	}
}

// Send writes frames as one message: the frame itself when there is one, else an array.
func (c *Conn) Send(ctx context.Context, frames ...[]byte) error {
	switch len(frames) {
	case 0:
		return nil
	case 1:
		return c.SendRaw(ctx, frames[0])
	}
	msg := []byte{'['}
	for i, f := range frames {
		if i > 0 {
			msg = append(msg, ',')
		}
		msg = append(msg, f...)
	}
	return c.SendRaw(ctx, append(msg, ']'))
}

// SendRaw writes one message. When the context ends first, the connection is closed.
func (c *Conn) SendRaw(ctx context.Context, msg []byte) error {
	if err := c.ws.Write(ctx, websocket.MessageText, msg); err != nil {
		return fmt.Errorf("send: %w", err)
	}
	return nil
}

// Receive reads one message and decodes its frames. When the context ends first, the connection is
// closed.
func (c *Conn) Receive(ctx context.Context) ([]wire.Frame, error) {
	if len(c.early) > 0 {
		frames := c.early
		c.early = nil
		return frames, nil
	}
	msg, err := c.ReceiveRaw(ctx)
	if err != nil {
		return nil, err
	}
	return wire.Message(msg)
}

// ReceiveRaw reads one message without decoding it. Frames that came in one message with `connected`
// are given by Receive only.
func (c *Conn) ReceiveRaw(ctx context.Context) ([]byte, error) {
	_, msg, err := c.ws.Read(ctx)
	if err != nil {
		return nil, fmt.Errorf("receive: %w", err)
	}
	return msg, nil
}

// Close sends a close frame and waits up to five seconds for the gateway's.
func (c *Conn) Close(code int, reason string) error {
	return c.ws.Close(websocket.StatusCode(code), reason)
}

// CloseNow closes the socket without a close frame.
func (c *Conn) CloseNow() { _ = c.ws.CloseNow() }

// endpoint returns the WebSocket URL for what a user wrote.
func endpoint(raw string) (string, error) {
	u, err := url.Parse(raw)
	if err != nil {
		return "", fmt.Errorf("url: %w", err)
	}
	switch strings.ToLower(u.Scheme) {
	case "http", "ws":
		u.Scheme = "ws"
	case "https", "wss":
		u.Scheme = "wss"
	default:
		return "", fmt.Errorf("url: the scheme must be http, https, ws or wss, is %q", u.Scheme)
	}
	if u.Host == "" {
		return "", errors.New("url: the host is missing")
	}
	if u.User != nil {
		return "", errors.New("url: must hold no user or password, use a token")
	}
	if u.Path == "" || u.Path == "/" {
		u.Path = "/v1/ws"
	}
	u.Fragment = ""
	return u.String(), nil
}

// maxRetryAfter bounds how long a server may ask a client to stay away.
const maxRetryAfter = 5 * time.Minute

// retryAfter reads the Retry-After header, in seconds or as a date; 0 when there is none.
func retryAfter(h http.Header, now time.Time) time.Duration {
	v := h.Get("Retry-After")
	if v == "" {
		return 0
	}
	var d time.Duration
	if s, err := strconv.ParseUint(v, 10, 31); err == nil {
		d = time.Duration(s) * time.Second
	} else if t, err := http.ParseTime(v); err == nil {
		d = t.Sub(now)
	}
	return min(max(d, 0), maxRetryAfter)
}
