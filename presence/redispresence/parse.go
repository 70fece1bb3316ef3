package redispresence

import (
	"bytes"
	"encoding/json"
	"errors"
	"strconv"
	"time"

	"github.com/tallywire/tallywire/presence"
)

// member is a member as the functions write it.
type member struct {
	Action   presence.Action `json:"action"`
	User     string          `json:"user"`
	Name     string          `json:"name"`
	State    presence.State  `json:"state"`
	Since    int64           `json:"since"`
	Sessions int             `json:"sessions"`
	Status   json.RawMessage `json:"status"`
}

func parseMember(b []byte) (presence.Member, presence.Action, error) {
	var m member
	if err := json.Unmarshal(b, &m); err != nil {
		return presence.Member{}, "", err
	}
	return presence.Member{
		User: m.User, Name: m.Name, State: m.State, Since: time.UnixMicro(m.Since).UTC(),
		Sessions: m.Sessions, Status: m.Status,
	}, m.Action, nil
}

var errDoorbell = errors.New("not a change of presence")

// parseChange reads "% <version> <version before> <json>".
func parseChange(channel string, payload []byte) (presence.Change, error) {
	c := presence.Change{Channel: channel}
	rest, ok := bytes.CutPrefix(payload, []byte("% "))
	version, rest, ok2 := bytes.Cut(rest, []byte(" "))
	prev, body, ok3 := bytes.Cut(rest, []byte(" "))
	if !ok || !ok2 || !ok3 {
		return c, errDoorbell
	}
	var err, err2 error
	c.Version, err = strconv.ParseUint(string(version), 10, 64)
	c.Prev, err2 = strconv.ParseUint(string(prev), 10, 64)
	if err != nil || err2 != nil || c.Version <= c.Prev {
		return c, errDoorbell
	}
	c.Member, c.Action, err = parseMember(body)
	switch c.Action {
	case presence.Join, presence.Update, presence.Leave:
	default:
		return c, errDoorbell
	}
	if c.Member.User == "" {
		return c, errDoorbell
	}
	return c, err
}
