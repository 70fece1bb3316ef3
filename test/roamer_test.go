package test

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/coder/websocket"
	"github.com/stretchr/testify/require"

	"github.com/tallywire/tallywire/broker"
	"github.com/tallywire/tallywire/gateway/wire"
)

// roamer is a client that changes its transport every few seconds in the middle of its streams. It holds
// nothing but cursors: no gateway knows that it was elsewhere before.
type roamer struct {
	t         testing.TB
	journal   *journal
	url, name string // of the balancer, with the scheme http
	token     string
	http      *http.Client
	rounds    [3]atomic.Int64 // by transport: how often it was used
	events    [3]atomic.Int64 // and how many events came by it
	broken    atomic.Int64    // breaks of the rule for offsets

	// Owned by run.
	channels  []string
	cursors   map[string]broker.Cursor
	histories map[string]*history
}

var transports = [3]string{"websocket", "poll", "sse"}

func newRoamer(t testing.TB, j *journal, front, name string, channels ...string) *roamer {
	t.Helper()
	r := &roamer{
		t: t, journal: j, url: "http://" + front, name: name, token: token(t, name), channels: channels,
		http:    &http.Client{Transport: &http.Transport{MaxIdleConnsPerHost: 1}},
		cursors: map[string]broker.Cursor{}, histories: map[string]*history{},
	}
	for _, c := range channels {
		r.histories[c] = j.client(name+" "+c, c)
	}
	return r
}

// run roams until ctx ends: WebSocket, poll, event stream, WebSocket …
func (r *roamer) run(ctx context.Context, stay time.Duration) {
	defer r.http.CloseIdleConnections()
	use := [3]func(context.Context) error{r.webSocket, r.polls, r.eventStream}
	for i := 0; ctx.Err() == nil; i++ {
		turn, cancel := context.WithTimeout(ctx, stay/2+rand.N(stay))
		for turn.Err() == nil {
			if err := use[i%3](turn); err != nil && turn.Err() == nil {
				select { // a gateway is gone, or the balancer does not know yet
				case <-time.After(rand.N(100 * time.Millisecond)):
				case <-turn.Done():
				}
			}
		}
		cancel()
		r.rounds[i%3].Add(1)
	}
}

// requests are the channels with the cursors that the client has.
func (r *roamer) requests() []wire.StreamChannel {
	var out []wire.StreamChannel
	for _, c := range r.channels {
		request := wire.StreamChannel{Channel: c}
		if at, ok := r.cursors[c]; ok {
			request.Cursor = at.String()
		}
		out = append(out, request)
	}
	return out
}

func (r *roamer) webSocket(ctx context.Context) error {
	ws, _, err := websocket.Dial(ctx, r.url+"/v1/ws", nil) //nolint:bodyclose // Dial takes it
	if err != nil {
		return err
	}
	defer func() { _ = ws.CloseNow() }()
	ws.SetReadLimit(1 << 20)
	channels, err := json.Marshal(r.requests())
	if err != nil {
		return err
	}
	hello := fmt.Sprintf(`[{"type":"connect","token":%q,"session":%q},{"type":"subscribe","channels":%s}]`, r.token, r.name, channels)
	if err := ws.Write(ctx, websocket.MessageText, []byte(hello)); err != nil {
		return err
	}
	for {
		_, msg, err := ws.Read(ctx)
		if err != nil {
			return err
		}
		if r.take(0, msg) {
			return nil
		}
	}
}

func (r *roamer) polls(ctx context.Context) error {
	for {
		resp, err := r.post(ctx, "/v1/poll", wire.StreamRequest{Session: r.name, Channels: r.requests()})
		if err != nil {
			return err
		}
		msg, err := io.ReadAll(resp.Body)
		_ = resp.Body.Close()
		if err != nil {
			return err
		}
		r.take(1, msg)
	}
}

func (r *roamer) eventStream(ctx context.Context) error {
	resp, err := r.post(ctx, "/v1/sse", wire.StreamRequest{Session: r.name, Channels: r.requests()})
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	lines := bufio.NewScanner(resp.Body)
	lines.Buffer(nil, 1<<20)
	for lines.Scan() {
		if data, ok := bytes.CutPrefix(lines.Bytes(), []byte("data: ")); ok && r.take(2, data) {
			return nil
		}
	}
	return lines.Err()
}

func (r *roamer) post(ctx context.Context, path string, body wire.StreamRequest) (*http.Response, error) {
	text, err := json.Marshal(body)
	if err != nil {
		return nil, err
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, r.url+path, bytes.NewReader(text))
	if err != nil {
		return nil, err
	}
	req.Header.Set("Authorization", "Bearer "+r.token)
	resp, err := r.http.Do(req)
	if err == nil && resp.StatusCode != http.StatusOK {
		_ = resp.Body.Close()
		return nil, fmt.Errorf("%s: %s", path, resp.Status)
	}
	return resp, err
}

// take takes a server message, and reports whether the client is told to move.
func (r *roamer) take(transport int, msg []byte) (moving bool) {
	frames, err := wire.Message(msg)
	require.NoError(r.t, err)
	for _, f := range frames {
		last, known := r.cursors[f.Channel]
		switch f.Type {
		case "subscribed":
			if !known {
				r.cursors[f.Channel] = *f.Cursor
				r.journal.mu.Lock()
				r.histories[f.Channel].start = *f.Cursor
				r.journal.mu.Unlock()
			}
		case "event", "skip":
			missing := f.Skipped
			if f.Type == "event" {
				missing++
				r.events[transport].Add(1)
			}
			if f.Cursor.Offset != last.Offset+missing {
				r.broken.Add(1)
			}
			var body struct {
				Data struct {
					Value string `json:"value"`
				} `json:"data"`
			}
			_ = json.Unmarshal(f.Event, &body)
			r.cursors[f.Channel] = *f.Cursor
			r.journal.add(r.histories[f.Channel], step{cursor: *f.Cursor, skipped: f.Skipped, value: body.Data.Value})
		case "reset":
			r.cursors[f.Channel] = *f.Cursor
			r.journal.add(r.histories[f.Channel], step{cursor: *f.Cursor, reset: f.Reason})
		case "moving":
			moving = true
		}
	}
	return moving
}

// startRoamers starts clients that roam, and waits until each has begun to read every channel.
func startRoamers(t testing.TB, j *journal, front string, n int, stay time.Duration, channels ...string) []*roamer {
	t.Helper()
	ctx, stop := context.WithCancel(context.Background())
	var all []*roamer
	var wg sync.WaitGroup
	t.Cleanup(func() {
		stop()
		wg.Wait()
	})
	for i := range n {
		r := newRoamer(t, j, front, "roamer-"+itoa(i), channels...)
		all = append(all, r)
		wg.Go(func() { r.run(ctx, stay) })
	}
	require.Eventually(t, func() bool {
		j.mu.Lock()
		defer j.mu.Unlock()
		for _, h := range j.clients {
			if strings.HasPrefix(h.name, "roamer-") && h.start.IsZero() {
				return false
			}
		}
		return true
	}, patience, poll, "not every client has begun")
	return all
}
