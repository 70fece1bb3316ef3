package bench

import (
	"bytes"
	"errors"
	"fmt"
	"strconv"
)

// An HTTP reader asks again as soon as it is answered, as a client does: a polling one is always in a poll
// but for the moment between two. Its connection is kept.

var (
	endOfHeader   = []byte("\r\n\r\n")
	statusOK      = []byte("HTTP/1.1 200")
	contentLength = []byte("Content-Length: ")
	dataLine      = []byte("\ndata: ")
	cursorsKey    = []byte(`"cursors":"`)
)

// ask sends the request of an HTTP reader: an event stream, or a poll that goes on after the cursors that
// its link has.
func (f *fleet) ask(l *link) {
	b := append(f.text[:0], "GET "...)
	if l.role == streaming {
		b = append(b, "/v1/sse?channel="...)
	} else {
		b = append(b, "/v1/poll?wait_ms=60000&channel="...)
	}
	b = append(b, channelName(l.channel)...)
	if len(l.cursors) > 0 {
		b = append(b, "&cursors="...)
		b = append(b, l.cursors...)
	}
	b = append(b, " HTTP/1.1\r\nHost: "...)
	b = append(b, f.server.host...)
	if f.server.token != "" {
		b = append(b, "\r\nAuthorization: Bearer "...)
		b = append(b, f.server.token...)
	}
	f.text = append(b, endOfHeader...)
	f.send(l, f.text)
}

// consumeHTTP handles what an HTTP reader got, and returns how much of it was whole.
func (f *fleet) consumeHTTP(l *link, b []byte, now int64) (int, error) {
	if l.role == streaming {
		return f.consumeStream(l, b, now)
	}
	used := 0
	for {
		head, rest, ok := bytes.Cut(b[used:], endOfHeader)
		if !ok {
			return used, nil
		}
		if !bytes.HasPrefix(head, statusOK) {
			return used, fmt.Errorf("the server does not answer a poll: %.200q", head)
		}
		_, after, ok := bytes.Cut(head, contentLength)
		if !ok {
			return used, errors.New("the server answers a poll without a length")
		}
		digits, _, _ := bytes.Cut(after, []byte("\r"))
		n, err := strconv.Atoi(string(digits))
		if err != nil || n > len(f.scratch)/2 {
			return used, fmt.Errorf("the server answers a poll with the length %.20q", digits)
		}
		if len(rest) < n {
			return used, nil
		}
		used += len(head) + len(endOfHeader) + n
		if err := f.answered(l, rest[:n], now); err != nil {
			return used, err
		}
	}
}

// answered takes the answer to a poll and sends the next one.
func (f *fleet) answered(l *link, body []byte, now int64) error {
	i := bytes.LastIndex(body, cursorsKey)
	if i < 0 {
		return fmt.Errorf("the answer to a poll names no cursors: %.200q", body)
	}
	cursors, _, _ := bytes.Cut(body[i+len(cursorsKey):], []byte(`"`))
	l.cursors = append(l.cursors[:0], cursors...)
	if l.phase != ready {
		l.phase = ready
		f.ready++
	}
	if bytes.Contains(body, resetType) {
		f.meter.resets++
	}
	f.meter.count(l, body, now)
	f.ask(l)
	return nil
}

// consumeStream takes the events of a stream. What frames its chunks lies between them.
func (f *fleet) consumeStream(l *link, b []byte, now int64) (int, error) {
	used := 0
	if l.phase == upgrading {
		head, _, ok := bytes.Cut(b, endOfHeader)
		if !ok {
			return 0, nil
		}
		if !bytes.HasPrefix(head, statusOK) {
			return 0, fmt.Errorf("the server does not stream: %.200q", head)
		}
		used = len(head) + len(endOfHeader)
		l.phase = subscribing
	}
	for {
		i := bytes.Index(b[used:], dataLine)
		if i < 0 {
			return used, nil
		}
		line, _, ok := bytes.Cut(b[used+i+len(dataLine):], []byte("\n"))
		if !ok {
			return used + i, nil
		}
		used += i + len(dataLine) + len(line)
		if l.phase == subscribing && bytes.Contains(line, subscribed) {
			l.phase = ready
			f.ready++
		}
		if bytes.Contains(line, resetType) {
			f.meter.resets++
		}
		f.meter.count(l, line, now)
	}
}
