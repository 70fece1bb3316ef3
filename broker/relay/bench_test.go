package relay

import (
	"testing"

	"github.com/tallywire/tallywire/broker"
	"github.com/tallywire/tallywire/events"
	"github.com/tallywire/tallywire/namespace"
)

var benchEvent = []byte(`{"id":"1","source":"worker-3","type":"job.progress","subject":"job/42","data":{"job_id":"42","percent":42,"note":"` +
	`a line of text that makes the event as large as most of them are, about two hundred bytes"}}`)

// benchRelay returns an open relay without a broker.
func benchRelay(b *testing.B, delivery namespace.Delivery) *Relay {
	b.Helper()
	table, err := namespace.NewTable(map[string]namespace.Options{"": {Delivery: delivery}})
	if err != nil {
		b.Fatal(err)
	}
	registry, err := events.NewRegistry(events.Options{})
	if err != nil {
		b.Fatal(err)
	}
	h := NewHub(nil, Options{Namespaces: table, Checker: registry})
	r, _ := h.hold(channel)
	r.opened(broker.Head{Cursor: broker.Cursor{Offset: 1, Stamp: 1}, Exists: true})
	return r
}

// feed delivers n events.
func feed(r *Relay, n int) {
	head := r.log.head
	for range n {
		next := broker.Cursor{Offset: head.Offset + 1, Stamp: head.Stamp + 1}
		r.hub.Deliver(channel, broker.Entry{Cursor: next, Prev: head.Stamp, Event: benchEvent})
		head = next
	}
}

// One event arrives: checked, encoded, appended, told.
func BenchmarkDeliver(b *testing.B) {
	r := benchRelay(b, namespace.DeliverAll)
	b.ReportAllocs()
	b.SetBytes(int64(len(benchEvent)))
	for b.Loop() {
		feed(r, 1)
	}
}

// A reader takes 10 events that another at the same position has taken before.
func BenchmarkPullCached(b *testing.B) {
	r := benchRelay(b, namespace.DeliverAll)
	pos := r.Tail()
	feed(r, 10)
	b.ReportAllocs()
	for b.Loop() {
		if r.Pull(pos, nil, 64<<10).Events != 10 {
			b.Fatal("not 10 events")
		}
	}
}

func benchmarkPull(b *testing.B, delivery namespace.Delivery, n int) {
	b.Helper()
	r := benchRelay(b, delivery)
	pos := r.Tail()
	feed(r, n)
	b.ReportAllocs()
	for b.Loop() {
		r.batches = [4]cachedBatch{}
		if r.Pull(pos, nil, 1<<20).Message == nil {
			b.Fatal("nothing")
		}
	}
}

// A reader takes what nobody has taken yet.
func BenchmarkPull1(b *testing.B)         { benchmarkPull(b, namespace.DeliverAll, 1) }
func BenchmarkPull100(b *testing.B)       { benchmarkPull(b, namespace.DeliverAll, 100) }
func BenchmarkPullLatest100(b *testing.B) { benchmarkPull(b, namespace.DeliverLatest, 100) }

// A reader looks and there is nothing.
func BenchmarkPullNothing(b *testing.B) {
	r := benchRelay(b, namespace.DeliverAll)
	pos := r.Tail()
	b.ReportAllocs()
	for b.Loop() {
		r.Pull(pos, nil, 64<<10)
	}
}

// An event that no reader gets: refused by its schema, and handed to the dead letters.
func BenchmarkDeliverInvalid(b *testing.B) {
	r := benchRelay(b, namespace.DeliverAll)
	head := r.log.head
	b.ReportAllocs()
	for b.Loop() {
		next := broker.Cursor{Offset: head.Offset + 1, Stamp: head.Stamp + 1}
		r.hub.Deliver(channel, broker.Entry{Cursor: next, Prev: head.Stamp, Event: []byte(`{"type":"job.progress","data":{}}`)})
		head = next
	}
}
