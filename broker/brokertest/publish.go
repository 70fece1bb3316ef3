package brokertest

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"sync"
	"sync/atomic"

	"github.com/stretchr/testify/require"

	"github.com/tallywire/tallywire/broker"
	"github.com/tallywire/tallywire/namespace"
)

var publishCases = []testCase{
	{"ConcurrentPublishers", concurrentPublishers},
	{"PipelineKeepsOrder", pipelineKeepsOrder},
	{"ReceiptSaysStored", receiptSaysStored},
	{"Idempotent", idempotent},
	{"IdempotentConcurrently", idempotentConcurrently},
	{"EphemeralIsNotLogged", ephemeralIsNotLogged},
	{"CancelledPublish", cancelledPublish},
	{"BinarySafe", binarySafe},
	{"ChannelNames", channelNames},
	{"Overloaded", overloaded},
}

func concurrentPublishers(s *suite) {
	const publishers, each = 8, 100
	channel := s.channel("jobs")
	var wg sync.WaitGroup
	receipts := make([][]broker.Cursor, publishers)
	for p := range publishers {
		n := []*node{s.a, s.b}[p%2]
		wg.Go(func() {
			for i := range each {
				r, err := broker.PublishWait(s.ctx, n, broker.Publication{
					Channel: channel, Event: fmt.Appendf(nil, `{"p":%d,"i":%d}`, p, i),
				})
				if err != nil {
					s.Errorf("publish: %v", err)
					return
				}
				receipts[p] = append(receipts[p], r.Cursor)
			}
		})
	}
	wg.Wait()
	log := s.log(s.b, channel)
	require.Len(s, log, publishers*each+1)
	require.True(s, log[0].Genesis())
	require.Equal(s, uint64(1), log[0].Cursor.Offset)
	require.Zero(s, log[0].Prev)
	s.chained(log)
	var next [publishers]int
	for _, e := range log[1:] {
		var event struct{ P, I int }
		require.NoError(s, json.Unmarshal(e.Event, &event))
		require.Equal(s, next[event.P], event.I, "events of one publisher changed places")
		require.Equal(s, receipts[event.P][event.I], e.Cursor, "the receipt names another entry")
		next[event.P]++
	}
}

func pipelineKeepsOrder(s *suite) {
	const count = 1000
	channel := s.channel("jobs")
	var answered [count]atomic.Int32
	var all sync.WaitGroup
	all.Add(count)
	for i := range count {
		s.a.Publish(s.ctx, broker.Publication{Channel: channel, Event: numbered(i)}, func(r broker.Receipt, err error) {
			if err != nil || r.Cursor.Offset != uint64(i)+2 {
				s.Errorf("publish %d: cursor %s, error %v", i, r.Cursor, err)
			}
			if answered[i].Add(1) == 1 {
				all.Done()
			}
		})
	}
	all.Wait()
	log := s.log(s.a, channel)
	s.chained(log)
	require.Len(s, log, count+1)
	for i, e := range log[1:] {
		require.Equal(s, string(numbered(i)), string(e.Event))
		require.EqualValues(s, 1, answered[i].Load(), "done was called again")
	}
}

func receiptSaysStored(s *suite) {
	r := s.send(s.a, broker.Publication{Channel: s.channel("jobs"), Event: numbered(1), Ack: namespace.AckStored})
	require.Equal(s, namespace.AckStored, r.Ack)
	require.False(s, r.Duplicate)
	require.Equal(s, uint64(2), r.Cursor.Offset, "the first event follows the genesis entry")
}

func idempotent(s *suite) {
	channel, other := s.channel("jobs"), s.channel("jobs")
	p := broker.Publication{Channel: channel, Event: numbered(1), ID: "worker-3/a b:{1}"}
	first := s.send(s.a, p)
	require.False(s, first.Duplicate)
	for _, n := range []*node{s.a, s.b} {
		again := s.send(n, p)
		require.True(s, again.Duplicate)
		require.Equal(s, first.Cursor, again.Cursor)
	}
	p.ID = "worker-3/2"
	second := s.send(s.b, p)
	require.False(s, second.Duplicate)
	require.Equal(s, first.Cursor.Offset+1, second.Cursor.Offset)
	p.ID, p.Channel = "worker-3/a b:{1}", other
	require.False(s, s.send(s.a, p).Duplicate, "ids of different channels have to do with each other")
	p.ID, p.Channel = "", channel
	require.False(s, s.send(s.a, p).Duplicate)
	require.False(s, s.send(s.a, p).Duplicate, "publishes without an id are never duplicates")
	require.Len(s, visible(s.log(s.a, channel)), 4)
}

func idempotentConcurrently(s *suite) {
	const count = 32
	channel := s.channel("jobs")
	s.subscribe(s.a, channel)
	var wg sync.WaitGroup
	var fresh atomic.Int32
	for i := range count {
		n := []*node{s.a, s.b}[i%2]
		wg.Go(func() {
			r, err := broker.PublishWait(s.ctx, n, broker.Publication{Channel: channel, Event: numbered(1), ID: "w/1"})
			if err != nil || r.Cursor.Offset != 2 {
				s.Errorf("cursor %s, error %v", r.Cursor, err)
			}
			if !r.Duplicate {
				fresh.Add(1)
			}
		})
	}
	wg.Wait()
	require.EqualValues(s, 1, fresh.Load())
	end := s.publish(s.a, channel, `{"end":true}`)
	require.Equal(s, uint64(3), end.Cursor.Offset)
	s.a.Until(s, "the last event", func() bool { return len(s.a.After(channel, 2)) == 1 })
	require.Len(s, s.a.Entries(channel), 2, "a duplicate was delivered")
}

