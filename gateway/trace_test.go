package gateway_test

import (
	"fmt"
	"net/http"
	"strings"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"
	"github.com/tidwall/gjson"

	"github.com/tallywire/tallywire/broker"
	"github.com/tallywire/tallywire/broker/membroker"
	"github.com/tallywire/tallywire/events"
	"github.com/tallywire/tallywire/gateway"
)

// Contexts of traces.
const (
	wanted   = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"
	unwanted = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-00"
	begun    = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
)

// followed is a tracer that notes what it is told.
type followed struct {
	begins string // what it begins

	mu         sync.Mutex // guards the following
	published  []string   // channel, id, traceparent
	ended      []string   // the cursor, or the error
	deliveries []gateway.Delivery
}

func (f *followed) Publish(channel, id, traceparent string) (string, func(broker.Receipt, error)) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.published = append(f.published, channel+" "+id+" "+traceparent)
	return f.begins, func(r broker.Receipt, err error) {
		f.mu.Lock()
		defer f.mu.Unlock()
		if err != nil {
			f.ended = append(f.ended, err.Error())
			return
		}
		f.ended = append(f.ended, r.Cursor.String())
	}
}

func (f *followed) Delivered(d gateway.Delivery) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.deliveries = append(f.deliveries, d)
}

func (f *followed) look() (published, ended []string, deliveries []gateway.Delivery) {
	f.mu.Lock()
	defer f.mu.Unlock()
	return append(published, f.published...), append(ended, f.ended...), append(deliveries, f.deliveries...)
}

// TestTraceContextIsCarried: an event's own context stays, else it has that of the request, else one that
// the tracer begins; with or without a tracer in the first two cases.
func TestTraceContextIsCarried(t *testing.T) {
	for name, tracer := range map[string]*followed{"traced": {begins: begun}, "not traced": nil} {
		t.Run(name, func(t *testing.T) {
			r := newRig(t, rigOptions{change: func(o *gateway.Options) {
				if tracer != nil {
					o.Tracer = tracer
				}
			}})
			token := r.token("alice", nil)
			c := r.connect("bob", nil)
			c.subscribe("jobs:1", "")
			begins := ""
			if tracer != nil {
				begins = begun
			}
			for _, x := range []struct{ header, event, want string }{
				{wanted, `{"type":"x"}`, wanted},
				{wanted, `{"type":"x","traceparent":"` + unwanted + `"}`, unwanted},
				{"", `{"type":"x","traceparent":"` + unwanted + `"}`, unwanted},
				{"", `{"type":"x","data":{"traceparent":"not the attribute"}}`, begins},
				{"not one", `{"type":"x"}`, begins},
				{strings.ToUpper(wanted), `{"type":"x"}`, begins},
				{"ff" + wanted[2:], `{"type":"x"}`, begins},
				{wanted + "-more", ` { "type" : "x" } `, begins},
				{"01" + wanted[2:] + "-more", ` { "type" : "x" } `, "01" + wanted[2:] + "-more"},
			} {
				header := http.Header{}
				if x.header != "" {
					header["Traceparent"] = []string{x.header}
				}
				a := r.request(http.MethodPost, "/v1/publish", token, header, strings.NewReader(`{"channel":"jobs:1","event":`+x.event+`}`))
				require.Equal(t, http.StatusOK, a.status, a.body)
				f := c.expect("event")
				require.Equal(t, x.want, gjson.GetBytes(f.Event, "traceparent").Str, "%+v", x)
				require.NoError(t, scan(f.Event))
				require.Equal(t, "x", gjson.GetBytes(f.Event, "type").Str)
			}
			two := http.Header{"Traceparent": {wanted, begun}}
			a := r.request(http.MethodPost, "/v1/publish", token, two, strings.NewReader(`{"channel":"jobs:1","event":{"type":"x"}}`))
			require.Equal(t, http.StatusOK, a.status, a.body)
			require.Equal(t, begins, gjson.GetBytes(c.expect("event").Event, "traceparent").Str)
		})
	}
}

// scan holds an event against the rules of events.
func scan(event []byte) error {
	_, err := events.Scan(event)
	return err
}

// TestTraceContextOfABatch: each event has its own, and what is wrong stays as wrong as it was.
func TestTraceContextOfABatch(t *testing.T) {
	r := newRig(t, rigOptions{})
	c := r.connect("bob", nil)
	c.subscribe("jobs:1", "")
	a := r.request(http.MethodPost, "/v1/publish", r.token("alice", nil), http.Header{"Traceparent": {wanted}}, strings.NewReader(
		`{"events":[{"channel":"jobs:1","event":{"type":"a"}},{"channel":"jobs:1","event":{}},{"channel":"jobs:1","event":7},`+
			`{"channel":"jobs:1"},{"channel":"jobs:1","event":{"type":"b","traceparent":"nonsense"}},`+
			`{"channel":"jobs:1","event":{"type":"c","traceparent":"`+begun+`"}}]}`))
	require.Equal(t, http.StatusMultiStatus, a.status)
	results := gjson.Get(a.body, "results").Array()
	require.Len(t, results, 6)
	for i, path := range map[int]string{1: "/type", 2: "", 3: "", 4: "/traceparent"} {
		require.Equal(t, path, results[i].Get("error.path").Str, results[i].Raw)
		require.Equal(t, "invalid_event", results[i].Get("error.code").Str)
	}
	require.Equal(t, wanted, gjson.GetBytes(c.expect("event").Event, "traceparent").Str)
	require.Equal(t, begun, gjson.GetBytes(c.expect("event").Event, "traceparent").Str)
}

