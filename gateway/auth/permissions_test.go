package auth

import (
	"encoding/json"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestMay(t *testing.T) {
	p := &Principal{User: "al", Permissions: Permissions{
		Subscribe: []string{"jobs:*", "user:$user", "doc:$user:*"},
		Publish:   []string{"jobs:42"},
		History:   []string{"audit"},
		Presence:  []string{"*"},
	}}
	for _, c := range []struct {
		action  Action
		channel string
		want    bool
	}{
		{Subscribe, "jobs:42", true},
		{Subscribe, "jobs:", true},
		{Subscribe, "jobs", false},
		{Subscribe, "user:al", true},
		{Subscribe, "user:alice", false},
		{Subscribe, "user:al:x", false},
		{Subscribe, "doc:al:x", true},
		{Subscribe, "doc:alice:x", false},
		{Subscribe, "user:$user", false},
		{Subscribe, "audit", false},
		{Publish, "jobs:42", true},
		{Publish, "jobs:421", false},
		{History, "audit", true},
		{History, "jobs:42", true},
		{History, "other", false},
		{Presence, "anything", true},
		{Edit, "jobs:42", false},
		{0, "jobs:42", false},
		{Edit + 1, "jobs:42", false},
	} {
		require.Equal(t, c.want, p.May(c.action, c.channel), "%s %s", c.action, c.channel)
	}
}

func TestUserVariableSmugglesNothing(t *testing.T) {
	permissions := Permissions{Subscribe: []string{"user:$user", "doc:$user:*"}}
	for _, user := range []string{"bob:private", "a|b", "a@b", "a/b", "", "*", "$user"} {
		p := &Principal{User: user, Permissions: permissions}
		for _, channel := range []string{"user:" + user, "doc:" + user + ":x", "user:bob:private", "doc:bob:private:x"} {
			require.False(t, p.May(Subscribe, channel), "%q %q", user, channel)
		}
	}
}

func TestPermissionsInJSON(t *testing.T) {
	for text, admin := range map[string]bool{
		`{}`:                       false,
		`null`:                     false,
		`{"admin":null}`:           false,
		`{"admin":false}`:          false,
		`{"admin":true}`:           true,
		`{"admin":[]}`:             false,
		`{"admin":["*"]}`:          true,
		`{"admin":["channels:*"]}`: false,
	} {
		var p Permissions
		require.NoError(t, json.Unmarshal([]byte(text), &p), text)
		require.Equal(t, admin, p.Admin, text)
		encoded, err := json.Marshal(p)
		require.NoError(t, err)
		var back Permissions
		require.NoError(t, json.Unmarshal(encoded, &back))
		require.Equal(t, p, back)
	}
	for _, text := range []string{`[]`, `"*"`, `{"admin":1}`, `{"admin":[1]}`, `{"subscribe":"jobs:*"}`, `{"edit":[1]}`} {
		var p Permissions
		require.Error(t, json.Unmarshal([]byte(text), &p), text)
	}
}

func TestActionsHaveNames(t *testing.T) {
	names := make([]string, 0, 6)
	for a := Subscribe; a <= Edit+1; a++ {
		names = append(names, a.String())
	}
	require.Equal(t, []string{"subscribe", "publish", "presence", "history", "edit", "action(6)"}, names)
}
