package gateway_test

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/coder/websocket"
	"github.com/stretchr/testify/require"

	"github.com/tallywire/tallywire/broker"
	"github.com/tallywire/tallywire/events"
	"github.com/tallywire/tallywire/gateway"
	"github.com/tallywire/tallywire/gateway/auth"
	"github.com/tallywire/tallywire/gateway/contract/contracttest"
	"github.com/tallywire/tallywire/gateway/wire"
	"github.com/tallywire/tallywire/namespace"
	"github.com/tallywire/tallywire/presence"
	"github.com/tallywire/tallywire/receipt"
	"github.com/tallywire/tallywire/receipt/memreceipt"
)

// recorder is a gateway all whose traffic is held against its contract.
type recorder struct {
	*crowd
	traffic *contracttest.Traffic
	all     string // a token that allows everything
}

func newRecorder(t *testing.T, traffic *contracttest.Traffic, change func(*gateway.Options)) *recorder {
	t.Helper()
	book, err := memreceipt.New(memreceipt.Options{})
	require.NoError(t, err)
	options := crowdOptions{wrap: func(p presence.Tracker) presence.Tracker { return faultyTracker{p} }}
	options.namespaces = map[string]namespace.Options{
		"latest": {Delivery: namespace.DeliverLatest}, "short": {MaxLen: 3}, "brief": {Grace: time.Millisecond},
	}
	options.change = func(o *gateway.Options) {
		o.Auth, o.Broker, o.Receipts = failingAuth{o.Auth}, faultyBroker{o.Broker}, faultyBook{book}
		if change != nil {
			change(o)
		}
	}
	r := &recorder{crowd: newCrowd(t, options), traffic: traffic}
	r.all = r.token("alice", nil)
	if r.traffic == nil {
		registry, err := events.NewRegistry(events.Options{})
		require.NoError(t, err)
		schemas := map[string][]byte{}
		for _, e := range registry.Types() {
			path := fmt.Sprintf("/schemas/%s?version=%d", e.Name, e.Version)
			schemas[path], _ = registry.Schema(e.Name)
		}
		get := func(path string) []byte { return []byte(r.get(path, "", nil).body) }
		r.traffic = contracttest.New(t, get("/openapi.json"), get("/asyncapi.json"), schemas)
	}
	return r
}

// failingAuth refuses the token "!code" with that code, and panics at "!panic".
type failingAuth struct{ gateway.Authenticator }

func (a failingAuth) Authenticate(ctx context.Context, token string) (*auth.Principal, error) {
	code, bad := strings.CutPrefix(token, "!")
	switch {
	case code == "panic":
		panic("the test wants it")
	case bad:
		return nil, &auth.Error{Code: auth.Code(code), Message: "the test wants it"}
	}
	return a.Authenticator.Authenticate(ctx, token) //nolint:wrapcheck // passed on
}

// faults are the channels of which the store refuses everything.
var faults = map[string]error{
	"fault:unavailable": broker.ErrUnavailable, "fault:overloaded": broker.ErrOverloaded, "fault:refused": broker.ErrRefused,
}

type faultyBroker struct{ broker.Broker }

func (b faultyBroker) Publish(ctx context.Context, p broker.Publication, done func(broker.Receipt, error)) {
	if err := faults[p.Channel]; err != nil {
		done(broker.Receipt{}, err)
		return
	}
	b.Broker.Publish(ctx, p, done)
}

func (b faultyBroker) Read(ctx context.Context, channel string, r broker.ReadRequest) (broker.Page, error) {
	if err := faults[channel]; err != nil {
		return broker.Page{}, err
	}
	return b.Broker.Read(ctx, channel, r) //nolint:wrapcheck // passed on
}

func (b faultyBroker) Subscribe(ctx context.Context, channel string) (broker.Head, error) {
	if err := faults[channel]; err != nil {
		return broker.Head{}, err
	}
	return b.Broker.Subscribe(ctx, channel) //nolint:wrapcheck // passed on
}

// faultyBook fails for the sessions "busy" and "crowded".
type faultyBook struct{ receipt.Book }

func (b faultyBook) Open(ctx context.Context, key receipt.Key, seq uint64) (receipt.Opened, error) {
	switch key.Session {
	case "busy":
		return receipt.Opened{}, receipt.ErrInProgress
	case "crowded":
		return receipt.Opened{}, receipt.ErrOverloaded
	}
	return b.Book.Open(ctx, key, seq) //nolint:wrapcheck // passed on
}

type faultyTracker struct{ presence.Tracker }

