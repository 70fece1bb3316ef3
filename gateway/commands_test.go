package gateway_test

import (
	"context"
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/tallywire/tallywire/broker"
	"github.com/tallywire/tallywire/gateway"
	"github.com/tallywire/tallywire/gateway/auth"
	"github.com/tallywire/tallywire/gateway/wire"
	"github.com/tallywire/tallywire/receipt"
	"github.com/tallywire/tallywire/receipt/memreceipt"
)

// newBook returns a book of receipts.
func newBook(t testing.TB, lease time.Duration) *memreceipt.Book {
	t.Helper()
	book, err := memreceipt.New(memreceipt.Options{Options: receipt.Options{Lease: lease}})
	require.NoError(t, err)
	return book
}

// withReceipts gives a gateway a book.
func withReceipts(book receipt.Book) func(*gateway.Options) {
	return func(o *gateway.Options) { o.Receipts = book }
}

// send sends commands.
func (r *rig) send(token, format string, args ...any) answer {
	r.t.Helper()
	return r.request(http.MethodPost, "/v1/commands", token, nil, strings.NewReader(fmt.Sprintf(format, args...)))
}

// command sends commands that are taken, and returns the answers.
func (r *rig) command(token, format string, args ...any) []wire.Frame {
	r.t.Helper()
	a := r.send(token, format, args...)
	require.Equal(r.t, http.StatusOK, a.status, a.body)
	require.Equal(r.t, "application/json", a.header.Get("Content-Type"))
	frames, err := wire.Message([]byte(a.body))
	require.NoError(r.t, err, a.body)
	return frames
}

// log returns the events of a channel's log, but for the one that opens it.
func (r *rig) log(channel string) (out []string) {
	r.t.Helper()
	page, err := r.broker.Read(r.t.Context(), channel, broker.ReadRequest{From: 2, Limit: 1000})
	require.NoError(r.t, err)
	for _, e := range page.Entries {
		out = append(out, string(e.Event))
	}
	return out
}

func TestCommandsAreAnswered(t *testing.T) {
	t.Parallel()
	r := newCrowd(t, crowdOptions{})
	may := everything()
	may.Publish = []string{"jobs:*", "m:*"}
	token := r.token("alice", may)
	listener := r.connect("bob", nil)
	listener.subscribe("jobs:1", "")
	frames := r.command(token, `{"session":"s","frames":[
		{"type":"publish","id":1,"channel":"jobs:1","event":{"type":"x","data":1}},
		{"type":"publish","id":"two","channel":"jobs:1","event":{"type":"x","id":"e2"},"ack":"stored"},
		{"type":"publish","id":3,"channel":"secret:1","event":{"type":"x"}},
		{"type":"publish","id":4,"channel":"jobs:1","event":{"type":"job.progress","data":{"percent":1}}},
		{"type":"signal","id":5,"channel":"jobs:1","event":{"type":"x.here"}},
		{"type":"signal","channel":"jobs:1","event":{"type":"x.there"}},
		{"type":"presence","id":6,"channel":"m:7","status":{"row":1}},
		{"type":"members","id":7,"channel":"m:8"},
		{"type":"ping"},{"type":"pong"},
		{"type":"subscribe","id":8,"channel":"jobs:1"},{"type":"unsubscribe","id":9,"channel":"jobs:1"},
		{"type":"connect","id":10,"token":"x"},{"type":"refresh","id":11,"token":"x"},
		{"type":"dance","id":12},{"id":13},{"type":7,"id":14},
		{"type":"presence","id":15,"channel":"m:9","leave":true}]}`)
	byID := map[string]wire.Frame{}
	pongs := 0
	for _, f := range frames {
		if f.Type == "pong" {
			pongs++
			continue
		}
		_, twice := byID[string(f.ID)]
		require.False(t, twice, "%+v", f)
		byID[string(f.ID)] = f
	}
	require.Equal(t, 1, pongs)
	for id, want := range map[string]string{
		"1": "published", `"two"`: "published", "3": "error forbidden", "4": "error invalid_event", "5": "published",
		"6": "present", "7": "members", "8": "error unsupported", "9": "error unsupported", "10": "error unsupported",
		"11": "error unsupported", "12": "error unknown_type", "13": "error invalid_frame", "14": "error invalid_frame",
		"15": "error not_subscribed",
	} {
		f, answered := byID[id]
		require.True(t, answered, id)
		require.Equal(t, want, strings.TrimSpace(f.Type+" "+string(f.Code)), id)
		delete(byID, id)
	}
	require.Empty(t, byID, "and nothing else")
	require.Equal(t, []string{"event", "event", "signal", "signal"},
		[]string{listener.next().Type, listener.next().Type, listener.next().Type, listener.next().Type})
	require.Equal(t, []string{`{"source":"alice","type":"x","data":1}`, `{"source":"alice","type":"x","id":"e2"}`}, r.log("jobs:1"))
	require.Equal(t, []string{"alice live 1"}, r.here("m:7"))
}

