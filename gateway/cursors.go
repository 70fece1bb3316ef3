package gateway

import (
	"encoding/base64"
	"encoding/binary"
	"errors"
	"slices"
	"strings"

	"github.com/cespare/xxhash/v2"

	"github.com/tallywire/tallywire/broker"
)

// place is a reader's cursor in a channel; there is none while the channel is being opened for the first
// time.
type place struct {
	channel  string
	cursor   broker.Cursor
	known    bool
	since    string  // of the request, where it names no cursor
	presence bool    // the reader is told of the channel's members
	members  *uint64 // the version that it has, nil for none
	refused  bool    // for good
}

// noMembers stands for a version where a reader was told that there is none for now, or a stale list: it
// is sent a true one as soon as there is one, and is not told the same with each of its requests. Versions
// are microseconds since 1970, or 0.
const noMembers = uint64(1)

// errCursors is returned for a text that is no composite of the channels' cursors.
var errCursors = errors.New("is not a composite of cursors")

// cursorsVersion begins a composite.
const cursorsVersion = 1

// appendCursors appends the composite of a reader's cursors: what `id:` carries in an event stream and
// `cursors` in the answer to a poll. It is base64url (without padding) of
//
//	version, a hash of the channels' names (8 bytes), then for each channel in the order of names:
//	offset+1 (0 where there is no cursor) and the stamp's distance from the stamp before, both varints
//
// so that a channel costs about eight bytes, and so that it cannot be taken for that of other channels.
// places are ordered by channel.
func appendCursors(dst []byte, places []place) []byte {
	var stack [256]byte
	b := append(stack[:0], cursorsVersion)
	b = binary.BigEndian.AppendUint64(b, hashNames(places))
	last := int64(0)
	for _, p := range places {
		if !p.known {
			b = append(b, 0)
			continue
		}
		b = binary.AppendUvarint(b, p.cursor.Offset+1)
		stamp := int64(p.cursor.Stamp) //nolint:gosec // a stamp is microseconds since 1970 and fits
		b = binary.AppendVarint(b, stamp-last)
		last = stamp
	}
	return base64.RawURLEncoding.AppendEncode(dst, b)
}

// parseCursors gives places, ordered by channel, the cursors of a composite.
func parseCursors(s string, places []place) error {
	b, err := base64.RawURLEncoding.DecodeString(s)
	if err != nil || len(b) < 9 || b[0] != cursorsVersion || binary.BigEndian.Uint64(b[1:9]) != hashNames(places) {
		return errCursors
	}
	b = b[9:]
	last := int64(0)
	for i := range places {
		offset, n := binary.Uvarint(b)
		if n <= 0 {
			return errCursors
		}
		b = b[n:]
		if offset == 0 {
			continue
		}
		delta, n := binary.Varint(b)
		if n <= 0 || last+delta < 0 || (offset == 1) != (last+delta == 0) {
			return errCursors
		}
		b = b[n:]
		last += delta
		places[i].cursor = broker.Cursor{Offset: offset - 1, Stamp: uint64(last)} //nolint:gosec // not negative
		places[i].known = true
	}
	if len(b) > 0 {
		return errCursors
	}
	return nil
}

func hashNames(places []place) uint64 {
	var d xxhash.Digest
	d.Reset()
	for i := range places {
		_, _ = d.WriteString(places[i].channel)
		_, _ = d.WriteString("\n")
	}
	return d.Sum64()
}

func sortPlaces(places []place) {
	slices.SortFunc(places, func(a, b place) int { return strings.Compare(a.channel, b.channel) })
}

// findPlace returns the place of a channel, or nil; places are ordered by channel.
func findPlace(places []place, channel string) *place {
	i, found := slices.BinarySearchFunc(places, channel, func(p place, name string) int { return strings.Compare(p.channel, name) })
	if !found {
		return nil
	}
	return &places[i]
}
