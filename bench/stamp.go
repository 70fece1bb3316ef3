package bench

import (
	"bytes"
	"strconv"
)

// stampDigits is the length of a stamp: Unix nanoseconds have 19 digits from 2001 to 2286.
const stampDigits = 19

var stampKey = []byte(`"ts":`)

// nextStamp returns the first stamp in b and what follows it.
func nextStamp(b []byte) (stamp int64, rest []byte, ok bool) {
	for {
		i := bytes.Index(b, stampKey)
		if i < 0 || len(b)-i-len(stampKey) < stampDigits {
			return 0, nil, false
		}
		b = b[i+len(stampKey):]
		stamp, ok = parseStamp(b)
		if ok {
			return stamp, b[stampDigits:], true
		}
	}
}

// parseStamp reads the 19 digits at the front of b, which is as long.
func parseStamp(b []byte) (int64, bool) {
	b = b[:stampDigits]
	var n int64
	for _, c := range b {
		d := c - '0'
		if d > 9 {
			return 0, false
		}
		n = n*10 + int64(d)
	}
	return n, n > 0
}

// eventText builds events of one shape. Its zero value has no padding.
type eventText struct {
	padding []byte
}

func newEventText(size int) eventText { return eventText{padding: bytes.Repeat([]byte("x"), size)} }

// appendEvent appends an event with a stamp.
func (e eventText) appendEvent(b []byte, stamp int64) []byte {
	b = append(b, `{"source":"bench","type":"x.bench","data":{"ts":`...)
	b = strconv.AppendInt(b, stamp, 10)
	b = append(b, `,"p":"`...)
	b = append(b, e.padding...)
	return append(b, `"}}`...)
}

// appendPublish appends a publish frame.
func (e eventText) appendPublish(b []byte, id int64, channel string, stamp int64) []byte {
	b = append(b, `{"type":"publish","id":`...)
	b = strconv.AppendInt(b, id, 10)
	b = append(b, `,"channel":"`...)
	b = append(b, channel...)
	b = append(b, `","event":`...)
	b = e.appendEvent(b, stamp)
	return append(b, '}')
}
