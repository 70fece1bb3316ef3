package bench

import (
	"encoding/binary"
	"errors"
)

// Opcodes of RFC 6455.
const (
	opText  = 1
	opClose = 8
	opPing  = 9
	opPong  = 10
)

// maxFrame is the longest frame taken from a server, header included.
const maxFrame = 1 << 20

var (
	errFragmented = errors.New("the server fragments its messages, which the load generator cannot count")
	errBadFrame   = errors.New("the server sent no valid frame")
	errBigFrame   = errors.New("the server sent a frame of more than 1 MB")
)

// appendFrame appends a client's frame, masked with a zero key: the payload stays as it is.
func appendFrame(b []byte, op byte, payload []byte) []byte {
	b = append(b, 0x80|op)
	switch n := len(payload); {
	case n < 126:
		b = append(b, 0x80|byte(n))
	case n <= 0xffff:
		b = binary.BigEndian.AppendUint16(append(b, 0x80|126), uint16(n))
	default:
		b = append(b, 0x80|127)
		b = binary.BigEndian.AppendUint64(b, uint64(n))
	}
	b = append(b, 0, 0, 0, 0)
	return append(b, payload...)
}

// nextFrame cuts a server's frame from the front of b and returns how long it is with its header; 0
// when b does not hold all of it. The payload points into b.
func nextFrame(b []byte) (op byte, payload []byte, size int, err error) {
	if len(b) < 2 {
		return 0, nil, 0, nil
	}
	op = b[0] & 15
	switch {
	case b[0]&0x70 != 0 || b[1]&0x80 != 0:
		return 0, nil, 0, errBadFrame
	case b[0]&0x80 == 0 || op == 0:
		return 0, nil, 0, errFragmented
	}
	n, header := uint64(b[1]), 2
	switch n {
	case 126:
		if len(b) < 4 {
			return 0, nil, 0, nil
		}
		n, header = uint64(binary.BigEndian.Uint16(b[2:])), 4
	case 127:
		if len(b) < 10 {
			return 0, nil, 0, nil
		}
		n, header = binary.BigEndian.Uint64(b[2:]), 10
	}
	if n > maxFrame-10 {
		return 0, nil, 0, errBigFrame
	}
	size = header + int(n)
	if len(b) < size {
		return 0, nil, 0, nil
	}
	return op, b[header:size], size, nil
}
