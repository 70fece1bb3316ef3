package gateway_test

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/coder/websocket"
	"github.com/stretchr/testify/require"

	"github.com/tallywire/tallywire/gateway/wire"
)

// socketSource reads from a WebSocket.
type socketSource struct{ client *client }

func openSocket(f *feed) source {
	ctx, cancel := inTime()
	defer cancel()
	httpClient := f.rig.smallClient(f.receive)
	ws, _, err := websocket.Dial(ctx, strings.Replace(f.rig.url, "http", "ws", 1)+"/v1/ws", //nolint:bodyclose // an upgrade has none
		&websocket.DialOptions{HTTPClient: httpClient})
	require.NoError(f.t, err)
	ws.SetReadLimit(8 << 20)
	s := socketSource{&client{t: f.t, ws: ws}}
	s.client.send(`{"type":"connect","token":"%s","session":"%s"}`, f.token, f.session)
	ask, err := json.Marshal(map[string]any{"type": "subscribe", "channels": f.asked})
	require.NoError(f.t, err)
	s.client.send("%s", ask)
	return s
}

func (s socketSource) frames() ([]wire.Frame, error) {
	for {
		x, err := s.client.read()
		if err != nil || x.Type != "connected" {
			return []wire.Frame{x}, err
		}
	}
}

func (socketSource) composite() string { return "" }

func (s socketSource) close() { _ = s.client.ws.CloseNow() }

// sseEvent is one event of an event stream as it stands there.
type sseEvent struct {
	id, data, retry string
	comment         bool
}

// streamSource reads from an event stream, and checks the composite of every message.
type streamSource struct {
	feed   *feed
	client *http.Client
	cancel context.CancelFunc
	body   io.Closer
	reader *bufio.Reader
	at     positions
	last   string // Last-Event-ID
	err    error  // refused
}

// openStream opens an event stream; every other one by POST.
func openStream(f *feed) source {
	s := &streamSource{feed: f, client: f.rig.smallClient(f.receive), at: maps.Clone(f.at)}
	ctx, cancel := context.WithCancel(context.Background())
	s.cancel = cancel
	late := time.AfterFunc(patience, cancel)
	defer late.Stop()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, f.rig.url+"/v1/sse?"+query(f.session, f.asked).Encode(), nil)
	if len(f.asked)%2 == 0 || len(f.asked) > 50 {
		body, _ := json.Marshal(wire.StreamRequest{Session: f.session, Channels: f.asked})
		req, err = http.NewRequestWithContext(ctx, http.MethodPost, f.rig.url+"/v1/sse", bytes.NewReader(body))
	}
	require.NoError(f.t, err)
	req.Header.Set("Authorization", "Bearer "+f.token)
	if f.resume != "" {
		req.Header.Set("Last-Event-ID", f.resume)
	}
	resp, err := s.client.Do(req) //nolint:bodyclose // close does
	require.NoError(f.t, err)
	s.body = resp.Body
	if resp.StatusCode != http.StatusOK {
		body, _ := io.ReadAll(resp.Body)
		s.err = refusalOf(resp.StatusCode, body)
		return s
	}
	require.Equal(f.t, "text/event-stream", resp.Header.Get("Content-Type"))
	s.reader = bufio.NewReaderSize(resp.Body, 16)
	return s
}

func (s *streamSource) frames() ([]wire.Frame, error) {
	for s.err == nil {
		e, err := s.event()
		if err != nil {
			return nil, err
		}
		if e.data == "" {
			continue
		}
		frames, err := wire.Message([]byte(e.data))
		if err != nil {
			return nil, fmt.Errorf("%w: %.200s", err, e.data)
		}
		for _, x := range frames {
			if err := s.at.take(x); err != nil {
				return nil, err
			}
		}
		if e.id != "" {
			s.last = e.id
			if err := s.at.agree(e.id, s.feed.asked); err != nil {
				return nil, err
			}
		}
		if frames = slices.DeleteFunc(frames, func(x wire.Frame) bool { return x.Type == "connected" }); len(frames) > 0 {
			return frames, nil
		}
	}
	return nil, s.err
}

// event reads one event of the stream.
func (s *streamSource) event() (sseEvent, error) {
	late := time.AfterFunc(patience, s.cancel)
	defer late.Stop()
	return readEvent(s.reader)
}

// readEvent reads one event of a stream, as a browser does.
func readEvent(r *bufio.Reader) (e sseEvent, err error) {
	for {
		line, err := r.ReadString('\n')
		if err != nil {
			return e, err
		}
		line = strings.TrimSuffix(line, "\n")
		name, value, _ := strings.Cut(line, ":")
		value = strings.TrimPrefix(value, " ")
		switch {
		case line == "":
			return e, nil
		case name == "":
			e.comment = true
		case name == "id":
			e.id = value
		case name == "data":
			if e.data != "" {
				e.data += "\n"
			}
			e.data += value
		case name == "retry":
			e.retry = value
		default:
			return e, fmt.Errorf("unknown field in an event stream: %q", line)
		}
	}
}

func (s *streamSource) composite() string { return s.last }

func (s *streamSource) close() {
	s.cancel()
	_ = s.body.Close()
	s.client.CloseIdleConnections()
}

// query is what a GET says of channels.
func query(session string, channels []wire.StreamChannel) url.Values {
	q := url.Values{"session": {session}}
	for _, c := range channels {
		at := c.Cursor + c.Since
		if at != "" {
			at = "@" + at
		}
		q.Add("channel", c.Channel+at)
		if c.Presence && c.Members != nil {
			q.Add("presence", c.Channel+"@"+strconv.FormatUint(*c.Members, 10))
		} else if c.Presence {
			q.Add("presence", c.Channel)
		}
	}
	return q
}
