package gateway

import "encoding/binary"

// frameHeader writes the header of an unmasked, unfragmented WebSocket text message of n bytes at the
// end of dst and returns its length (RFC 6455, section 5.2).
func frameHeader(dst []byte, n int) int {
	const finText = 0x81
	switch end := len(dst); {
	case n < 126:
		dst[end-2], dst[end-1] = finText, byte(n) //nolint:gosec // n < 126
		return 2
	case n < 1<<16:
		dst[end-4], dst[end-3] = finText, 126
		binary.BigEndian.PutUint16(dst[end-2:], uint16(n))
		return 4
	default:
		dst[end-10], dst[end-9] = finText, 127
		binary.BigEndian.PutUint64(dst[end-8:], uint64(n))
		return 10
	}
}
