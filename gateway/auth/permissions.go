package auth

import (
	"encoding/json"
	"errors"
	"fmt"
	"slices"

	"github.com/tallywire/tallywire/events"
)

const (
	// MaxPatterns bounds the patterns of one token, all actions together.
	MaxPatterns = 256
	// MaxPatternBytes bounds one pattern.
	MaxPatternBytes = 128
)

// Action is something that a principal may do with a channel.
type Action uint8

// The actions. Reading history is also allowed to whoever may subscribe: a subscriber can rewind as far as
// the retention goes, so that refusing the same events over HTTP would protect nothing.
const (
	Subscribe Action = iota + 1
	Publish
	Presence
	History
	Edit
)

// String returns the action's name in the claim tw.
func (a Action) String() string {
	switch a {
	case Subscribe:
		return "subscribe"
	case Publish:
		return "publish"
	case Presence:
		return "presence"
	case History:
		return "history"
	case Edit:
		return "edit"
	default:
		return fmt.Sprintf("action(%d)", uint8(a))
	}
}

// Permissions is the claim tw: patterns of channels by action, as [events.ValidatePattern] describes them.
// Without patterns nothing is allowed.
type Permissions struct {
	Subscribe, Publish, Presence, History, Edit []string
	// Admin allows the admin API. There are no finer rights: in a token it is true, or a list with "*"
	// in it. Other lists are legal and grant nothing, so that no list grants more than it says.
	Admin bool
}

// permissionsJSON is the shape of the claim.
type permissionsJSON struct {
	Subscribe []string        `json:"subscribe,omitempty"`
	Publish   []string        `json:"publish,omitempty"`
	Presence  []string        `json:"presence,omitempty"`
	History   []string        `json:"history,omitempty"`
	Edit      []string        `json:"edit,omitempty"`
	Admin     json.RawMessage `json:"admin,omitempty"`
}

// MarshalJSON returns the claim; admin is written as true, or left out.
func (p Permissions) MarshalJSON() ([]byte, error) {
	out := permissionsJSON{
		Subscribe: p.Subscribe, Publish: p.Publish, Presence: p.Presence, History: p.History, Edit: p.Edit,
	}
	if p.Admin {
		out.Admin = json.RawMessage("true")
	}
	return json.Marshal(out)
}

// UnmarshalJSON reads the claim. Members that it does not know are ignored.
func (p *Permissions) UnmarshalJSON(data []byte) error {
	var in permissionsJSON
	if err := json.Unmarshal(data, &in); err != nil {
		return err
	}
	admin, err := parseAdmin(in.Admin)
	if err != nil {
		return err
	}
	*p = Permissions{
		Subscribe: in.Subscribe, Publish: in.Publish, Presence: in.Presence, History: in.History, Edit: in.Edit,
		Admin: admin,
	}
	return nil
}

// parseAdmin accepts a boolean or a list of strings.
func parseAdmin(raw json.RawMessage) (bool, error) {
	if len(raw) == 0 || string(raw) == "null" {
		return false, nil
	}
	var flag bool
	if json.Unmarshal(raw, &flag) == nil {
		return flag, nil
	}
	var list []string
	if json.Unmarshal(raw, &list) == nil {
		return slices.Contains(list, "*"), nil
	}
	return false, errors.New("admin: must be true, false or a list")
}

// Validate reports the first pattern that is not one, and permissions that are too many.
func (p *Permissions) Validate() error {
	count := 0
	for action := Subscribe; action <= Edit; action++ {
		patterns := p.patterns(action)
		if count += len(patterns); count > MaxPatterns {
			return fmt.Errorf("more than %d patterns", MaxPatterns)
		}
		for _, pattern := range patterns {
			if len(pattern) > MaxPatternBytes {
				return fmt.Errorf("%s: a pattern has more than %d bytes", action, MaxPatternBytes)
			}
			if err := events.ValidatePattern(pattern); err != nil {
				return fmt.Errorf("%s: %w", action, err)
			}
		}
	}
	return nil
}

func (p *Permissions) patterns(a Action) []string {
	switch a {
	case Subscribe:
		return p.Subscribe
	case Publish:
		return p.Publish
	case Presence:
		return p.Presence
	case History:
		return p.History
	case Edit:
		return p.Edit
	default:
		return nil
	}
}