// What is published in a batch is stored in the order sent, and so is what follows it.
func TestCommandsKeepTheirOrder(t *testing.T) {
	t.Parallel()
	r := newRig(t, rigOptions{change: withReceipts(newBook(t, 0))})
	token := r.token("alice", nil)
	const batches, each = 20, 50
	for b := range batches {
		var list []string
		for i := range each {
			list = append(list, fmt.Sprintf(`{"type":"publish","id":%d,"channel":"jobs:2","event":%s}`, i, event(b*each+i)))
		}
		frames := r.command(token, `{"session":"s","seq":%d,"frames":[%s]}`, b+1, strings.Join(list, ","))
		require.Len(t, frames, each)
		for i, f := range frames {
			require.Equal(t, "published", f.Type)
			require.Equal(t, fmt.Sprint(i), string(f.ID))
			require.EqualValues(t, 2+b*each+i, f.Cursor.Offset)
		}
	}
	for n, e := range r.log("jobs:2") {
		require.Contains(t, e, fmt.Sprintf(`{"n":%d}`, n))
	}
}

// A batch that is sent again is answered with the same bytes, here and at another gateway, and nothing of it
// is done again.
func TestCommandsAreDoneOnce(t *testing.T) {
	t.Parallel()
	book := newBook(t, 0)
	a := newRig(t, rigOptions{change: withReceipts(book)})
	b := newRig(t, rigOptions{store: a.store, change: withReceipts(book)})
	token := a.token("alice", nil)
	const batch = `{"session":"s","seq":%d,"frames":[{"type":"publish","id":1,"channel":"jobs:1","event":{"type":"x"}},{"type":"nonsense","id":2}]}`
	first := a.send(token, batch, 1)
	require.Equal(t, http.StatusOK, first.status)
	for _, r := range []*rig{a, b, a} {
		again := r.send(token, batch, 1)
		require.Equal(t, http.StatusOK, again.status)
		require.Equal(t, first.body, again.body)
	}
	require.Len(t, a.log("jobs:1"), 1)
	// Another user's session of the same name is another one.
	require.Equal(t, http.StatusOK, b.send(b.token("bob", nil), batch, 1).status)
	require.Len(t, a.log("jobs:1"), 2)

	for seq, expected := range map[int]uint64{3: 2, 7: 2} {
		p := b.send(token, batch, seq).problem(t)
		require.Equal(t, http.StatusConflict, p.Status)
		require.Equal(t, wire.CodeOutOfOrder, p.Code)
		require.False(t, p.Retry)
		require.Equal(t, expected, p.Expected)
		require.Equal(t, "/seq", p.Path)
	}
	require.Equal(t, http.StatusOK, b.send(token, batch, 2).status)
	p := a.send(token, batch, 1).problem(t) // done, and forgotten
	require.Equal(t, wire.CodeOutOfOrder, p.Code)
	require.EqualValues(t, 3, p.Expected)
	require.Len(t, a.log("jobs:1"), 3)

	// Without a number there is neither order nor memory.
	for range 2 {
		require.Len(t, a.command(token, `{"session":"s","frames":{"type":"publish","id":1,"channel":"jobs:1","event":{"type":"x"}}}`), 1)
	}
	require.Len(t, a.log("jobs:1"), 5)
	require.Equal(t, http.StatusOK, a.send(token, batch, 3).status, "and it does not count")
}

