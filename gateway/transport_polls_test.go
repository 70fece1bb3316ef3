package gateway_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"net/http"
	"slices"
	"strconv"
	"sync"
	"time"

	"github.com/tallywire/tallywire/gateway/wire"
)

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
