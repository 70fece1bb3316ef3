package wire

import (
	"encoding/json"
	"strconv"

	"github.com/tallywire/tallywire/presence"
)

// TypeMember is the type of the frames that tell of one member's change.
const TypeMember = "member"

// AppendMembers appends a `members` frame: a page of a channel's members. It replaces what the client
// knew of the channel's members; `member` frames change it from there.
func AppendMembers(b, id []byte, channel string, p presence.Page) []byte {
	b = append(b, `{"type":"members"`...)
	b = appendID(b, id)
	b = appendChannel(b, channel)
	b = append(b, `,"version":`...)
	b = strconv.AppendUint(b, p.Version, 10)
	b = append(b, `,"count":`...)
	b = strconv.AppendInt(b, int64(p.Count), 10)
	b = append(b, `,"sessions":`...)
	b = strconv.AppendInt(b, int64(p.Sessions), 10)
	b = append(b, `,"members":[`...)
	for i := range p.Members {
		if i > 0 {
			b = append(b, ',')
		}
		b = appendMember(b, &p.Members[i])
	}
	b = append(b, ']')
	if p.Next != "" {
		b = append(b, `,"next":`...)
		b = AppendString(b, p.Next)
	}
	if !p.StaleSince.IsZero() {
		b = append(b, `,"stale_since_ms":`...)
		b = strconv.AppendInt(b, p.StaleSince.UnixMilli(), 10)
	}
	return append(b, '}')
}

// AppendMemberChange appends a `member` frame. It applies to a client whose members are at prev.
func AppendMemberChange(b []byte, c *presence.Change) []byte {
	b = append(b, `{"type":"member"`...)
	b = appendChannel(b, c.Channel)
	b = append(b, `,"version":`...)
	b = strconv.AppendUint(b, c.Version, 10)
	b = append(b, `,"prev":`...)
	b = strconv.AppendUint(b, c.Prev, 10)
	b = append(b, `,"action":"`...)
	b = append(b, c.Action...)
	b = append(b, `","member":`...)
	b = appendMember(b, &c.Member)
	return append(b, '}')
}

func appendMember(b []byte, m *presence.Member) []byte {
	text, err := json.Marshal(m)
	if err != nil { // a status that is no JSON, which a tracker does not accept
		bare := *m
		bare.Status = nil
		text, _ = json.Marshal(bare)
	}
	return append(b, text...)
}

// AppendPresent answers a `presence` frame: the store has it.
func AppendPresent(b, id []byte, channel string) []byte {
	b = append(b, `{"type":"present"`...)
	b = appendID(b, id)
	b = appendChannel(b, channel)
	return append(b, '}')
}