// A client whose answers get lost, and which repeats its batches at whatever gateway until one is answered.
func TestBatchesSurviveLostAnswers(t *testing.T) {
	t.Parallel()
	book := newBook(t, time.Second)
	first := newRig(t, rigOptions{change: withReceipts(book)})
	rigs := []*rig{first, newRig(t, rigOptions{store: first.store, change: withReceipts(book)})}
	seed := rand.Uint64()
	t.Logf("seed %d", seed)
	random := rand.New(rand.NewPCG(seed, 0))
	token := first.token("alice", nil)
	const batches = 60
	lost := 0
	for b := range batches {
		body := fmt.Sprintf(`{"session":"s","seq":%d,"frames":[{"type":"publish","channel":"jobs:1","event":%s},{"type":"publish","channel":"jobs:1","event":%s}]}`,
			b+1, event(2*b), event(2*b+1))
		for done := false; !done; {
			r := rigs[random.IntN(len(rigs))]
			ctx, cancel := context.WithCancel(t.Context())
			if random.IntN(3) > 0 { // gone before, while, or after it is done
				timer := time.AfterFunc(time.Duration(random.IntN(800))*time.Microsecond, cancel)
				defer timer.Stop()
			}
			req, err := http.NewRequestWithContext(ctx, http.MethodPost, r.url+"/v1/commands", strings.NewReader(body))
			require.NoError(t, err)
			req.Header.Set("Authorization", "Bearer "+token)
			resp, err := http.DefaultClient.Do(req)
			if err != nil {
				lost++
			} else {
				done = resp.StatusCode == http.StatusOK
				require.Contains(t, []int{http.StatusOK, http.StatusConflict}, resp.StatusCode)
				_ = resp.Body.Close()
			}
			cancel()
		}
	}
	require.Greater(t, lost, 5)
	log := first.log("jobs:1")
	require.Len(t, log, 2*batches)
	for n, e := range log {
		require.Contains(t, e, fmt.Sprintf(`{"n":%d}`, n))
	}
}

func TestBadCommands(t *testing.T) {
	t.Parallel()
	r := newRig(t, rigOptions{change: withReceipts(newBook(t, 0))})
	token := r.token("alice", nil)
	ping := `{"type":"ping"}`
	for body, want := range map[string]struct {
		status     int
		code, path string
	}{
		``:                                {400, "invalid_request", ""},
		`{`:                               {400, "invalid_request", ""},
		`[` + ping + `]`:                  {400, "invalid_request", ""},
		`{}`:                              {400, "invalid_request", "/frames"},
		`{"session":7,"frames":[]}`:       {400, "invalid_request", "/session"},
		`{"seq":1,"frames":` + ping + `}`: {400, "invalid_request", "/session"},
		`{"session":"` + strings.Repeat("s", 600) + `","frames":` + ping + `}`:             {400, "invalid_request", "/session"},
		`{"session":"s","seq":-1,"frames":` + ping + `}`:                                   {400, "invalid_request", "/seq"},
		`{"session":"s","seq":9007199254740992,"frames":` + ping + `}`:                     {400, "invalid_request", "/seq"},
		`{"session":"s","seq":1e40,"frames":` + ping + `}`:                                 {400, "invalid_request", "/seq"},
		`{"session":"s","frames":` + ping + `,"pad":"` + strings.Repeat("x", 4<<20) + `"}`: {413, "frame_too_large", ""},
	} {
		a := r.send(token, "%s", body)
		require.Equal(t, want.status, a.status, "%.100s: %.300s", body, a.body)
		p := a.problem(t)
		require.Equal(t, want.code, string(p.Code), "%.100s", body)
		require.Equal(t, want.path, p.Path, "%.100s", body)
	}
	require.Equal(t, http.StatusUnauthorized, r.send("", `{"frames":{"type":"ping"}}`).status)
	require.Equal(t, http.StatusMethodNotAllowed, r.get("/v1/commands", token, nil).status)
	// Frames that are none are answered like those of a WebSocket.
	for frames, code := range map[string]wire.Code{`7`: wire.CodeInvalidFrame, `"x"`: wire.CodeInvalidFrame, `[7]`: wire.CodeInvalidFrame} {
		answers := r.command(token, `{"frames":%s}`, frames)
		require.Equal(t, []string{"error"}, types(answers), frames)
		require.Equal(t, code, answers[0].Code)
	}
	require.Empty(t, r.command(token, `{"frames":[]}`))
	many := r.command(token, `{"session":"s","frames":[%s%s]}`, strings.Repeat(ping+",", 256), ping)
	require.Equal(t, "error", many[256].Type)
	require.Len(t, many, 257)
	// A gateway without a book takes no numbers.
	without := newRig(t, rigOptions{})
	p := without.send(token, `{"session":"s","seq":1,"frames":{"type":"ping"}}`).problem(t)
	require.Equal(t, wire.CodeUnsupported, p.Code)
	require.Len(t, without.command(token, `{"session":"s","frames":{"type":"ping"}}`), 1)
}

