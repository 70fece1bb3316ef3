package bench

import (
	"bytes"
	"errors"
	"fmt"
	"strconv"
)

// appendCommand appends a command in RESP.
func appendCommand(b []byte, args ...[]byte) []byte {
	b = append(b, '*')
	b = strconv.AppendInt(b, int64(len(args)), 10)
	for _, a := range args {
		b = append(b, "\r\n$"...)
		b = strconv.AppendInt(b, int64(len(a)), 10)
		b = append(b, "\r\n"...)
		b = append(b, a...)
	}
	return append(b, "\r\n"...)
}

var errReply = errors.New("no RESP reply")

// nextReply measures the reply at the front of b; size 0 means that b does not hold all of it. problem
// is the text of an error; first is the text of the first string in it.
func nextReply(b []byte) (size int, first, problem string, err error) {
	end := bytes.Index(b, []byte("\r\n"))
	if end < 0 {
		return 0, "", "", nil
	}
	if end == 0 {
		return 0, "", "", errReply
	}
	line, size := string(b[1:end]), end+2
	switch b[0] {
	case '+', ':':
		return size, line, "", nil
	case '-':
		return size, "", line, nil
	case '$':
		n, err := strconv.Atoi(line)
		switch {
		case err != nil || n > maxFrame:
			return 0, "", "", errReply
		case n < 0:
			return size, "", "", nil
		case len(b) < size+n+2:
			return 0, "", "", nil
		}
		return size + n + 2, string(b[size : size+n]), "", nil
	case '*':
		n, err := strconv.Atoi(line)
		if err != nil {
			return 0, "", "", errReply
		}
		for i := range n {
			inner, text, bad, err := nextReply(b[size:])
			if err != nil || inner == 0 {
				return 0, "", "", err
			}
			if size += inner; i == 0 {
				first = text
			}
			if bad != "" {
				problem = bad
			}
		}
		return size, first, problem, nil
	default:
		return 0, "", "", errReply
	}
}

// greetRedis begins a worker's connection.
func (f *fleet) greetRedis(l *link) {
	r := f.server.redis
	var b []byte
	if r.password != "" {
		args := [][]byte{[]byte("AUTH"), []byte(r.password)}
		if r.user != "" {
			args = [][]byte{[]byte("AUTH"), []byte(r.user), []byte(r.password)}
		}
		b = appendCommand(b, args...)
	}
	l.got = -1 // greetings that are not answered
	if len(b) > 0 {
		l.got--
	}
	f.send(l, appendCommand(b, []byte("PING")))
}

// consumeReplies takes the replies to a worker's commands.
func (f *fleet) consumeReplies(l *link, b []byte) (used int, err error) {
	now := nowNanos()
	for {
		size, first, problem, err := nextReply(b[used:])
		if err != nil || size == 0 {
			return used, err
		}
		used += size
		if problem != "" {
			f.answers.refused++
			if f.answers.problem == "" {
				f.answers.problem = fmt.Sprintf("Redis answered %.300s", problem)
			}
		}
		if l.phase != ready {
			if l.got++; l.got == 0 {
				l.phase = ready
				f.ready++
			}
			continue
		}
		if problem != "" {
			continue
		}
		if f.answers.acked++; f.answers.acked == 1 {
			f.answers.cursor = first
		}
		if f.answers.onAck != nil {
			f.answers.onAck(f.answers.acked-1, now)
		}
	}
}
