package events

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestMatchPattern(t *testing.T) {
	for _, tc := range []struct {
		pattern, channel, user string
		want                   bool
	}{
		{"jobs:42", "jobs:42", "", true},
		{"jobs:42", "jobs:421", "", false},
		{"jobs:*", "jobs:42", "", true},
		{"jobs:*", "jobs:", "", true},
		{"jobs:*", "jobs", "", false},
		{"jobs*", "jobs", "", true},
		{"jobs*", "jobsite:1", "", true},
		{"*", "anything", "", true},
		{"", "anything", "", false},
		{"*:42", "jobs:42", "", false},
		{"j*s:42", "jobs:42", "", false},
		{"jobs:**", "jobs:42", "", false},

		{"user:$user", "user:alice", "alice", true},
		{"user:$user", "user:alice", "bob", false},
		{"user:$user", "user:alice2", "alice", false},
		{"user:$user", "user:alice:x", "alice", false},
		{"user:$user:*", "user:alice:x", "alice", true},
		{"user:$user:*", "user:alice:", "alice", true},
		{"user:$user:*", "user:alice", "alice", false},
		{"user:$user:in*", "user:alice:inbox", "alice", true},
		{"$user:$user", "alice:alice", "alice", true},
		{"user:$user", "user:$user", "alice", false},

		// A name that is no single part of a channel's name never stands for one.
		{"user:$user", "user:", "", false},
		{"user:$user", "user:*", "*", false},
		{"user:$user", "user:alice:x", "alice:x", false},
		{"user:$user:*", "user:alice", "alice*", false},
		// $user is a whole part.
		{"user:$user*", "user:alice", "al", false},
		{"user:$user*", "user:alice", "alice", false},
		{"user:$users", "user:alices", "alice", false},
		{"user:x$user", "user:xalice", "alice", false},
	} {
		require.Equal(t, tc.want, MatchPattern(tc.pattern, tc.channel, tc.user), "%+v", tc)
	}
}

func TestValidatePattern(t *testing.T) {
	for _, p := range []string{"*", "jobs:42", "jobs:*", "jobs*", "user:$user", "user:$user:*", "$user", strings.Repeat("p", MaxPatternLen)} {
		require.NoError(t, ValidatePattern(p), p)
	}
	for pattern, problem := range map[string]string{
		"":                                   "empty",
		"_dead":                              "a leading '_' is reserved",
		"**":                                 "'*' may stand at the end only",
		"*:42":                               "'*' may stand at the end only",
		"jobs:*:x*":                          "'*' may stand at the end only",
		"user:$user*":                        "'*' may not follow $user, write $user:*",
		"user:$users":                        "the only variable is $user, and it must be a whole part between ':'",
		"a$user":                             "the only variable is $user, and it must be a whole part between ':'",
		"$tenant:*":                          "the only variable is $user, and it must be a whole part between ':'",
		"jobs:[0-9]":                         "'[', allowed are A-Z a-z 0-9 _ . : - and '*' at the end",
		"jobs:\n":                            "a control character, allowed are A-Z a-z 0-9 _ . : - and '*' at the end",
		strings.Repeat("p", MaxPatternLen+1): "257 bytes, at most 256 allowed",
	} {
		err := ValidatePattern(pattern)
		require.ErrorIs(t, err, ErrInvalidPattern)
		require.EqualError(t, err, "invalid channel pattern: "+problem)
	}
}

func FuzzMatchPattern(f *testing.F) {
	f.Add("user:$user:*", "user:alice:x", "alice")
	f.Add("user:$user*", "user:alice", "al")
	f.Add("*", "a", "")
	f.Fuzz(func(t *testing.T, pattern, channel, user string) {
		got := MatchPattern(pattern, channel, user)
		if ValidateChannel(channel) != nil || ValidatePattern(pattern) != nil {
			return
		}
		// The plain meaning of a valid pattern, for users whose name is one part of a channel's.
		body, open := strings.CutSuffix(pattern, "*")
		want := !strings.Contains(body, "$") || plainUser(user)
		body = strings.ReplaceAll(body, "$user", user)
		want = want && (channel == body || open && strings.HasPrefix(channel, body))
		if got != want {
			t.Fatalf("MatchPattern(%q, %q, %q) = %v", pattern, channel, user, got)
		}
	})
}