func (t faultyTracker) Members(ctx context.Context, channel string, r presence.PageRequest) (presence.Page, error) {
	switch channel {
	case "fault:unavailable":
		return presence.Page{}, presence.ErrUnavailable
	case "fault:refused":
		return presence.Page{}, presence.ErrRefused
	}
	return t.Tracker.Members(ctx, channel, r) //nolint:wrapcheck // passed on
}

// call makes a request and holds it and its answer against the contract.
func (r *recorder) call(method, path, token string, header http.Header, body string) answer {
	r.t.Helper()
	a := r.send(method, path, token, header, body)
	require.NoError(r.t, r.traffic.Check(exchange(method, path, header, body, a)))
	return a
}

// send makes a request. A body is JSON unless the header says otherwise.
func (r *recorder) send(method, path, token string, header http.Header, body string) answer {
	r.t.Helper()
	var reader io.Reader
	if body != "" {
		reader = strings.NewReader(body)
		if header.Get("Content-Type") == "" {
			header = header.Clone()
			if header == nil {
				header = http.Header{}
			}
			header.Set("Content-Type", "application/json")
		}
	}
	return r.request(method, path, token, header, reader)
}

func exchange(method, path string, header http.Header, body string, a answer) contracttest.Exchange {
	kind := header.Get("Content-Type")
	if kind == "" {
		kind = "application/json"
	}
	return contracttest.Exchange{
		Method: method, URL: path, RequestType: kind, Request: []byte(body), Status: a.status, Header: a.header, Body: []byte(a.body),
	}
}

// get makes a request with a token that allows everything.
func (r *recorder) read(path string) answer {
	r.t.Helper()
	return r.call(http.MethodGet, path, r.all, nil, "")
}

// stream opens an event stream, and returns once what was heard is what is wanted. acts are done one after
// another, each once what it waits for was heard.
func (r *recorder) stream(method, path, body string, acts []act, wanted func(heard string) bool) {
	r.t.Helper()
	ctx, cancel := context.WithTimeout(r.t.(*testing.T).Context(), patience)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, method, r.url+path, strings.NewReader(body))
	require.NoError(r.t, err)
	req.Header.Set("Authorization", "Bearer "+r.all)
	resp, err := http.DefaultClient.Do(req)
	require.NoError(r.t, err)
	defer func() { _ = resp.Body.Close() }()
	require.Equal(r.t, http.StatusOK, resp.StatusCode)
	x := exchange(method, path, nil, body, answer{status: resp.StatusCode, header: resp.Header})
	var heard strings.Builder
	for lines := bufio.NewScanner(resp.Body); lines.Scan(); {
		data, ok := strings.CutPrefix(lines.Text(), "data: ")
		if !ok {
			continue
		}
		x.StreamEvents = append(x.StreamEvents, []byte(data))
		heard.WriteString(data)
		if len(acts) > 0 && acts[0].after(heard.String()) {
			acts[0].do()
			acts = acts[1:]
		}
		if wanted(heard.String()) {
			break
		}
	}
	require.True(r.t, wanted(heard.String()), heard.String())
	r.traffic.HTTP(x)
}

// act is what a test does once it has heard something.
type act struct {
	after func(heard string) bool
	do    func()
}

// speaker is a WebSocket client whose messages, both ways, are held against the contract.
type speaker struct {
	*client
	r *recorder
	// asked are the frames that wait for an answer, by id.
	asked map[string]string
}

func (r *recorder) speaker() *speaker {
	r.t.Helper()
	return &speaker{client: r.dial(nil), r: r, asked: map[string]string{}}
}

// connected returns a speaker that has a session.
func (r *recorder) connected(user string) *speaker {
	r.t.Helper()
	s := r.speaker()
	s.say(`{"type":"connect","id":1,"token":"` + r.token(user, nil) + `","session":"s-` + user + `"}`)
	s.hear("connected")
	return s
}

// say sends a message that the contract has.
func (s *speaker) say(message string) {
	s.t.Helper()
	s.r.traffic.FromClient([]byte(message))
	var f struct {
		ID   json.RawMessage
		Type string
	}
	if json.Unmarshal([]byte(message), &f) == nil && f.ID != nil {
		s.asked[string(f.ID)] = f.Type
	}
	s.send("%s", message)
}

// hear reads until a frame of a type, and returns it.
func (s *speaker) hear(kind string) wire.Frame {
	s.t.Helper()
	return s.hearThat(kind, func(f wire.Frame) bool { return f.Type == kind })
}

func (s *speaker) hearThat(what string, wanted func(wire.Frame) bool) wire.Frame {
	s.t.Helper()
	for {
		for len(s.frames) > 0 {
			f := s.frames[0]
			s.frames = s.frames[1:]
			s.answers(f)
			if wanted(f) {
				return f
			}
		}
		ctx, cancel := context.WithTimeout(context.Background(), patience)
		_, msg, err := s.ws.Read(ctx)
		cancel()
		if code := websocket.CloseStatus(err); code >= 0 {
			s.r.traffic.Closed(int(code))
		}
		require.NoError(s.t, err, "until %s", what)
		s.r.traffic.FromServer(msg)
		s.frames, err = wire.Message(msg)
		require.NoError(s.t, err)
	}
}

