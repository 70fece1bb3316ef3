package namespace_test

import (
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/tallywire/tallywire/namespace"
)

func table(t testing.TB, byPrefix map[string]namespace.Options) *namespace.Table {
	t.Helper()
	tab, err := namespace.NewTable(byPrefix)
	require.NoError(t, err)
	return tab
}

func TestLongestPrefixWins(t *testing.T) {
	tab := table(t, map[string]namespace.Options{
		"jobs":       {MaxLen: 1},
		"jobs:eu":    {MaxLen: 2},
		"jobs:eu:de": {MaxLen: 3},
		"matches:":   {MaxLen: 4},
	})
	for channel, want := range map[string]int64{
		"jobs":              1,
		"jobs:42":           1,
		"jobs:eu":           2,
		"jobs:eu:42":        2,
		"jobs:eu:de":        3,
		"jobs:eu:de:42:1":   3,
		"jobs:eu:den":       2,
		"jobs:european":     1,
		"jobs:":             1,
		"jobs:eu:":          2,
		"matches":           4,
		"matches:7":         4,
		"job":               namespace.DefaultMaxLen,
		"jobsite:1":         namespace.DefaultMaxLen,
		"other:jobs:eu":     namespace.DefaultMaxLen,
		"":                  namespace.DefaultMaxLen,
		":":                 namespace.DefaultMaxLen,
		":jobs":             namespace.DefaultMaxLen,
		"matches.archive:7": namespace.DefaultMaxLen,
	} {
		require.Equal(t, want, tab.For(channel).MaxLen, channel)
	}
	require.Equal(t, []string{"jobs:eu:de", "jobs:eu", "matches", "jobs"}, tab.Prefixes())
}

func TestUnsetFieldsInherit(t *testing.T) {
	tab := table(t, map[string]namespace.Options{
		"*":          {TTL: time.Hour, Ack: namespace.AckReplicated},
		"jobs":       {MaxLen: 50, Types: []string{"job.*"}},
		"jobs:eu:de": {Delivery: namespace.DeliverLatest, Flush: time.Second, Dedupe: time.Minute},
	})
	require.Equal(t, namespace.Options{
		MaxLen: 50, TTL: time.Hour, Dedupe: time.Minute, Delivery: namespace.DeliverLatest, Flush: time.Second,
		Ack: namespace.AckReplicated, Types: []string{"job.*"}, Grace: namespace.DefaultGrace,
	}, *tab.For("jobs:eu:de:1"))
	want := namespace.Defaults()
	want.TTL, want.Ack = time.Hour, namespace.AckReplicated
	require.Equal(t, want, *tab.For("anything"))
	require.Equal(t, namespace.Defaults(), *table(t, nil).For("anything"))
	require.Equal(t, time.Minute, table(t, map[string]namespace.Options{"": {TTL: time.Minute}}).For("x:1").TTL)
}

func TestInvalidOptions(t *testing.T) {
	for field, o := range map[string]namespace.Options{
		"maxlen":   {MaxLen: -1},
		"ttl":      {TTL: time.Millisecond},
		"dedupe":   {Dedupe: time.Millisecond},
		"delivery": {Delivery: "some"},
		"flush":    {Flush: time.Microsecond},
		"ack":      {Ack: "fsynced"},
	} {
		for _, prefix := range []string{"*", "jobs"} {
			_, err := namespace.NewTable(map[string]namespace.Options{prefix: o})
			require.ErrorContains(t, err, field+": must be")
			require.ErrorContains(t, err, `namespace "`+prefix+`"`)
		}
	}
	_, err := namespace.NewTable(map[string]namespace.Options{"jobs": {Flush: time.Minute}})
	require.ErrorContains(t, err, "flush")
	_, err = namespace.NewTable(map[string]namespace.Options{"a": {MaxLen: -1}, "b": {TTL: 1}})
	require.ErrorContains(t, err, `namespace "a": maxlen`)
	require.ErrorContains(t, err, `namespace "b": ttl`, "every mistake is named at once")
	ok := namespace.Defaults()
	require.NoError(t, ok.Validate())
}

func TestAcceptsType(t *testing.T) {
	all := namespace.Options{}
	require.True(t, all.AcceptsType("anything"))
	some := namespace.Options{Types: []string{"job.*", "match.found", "*.error"}}
	for typ, want := range map[string]bool{
		"job.progress": true, "job.": true, "job": false, "jobs.x": false,
		"match.found": true, "match.found.x": false, "match.foun": false,
		"*.error": true, "x.error": false, "": false,
	} {
		require.Equal(t, want, some.AcceptsType(typ), typ)
	}
	every := namespace.Options{Types: []string{"*"}}
	require.True(t, every.AcceptsType("x"))
}

func TestOf(t *testing.T) {
	for channel, want := range map[string]string{"jobs:42": "jobs", "jobs": "jobs", "a:b:c": "a", ":x": "", "": ""} {
		require.Equal(t, want, namespace.Of(channel), channel)
	}
}

// For finds the longest configured prefix that ends at a ':' or at the end of the name.
func TestForIsTheLongestPrefix(t *testing.T) {
	name := rapid.Custom(func(t *rapid.T) string {
		return strings.Join(rapid.SliceOfN(rapid.SampledFrom([]string{"a", "b", "ab", ""}), 1, 4).Draw(t, "parts"), ":")
	})
	rapid.Check(t, func(t *rapid.T) {
		options := map[string]namespace.Options{}
		for i, p := range rapid.SliceOfN(name, 0, 6).Draw(t, "prefixes") {
			if p != "" && !strings.HasSuffix(p, ":") {
				options[p] = namespace.Options{MaxLen: int64(i) + 1}
			}
		}
		tab, err := namespace.NewTable(options)
		require.NoError(t, err)
		channel := name.Draw(t, "channel")
		want, longest := int64(namespace.DefaultMaxLen), -1
		for p, o := range options {
			if (channel == p || strings.HasPrefix(channel, p+":")) && len(p) > longest {
				want, longest = o.MaxLen, len(p)
			}
		}
		require.Equal(t, want, tab.For(channel).MaxLen, "%q in %v", channel, options)
	})
}
