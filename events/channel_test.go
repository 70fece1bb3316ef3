package events

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestValidateChannel(t *testing.T) {
	for _, name := range []string{"a", "jobs:42", "A-Z_a.z:0-9", ":", "-", "0", strings.Repeat("c", MaxChannelLen), "a:_b"} {
		require.NoError(t, ValidateChannel(name), name)
	}
	for name, problem := range map[string]string{
		"":                        "empty",
		"_dead":                   "a leading '_' is reserved",
		"jobs 42":                 "a space at byte 4, allowed are A-Z a-z 0-9 _ . : -",
		"{jobs}":                  "'{' at byte 0, allowed are A-Z a-z 0-9 _ . : -",
		"jobs:*":                  "'*' at byte 5, allowed are A-Z a-z 0-9 _ . : -",
		"jobs\n":                  "a control character at byte 4, allowed are A-Z a-z 0-9 _ . : -",
		"jobs\x1b[2J":             "a control character at byte 4, allowed are A-Z a-z 0-9 _ . : -",
		"jöbs":                    "a character outside ASCII at byte 1, allowed are A-Z a-z 0-9 _ . : -",
		strings.Repeat("c", 129):  "129 bytes, at most 128 allowed",
		strings.Repeat("\n", 5e6): "5000000 bytes, at most 128 allowed",
	} {
		err := ValidateChannel(name)
		require.ErrorIs(t, err, ErrInvalidChannel)
		require.EqualError(t, err, "invalid channel name: "+problem)
	}
}

func FuzzValidateChannel(f *testing.F) {
	for _, s := range []string{"", "jobs:42", "_x", "a b", "{a}", "é", strings.Repeat("c", 129)} {
		f.Add(s)
	}
	const allowed = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789_.:-"
	f.Fuzz(func(t *testing.T, name string) {
		want := name != "" && len(name) <= 128 && !strings.HasPrefix(name, "_") && strings.Trim(name, allowed) == ""
		err := ValidateChannel(name)
		if (err == nil) != want {
			t.Fatalf("%q: %v", name, err)
		}
		if err != nil && (len(err.Error()) > 128 || strings.ContainsFunc(err.Error(), func(r rune) bool { return r < 0x20 || r > 0x7e })) {
			t.Fatalf("a long or dirty message: %q", err)
		}
		if err == nil && !MatchPattern(name, name, "") {
			t.Fatalf("%q does not match itself", name)
		}
	})
}

func BenchmarkValidateChannel(b *testing.B) {
	b.ReportAllocs()
	for b.Loop() {
		if err := ValidateChannel("matches:acme-2026-11"); err != nil {
			b.Fatal(err)
		}
	}
}
