package gateway_test

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"sync"
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
	resp, err := s.client.Do(req)
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

// standing ends the answer to a poll.
type standing struct {
	Type     string
	Channels []wire.StreamChannel
	Cursors  string
	More     bool
	Degraded bool
}

// pollAnswer is the answer to one poll, checked for what holds for each.
type pollAnswer struct {
	answer
	frames []wire.Frame
	next   standing
}

// readPoll reads the answer to a poll: a JSON array of frames, of which `next` is the last, in one piece.
func readPoll(a answer) (pollAnswer, error) {
	p := pollAnswer{answer: a}
	if a.status != http.StatusOK {
		return p, refusalOf(a.status, []byte(a.body))
	}
	var raw []json.RawMessage
	if err := json.Unmarshal([]byte(a.body), &raw); err != nil {
		return p, fmt.Errorf("%w: %.300s", err, a.body)
	}
	frames, err := wire.Message([]byte(a.body))
	if err != nil {
		return p, err
	}
	if n := len(frames); n == 0 || frames[n-1].Type != "next" {
		return p, fmt.Errorf("no next at the end of %.300s", a.body)
	}
	if err := json.Unmarshal(raw[len(raw)-1], &p.next); err != nil {
		return p, err
	}
	p.frames = frames[:len(frames)-1]
	switch {
	case slices.ContainsFunc(p.frames, func(f wire.Frame) bool { return f.Type == "next" || f.Type == "connected" }):
		return p, fmt.Errorf("not for a poll: %.300s", a.body)
	case a.header.Get("Content-Type") != "application/json", a.header.Get("Content-Length") != strconv.Itoa(len(a.body)):
		return p, fmt.Errorf("headers %v", a.header)
	}
	return p, nil
}

// pollSource polls, and hands over one answer at a time: while that is not taken, it does not poll on.
type pollSource struct {
	feed    *feed
	client  *http.Client
	cancel  context.CancelFunc
	running sync.WaitGroup
	answers chan pollAnswer
	err     error // set before answers is closed
	last    string

	// Owned by the goroutine.
	at      positions
	ask     []wire.StreamChannel
	cursors string
	polls   int
}

func openPolls(f *feed) source {
	ctx, cancel := context.WithCancel(context.Background())
	p := &pollSource{
		feed: f, client: f.rig.smallClient(f.receive), cancel: cancel,
		answers: make(chan pollAnswer), at: maps.Clone(f.at), ask: f.asked, cursors: f.resume,
	}
	p.running.Go(func() {
		defer close(p.answers)
		for p.err == nil {
			var a pollAnswer
			if a.frames, p.err = p.poll(ctx); len(a.frames) == 0 {
				continue
			}
			a.next.Cursors = p.cursors
			select {
			case p.answers <- a:
			case <-ctx.Done():
				return
			}
		}
	})
	return p
}

var errPatience = errors.New("nothing has come")

func (p *pollSource) frames() ([]wire.Frame, error) {
	late := time.NewTimer(patience)
	defer late.Stop()
	select {
	case a, open := <-p.answers:
		if !open {
			return nil, p.err
		}
		p.last = a.next.Cursors
		return a.frames, nil
	case <-late.C:
		return nil, errPatience
	}
}

// poll makes one poll, and puts its `next` into the next one.
func (p *pollSource) poll(ctx context.Context) ([]wire.Frame, error) {
	first := p.polls == 0
	p.polls++
	wait := int64(5000)
	if first {
		wait = 0 // what it cannot honour it says, so that where it says nothing all is well
	}
	a, err := p.do(ctx, wait)
	var refused refusal
	if errors.As(err, &refused) && refused.Retry { // as the other transports say it
		pause(ctx, 20*time.Millisecond)
		p.polls = 0
		return []wire.Frame{{
			Type: "error", Channel: refused.Channel, Code: refused.Code, Message: refused.Detail, Retry: true,
		}}, nil
	}
	if err != nil {
		return nil, err
	}
	frames := a.frames
	if first {
		frames = append(p.resumed(frames), frames...)
	}
	for _, x := range frames {
		if err := p.at.take(x); err != nil {
			return nil, err
		}
	}
	for _, c := range a.next.Channels {
		if at, known := p.at[c.Channel]; known && c.Cursor != at.String() {
			return nil, fmt.Errorf("next says %s of %s, which is at %s", c.Cursor, c.Channel, at)
		}
	}
	if err := p.at.agree(a.next.Cursors, a.next.Channels); err != nil {
		return nil, err
	}
	p.ask, p.cursors = a.next.Channels, a.next.Cursors
	if slices.ContainsFunc(frames, func(x wire.Frame) bool { return x.Type == "error" && x.Retry }) {
		pause(ctx, 20*time.Millisecond) // as a client does: not at once
	}
	return frames, nil
}

// pause waits, as a client does before it tries again.
func pause(ctx context.Context, d time.Duration) {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
	case <-ctx.Done():
	}
}

// do makes one request: in turn by what the last `next` lists, and by its composite.
func (p *pollSource) do(ctx context.Context, wait int64) (pollAnswer, error) {
	var req *http.Request
	var err error
	base := p.feed.rig.url + "/v1/poll"
	if p.cursors != "" && p.polls%2 == 0 && len(p.ask) <= 50 {
		ask := slices.Clone(p.ask)
		for i := range ask {
			ask[i].Cursor = ""
		}
		q := query(p.feed.session, ask)
		q.Set("cursors", p.cursors)
		q.Set("wait_ms", strconv.FormatInt(wait, 10))
		req, err = http.NewRequestWithContext(ctx, http.MethodGet, base+"?"+q.Encode(), nil)
	} else {
		ask := wire.StreamRequest{Session: p.feed.session, Channels: p.ask, WaitMS: &wait}
		if p.polls == 1 {
			ask.Cursors = p.cursors
		}
		body, _ := json.Marshal(ask)
		req, err = http.NewRequestWithContext(ctx, http.MethodPost, base, bytes.NewReader(body))
	}
	if err != nil {
		return pollAnswer{}, err
	}
	req.Header.Set("Authorization", "Bearer "+p.feed.token)
	resp, err := p.client.Do(req)
	if err != nil {
		return pollAnswer{}, err
	}
	defer func() { _ = resp.Body.Close() }()
	text, err := io.ReadAll(resp.Body)
	if err != nil {
		return pollAnswer{}, err
	}
	return readPoll(answer{status: resp.StatusCode, header: resp.Header, body: string(text)})
}

// resumed says of the channels that a first answer says nothing of what the other transports say: that they
// go on after their cursor.
func (p *pollSource) resumed(frames []wire.Frame) (out []wire.Frame) {
	for _, c := range p.feed.asked {
		at, known := p.at[c.Channel]
		told := slices.ContainsFunc(frames, func(x wire.Frame) bool {
			return x.Channel == c.Channel && (x.Type == "subscribed" || x.Type == "error" && x.Path != "/presence")
		})
		if known && !told {
			out = append(out, wire.Frame{Type: "subscribed", Channel: c.Channel, Cursor: &at, Resumed: true})
		}
	}
	return out
}

func (p *pollSource) composite() string { return p.last }

func (p *pollSource) close() {
	p.cancel()
	p.running.Wait()
	p.client.CloseIdleConnections()
}