// TestTraceContextNeedsRoom: an event that is as large as events may be is published as it is.
func TestTraceContextNeedsRoom(t *testing.T) {
	tracer := &followed{begins: begun}
	r := newRig(t, rigOptions{change: func(o *gateway.Options) { o.Tracer = tracer }})
	head, tail := `{"source":"w","type":"x","data":"`, `"}`
	full := head + strings.Repeat("x", events.MaxEventBytes-len(head)-len(tail)) + tail
	a := r.request(http.MethodPost, "/v1/publish", r.token("alice", nil), http.Header{"Traceparent": {wanted}},
		strings.NewReader(`{"channel":"jobs:1","event":`+full+`}`))
	require.Equal(t, http.StatusOK, a.status, a.body)
	published, _, _ := tracer.look()
	require.Equal(t, []string{"jobs:1  "}, published)
}

// TestTracing: every publish is told with its outcome, and what is sampled once for each gateway that
// delivers it.
func TestTracing(t *testing.T) {
	store := membroker.NewStore(membroker.Options{})
	first, second := &followed{}, &followed{}
	one := newRig(t, rigOptions{store: store, change: func(o *gateway.Options) { o.Tracer, o.Flushers = first, 3 }})
	two := newRig(t, rigOptions{store: store, change: func(o *gateway.Options) { o.Tracer = second }})
	const readers = 7
	var crowd []*client
	for n := range readers {
		c := one.connect(fmt.Sprintf("reader-%d", n), nil)
		c.subscribe("jobs:1", "")
		crowd = append(crowd, c)
	}
	lone := two.connect("lone", nil)
	lone.subscribe("jobs:1", "")

	publisher := two.connect("alice", nil)
	publish := func(channel, rest string) {
		publisher.send(`{"type":"publish","id":3,"channel":"%s","event":{"type":"x","id":"1","source":"s"%s}}`, channel, rest)
	}
	publish("jobs:1", `,"traceparent":"`+wanted+`"`)
	cursor := *publisher.expect("published").Cursor
	for _, c := range append(crowd, lone) {
		c.expect("event")
	}
	publish("jobs:1", `,"traceparent":"`+wanted+`"`) // again: in the log once
	require.True(t, publisher.expect("published").Duplicate)
	publisher.send(`{"type":"publish","id":4,"channel":"jobs:1","event":{"type":"x","traceparent":"` + unwanted + `"}}`)
	publisher.expect("published")
	publisher.send(`{"type":"publish","id":5,"channel":"jobs:unread","event":{"type":"x","traceparent":"` + wanted + `"}}`)
	publisher.expect("published")
	publisher.send(`{"type":"signal","id":6,"channel":"jobs:1","event":{"type":"x","traceparent":"` + wanted + `"}}`)
	publisher.expect("published")

	for tracer, subscribers := range map[*followed]int{first: readers, second: 1} {
		one.eventually("the delivery", func() bool { _, _, d := tracer.look(); return len(d) > 0 })
		_, _, deliveries := tracer.look()
		require.Len(t, deliveries, 1, "one for a gateway, whoever reads")
		d := deliveries[0]
		require.Equal(t, "jobs:1", d.Channel)
		require.Equal(t, wanted, d.TraceParent)
		require.Equal(t, cursor, d.Cursor)
		require.Equal(t, subscribers, d.Subscribers)
		require.False(t, d.Written.Before(d.Heard))
	}
	one.eventually("an exemplar", func() bool { return len(one.gateway.Measures().Lag.Exemplars) > 0 })
	require.Len(t, one.gateway.Measures().Lag.Exemplars, 1)
	exemplar := one.gateway.Measures().Lag.Exemplars[0]
	require.Equal(t, wanted[3:35], exemplar.TraceID)
	require.Less(t, exemplar.Value, 60.0)
	published, ended, _ := second.look()
	require.Equal(t, []string{
		"jobs:1 s/1 " + wanted, "jobs:1 s/1 " + wanted, "jobs:1  " + unwanted, "jobs:unread  " + wanted,
	}, published, "signals are in no log, and are not followed")
	require.Len(t, ended, 4)
	require.Equal(t, cursor.String(), ended[0])

	two.store.ForTest().Cut(two.cut)
	publish("jobs:1", "")
	publisher.expectErrorAmong("unavailable")
	_, ended, _ = second.look()
	require.Contains(t, ended[4], "unavailable")
}

// expectErrorAmong reads until an error with a code comes.
func (c *client) expectErrorAmong(code string) {
	c.t.Helper()
	for f := c.next(); string(f.Code) != code; f = c.next() {
	}
}

// TestBusyReadersAreWaitedFor: where a flush interval is under way, the delivery ends after it.
func TestBusyReadersAreWaitedFor(t *testing.T) {
	tracer := &followed{}
	r := newRig(t, rigOptions{change: func(o *gateway.Options) { o.Tracer = tracer }})
	c := r.connect("alice", nil)
	c.subscribe("jobs:1", "")
	for range 3 { // the first goes out at once, the next within the interval
		r.publish("jobs:1", `{"type":"x","traceparent":"`+wanted+`"}`)
	}
	for range 3 {
		c.expect("event")
	}
	r.eventually("all deliveries", func() bool { _, _, d := tracer.look(); return len(d) == 3 })
}
