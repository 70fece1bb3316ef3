package wire_test

import (
	"bytes"
	"fmt"
	"testing"

	"github.com/tallywire/tallywire/broker"
	"github.com/tallywire/tallywire/gateway/wire"
)

// publishMessage is a publish whose event has 200 bytes.
func publishMessage() []byte {
	const open, end = `{"type":"job.progress","subject":"job/42","data":{"text":"`, `"}}`
	filler := bytes.Repeat([]byte{'x'}, 200-len(open)-len(end))
	return fmt.Appendf(nil, `{"type":"publish","id":17,"channel":"jobs:42","event":%s%s%s}`, open, filler, end)
}

func BenchmarkDecodePublish(b *testing.B) {
	msg := publishMessage()
	var f wire.ClientFrame
	visit := func(f *wire.ClientFrame) bool { return len(f.Event) == 200 }
	fail := func(*wire.ClientFrame, *wire.Error) { b.Fatal("refused") }
	b.ReportAllocs()
	b.SetBytes(int64(len(msg)))
	for b.Loop() {
		wire.Decode(msg, &f, visit, fail)
	}
}

// Decoding a publish allocates nothing: it is the busiest thing that a connection does.
func TestDecodeAllocatesNothing(t *testing.T) {
	msg := publishMessage()
	var f wire.ClientFrame
	visit := func(*wire.ClientFrame) bool { return true }
	fail := func(*wire.ClientFrame, *wire.Error) { t.Error("refused") }
	if n := testing.AllocsPerRun(100, func() { wire.Decode(msg, &f, visit, fail) }); n > 0 {
		t.Fatalf("%v allocations", n)
	}
}

func BenchmarkAppendEvent(b *testing.B) {
	event := publishMessage()
	buf := make([]byte, 0, 1024)
	b.ReportAllocs()
	for b.Loop() {
		buf = wire.AppendEventClose(wire.AppendEventOpen(buf[:0], "jobs:42", broker.Cursor{Offset: 9, Stamp: 9}, event), 1)
	}
}