func ephemeralIsNotLogged(s *suite) {
	channel := s.channel("matches")
	s.subscribe(s.a, channel)
	s.subscribe(s.b, channel)
	before := s.publish(s.a, channel, `{"n":1}`).Cursor
	r := s.send(s.b, broker.Publication{Channel: channel, Event: []byte(`{"typing":true}`), Ephemeral: true})
	require.True(s, r.Cursor.IsZero())
	require.Equal(s, before.Offset+1, s.publish(s.a, channel, `{"n":2}`).Cursor.Offset)
	for _, n := range []*node{s.a, s.b} {
		n.Until(s, "the signal and both events", func() bool {
			return len(n.Signals(channel)) == 1 && len(n.After(channel, 0)) == 2
		})
		require.Equal(s, `{"typing":true}`, string(n.Signals(channel)[0]))
	}
	require.Len(s, visible(s.log(s.a, channel)), 2)

	unheard := s.channel("matches")
	s.send(s.a, broker.Publication{Channel: unheard, Event: []byte(`{}`), Ephemeral: true})
	require.False(s, s.read(s.a, unheard, broker.ReadRequest{}).Exists, "a signal opened a stream")
}

func cancelledPublish(s *suite) {
	channel := s.channel("jobs")
	ctx, cancel := context.WithCancel(s.ctx)
	cancel()
	const count = 50
	answers := make(chan error, 2*count)
	for range count {
		s.a.Publish(ctx, broker.Publication{Channel: channel, Event: numbered(1)}, func(_ broker.Receipt, err error) { answers <- err })
	}
	accepted := 0
	for range count {
		select {
		case err := <-answers:
			if err == nil {
				accepted++
			}
		case <-s.ctx.Done():
			s.Fatal("a cancelled publish was never answered")
		}
	}
	end := s.publish(s.a, channel, `{"end":true}`)
	log := visible(s.log(s.a, channel))
	require.GreaterOrEqual(s, len(log), accepted+1, "accepted events are missing")
	require.Equal(s, end.Cursor, log[len(log)-1].Cursor)
	require.Empty(s, answers, "done was called again")

	_, err := s.a.Read(ctx, channel, broker.ReadRequest{})
	require.Error(s, err)
	_, err = s.a.Subscribe(ctx, channel)
	require.Error(s, err)
}

func binarySafe(s *suite) {
	channel := s.channel("jobs")
	s.subscribe(s.b, channel)
	big := `{"data":"` + strings.Repeat("é0123456\\n", 6000) + `"}`
	events := []string{
		`{}`, `{"a":"\"quoted\" 'single' \\ back"}`, `{"z":"žluťoučký 🐎   \u0000"}`,
		"{\"line\":\n\t\"break\"}", `{"n":12345678901234567890.123456789,"e":[]}`, `{"fmt":"%s %d $1 {0}"}`, big,
	}
	for _, e := range events {
		s.publish(s.a, channel, e)
	}
	s.b.Until(s, "every event", func() bool { return len(s.b.After(channel, 0)) == len(events) })
	log := visible(s.log(s.b, channel))
	require.Len(s, log, len(events))
	for i, e := range s.b.After(channel, 0) {
		require.True(s, bytes.Equal([]byte(events[i]), e.Event), "delivered event %d differs", i)
		require.True(s, bytes.Equal([]byte(events[i]), log[i].Event), "logged event %d differs", i)
	}
}

func channelNames(s *suite) {
	base := s.channel("n")
	names := []string{
		"a" + base, base + ".b.c", base + "-d_e", base + ":f:g", base + "::", base + ":..", "Z" + base,
		base + strings.Repeat("x", 128-len(base)),
	}
	for _, name := range names {
		require.Equal(s, uint64(1), s.subscribe(s.b, name).Cursor.Offset, name)
	}
	for _, name := range names {
		s.publish(s.a, name, fmt.Sprintf(`{"to":%q}`, name))
	}
	for _, name := range names {
		s.b.Until(s, "the event of "+name, func() bool { return len(s.b.Entries(name)) == 1 })
		require.JSONEq(s, fmt.Sprintf(`{"to":%q}`, name), string(s.b.Entries(name)[0].Event))
	}
}

func overloaded(s *suite) {
	staller := capability[Staller](s)
	channel := s.channel("jobs")
	s.publish(s.a, channel, `{"n":0}`)
	release := staller.Stall(channel)
	var wg sync.WaitGroup
	var accepted, refused atomic.Int32
	full := make(chan struct{})
	const most = 50_000
fill:
	for i := range most {
		wg.Add(1)
		go s.a.Publish(s.ctx, broker.Publication{Channel: channel, Event: numbered(i)}, s.count(&wg, &accepted, &refused, full))
		select {
		case <-full:
			break fill
		default:
		}
	}
	select {
	case <-full:
	case <-s.ctx.Done():
		s.Error("no publish was refused")
	}
	release()
	wg.Wait()
	require.Positive(s, refused.Load())
	require.Len(s, visible(s.log(s.a, channel)), int(accepted.Load())+1, "refused events are in the log, or accepted ones are not")
}

// count returns a done that counts outcomes, and closes full at the first refusal.
func (s *suite) count(wg *sync.WaitGroup, accepted, refused *atomic.Int32, full chan struct{}) func(broker.Receipt, error) {
	var calls atomic.Int32
	return func(_ broker.Receipt, err error) {
		if calls.Add(1) > 1 {
			s.Error("done was called again")
			return
		}
		defer wg.Done()
		switch {
		case err == nil:
			accepted.Add(1)
		case !errors.Is(err, broker.ErrOverloaded):
			s.Errorf("publish: %v", err)
		case refused.Add(1) == 1:
			close(full)
		}
	}
}