// answers checks that a frame with an id is one that the contract names as an answer.
func (s *speaker) answers(f wire.Frame) {
	s.t.Helper()
	asked, ok := s.asked[string(f.ID)]
	if f.ID == nil || !ok || f.Type == "error" {
		return
	}
	for _, shape := range wire.ClientShapes() {
		if shape.Type == asked {
			require.Contains(s.t, shape.Answers, f.Type)
		}
	}
}

// closed reads to the end, which must be a close with a code.
func (s *speaker) closed(code int) {
	s.t.Helper()
	for {
		ctx, cancel := context.WithTimeout(context.Background(), patience)
		_, msg, err := s.ws.Read(ctx)
		cancel()
		if err != nil {
			require.Equal(s.t, code, int(websocket.CloseStatus(err)), "%v", err)
			s.r.traffic.Closed(code)
			return
		}
		s.r.traffic.FromServer(msg)
	}
}

// The check of traffic can fail: whatever is changed of an exchange that the contract has, it has not.
func TestOtherTrafficIsNotInTheContract(t *testing.T) {
	r := newRecorder(t, nil, nil)
	body := `{"channel":"jobs:1","event":{"type":"x"}}`
	good := func() contracttest.Exchange {
		return exchange(http.MethodPost, "/v1/publish", nil, body, r.send(http.MethodPost, "/v1/publish", r.all, nil, body))
	}
	bad := func() contracttest.Exchange {
		return exchange(http.MethodPost, "/v1/publish", nil, "{}", r.send(http.MethodPost, "/v1/publish", "", nil, "{}"))
	}
	require.NoError(t, r.traffic.Check(good()))
	require.NoError(t, r.traffic.Check(bad()))
	replace := func(x *contracttest.Exchange, old, text string) {
		before := string(x.Body)
		x.Body = []byte(strings.Replace(before, old, text, 1))
		require.NotEqual(t, before, string(x.Body))
	}
	for what, change := range map[string]func(x *contracttest.Exchange){
		"path":               func(x *contracttest.Exchange) { x.URL = "/v1/other" },
		"method":             func(x *contracttest.Exchange) { x.Method = http.MethodPut },
		"status":             func(x *contracttest.Exchange) { x.Status = http.StatusCreated },
		"parameter":          func(x *contracttest.Exchange) { x.URL += "?surplus=1" },
		"media type":         func(x *contracttest.Exchange) { x.Header.Set("Content-Type", "text/plain") },
		"no body":            func(x *contracttest.Exchange) { x.Body = nil },
		"member too many":    func(x *contracttest.Exchange) { replace(x, `{`, `{"surplus":1,`) },
		"member too few":     func(x *contracttest.Exchange) { replace(x, `"duplicate"`, `"duplicated"`) },
		"member's kind":      func(x *contracttest.Exchange) { replace(x, `"channel":"jobs:1"`, `"channel":7`) },
		"cursor":             func(x *contracttest.Exchange) { replace(x, `"cursor":"`, `"cursor":"0`) },
		"request's kind":     func(x *contracttest.Exchange) { x.Request = []byte(`{"channel":7}`) },
		"request's channel":  func(x *contracttest.Exchange) { x.Request = []byte(`{"channel":"_no","event":{"type":"x"}}`) },
		"request's event":    func(x *contracttest.Exchange) { x.Request = []byte(`{"channel":"jobs:1","event":{}}`) },
		"request is no JSON": func(x *contracttest.Exchange) { x.Request = []byte(`{`) },
	} {
		x := good()
		change(&x)
		require.Error(t, r.traffic.Check(x), what)
	}
	for what, change := range map[string]func(x *contracttest.Exchange){
		"code of another status": func(x *contracttest.Exchange) { replace(x, `"unauthorized"`, `"forbidden"`) },
		"code that is none":      func(x *contracttest.Exchange) { replace(x, `"unauthorized"`, `"unheard_of"`) },
		"status in the body":     func(x *contracttest.Exchange) { replace(x, `401`, `403`) },
	} {
		x := bad()
		change(&x)
		require.Error(t, r.traffic.Check(x), what)
	}
	require.Error(t, r.traffic.CheckServer([]byte(`[{"type":"moving","after_ms":-1}]`)))
	require.Error(t, r.traffic.CheckServer([]byte(`{"type":"pong"}`)), "a message of a gateway is an array")
}