// The limits of a session hold over its requests.
func TestLimitsOfCommands(t *testing.T) {
	t.Parallel()
	r := newCrowd(t, crowdOptions{rigOptions: rigOptions{change: func(o *gateway.Options) {
		o.Limits.Commands, o.Limits.Errors = 60, 100
	}}})
	token := r.token("alice", nil)
	limited := 0
	for range 4 {
		for _, f := range r.command(token, `{"session":"s","frames":[%s{"type":"ping"}]}`, strings.Repeat(`{"type":"ping"},`, 29)) {
			if f.Type == "error" {
				require.Equal(t, wire.CodeRateLimited, f.Code)
				require.True(t, f.Retry)
				limited++
			}
		}
	}
	require.Greater(t, limited, 20)
	require.Less(t, limited, 61)

	r2 := newCrowd(t, crowdOptions{rigOptions: rigOptions{change: func(o *gateway.Options) { o.Limits.Errors = 100 }}})
	r2.command(token, `{"session":"s","frames":{"type":"presence","channel":"m:7"}}`)
	bad := r2.command(token, `{"session":"s","frames":[%s{"type":"dance"}]}`, strings.Repeat(`{"type":"dance"},`, 59))
	require.Len(t, bad, 60)
	bad = r2.command(token, `{"session":"s","frames":[%s{"type":"publish","channel":"jobs:1","event":{"type":"x"}}]}`, strings.Repeat(`{"type":"dance"},`, 59))
	require.Equal(t, wire.CodeTooManyErrors, bad[len(bad)-1].Code)
	require.Len(t, bad, 101-60+1)
	require.Empty(t, r2.log("jobs:1"), "what follows is not done")
	require.Equal(t, []string{"pong"}, types(r2.command(token, `{"session":"s","frames":{"type":"ping"}}`)), "it may begin anew")
}

func TestCommandsAtAGatewayThatEnds(t *testing.T) {
	t.Parallel()
	r := newCrowd(t, crowdOptions{rigOptions: rigOptions{change: withReceipts(newBook(t, 0))}})
	token := r.token("alice", nil)
	r.command(token, `{"session":"s","seq":1,"frames":{"type":"presence","channel":"m:7"}}`)
	r.stop()
	for _, body := range []string{`{"frames":{"type":"ping"}}`, `{"session":"s","seq":2,"frames":{"type":"ping"}}`, `{"session":"t","frames":{"type":"ping"}}`} {
		a := r.send(token, "%s", body)
		p := a.problem(t)
		require.Equal(t, http.StatusServiceUnavailable, p.Status)
		require.True(t, p.Retry)
		require.NotEmpty(t, a.header.Get("Retry-After"))
	}
	require.Zero(t, r.gateway.Connections())
}

// What a token allows is looked at with every request.
func TestCommandsAskTheirToken(t *testing.T) {
	t.Parallel()
	r := newCrowd(t, crowdOptions{})
	const publish = `{"session":"s","frames":{"type":"publish","id":1,"channel":"jobs:1","event":{"type":"x"}}}`
	require.Equal(t, []string{"published"}, types(r.command(r.token("alice", nil), publish)))
	less := r.token("alice", &auth.Permissions{Subscribe: []string{"*"}})
	require.Equal(t, []string{"error"}, types(r.command(less, publish)))
	require.Equal(t, []string{"published"}, types(r.command(r.token("alice", nil), publish)))
	require.Equal(t, http.StatusUnauthorized, r.send(mint(t, "alice", "", nil, time.Now().Add(-time.Hour), time.Minute), publish).status)
	// An event is the subject's, whatever the session is called.
	require.True(t, slices.ContainsFunc(r.log("jobs:1"), func(e string) bool {
		var x struct{ Source string }
		return json.Unmarshal([]byte(e), &x) == nil && x.Source == "alice"
	}))
}
