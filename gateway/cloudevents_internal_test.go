package gateway

import (
	"encoding/json"
	"fmt"
	"net/http"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/tallywire/tallywire/events"
)

// Any text comes back from the encoding that the specification prescribes, and from a quoted string with it.
func TestAttributeValuesRoundTrip(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		text := rapid.String().Draw(t, "text")
		var b strings.Builder
		for i := range len(text) {
			if c := text[i]; c > 0x20 && c < 0x7f && c != '"' && c != '%' && rapid.IntRange(0, 3).Draw(t, "encode") > 0 {
				b.WriteByte(c)
			} else {
				fmt.Fprintf(&b, rapid.SampledFrom([]string{"%%%02X", "%%%02x"}).Draw(t, "case"), c)
			}
		}
		quoted := `"` + strings.NewReplacer(`\`, `\\`, `"`, `\"`).Replace(b.String()) + `"`
		for _, header := range []string{b.String(), quoted} {
			got, problem := attributeValue(header)
			require.Empty(t, problem)
			require.Equal(t, text, got, header)
		}
	})
}

// Whatever is sent as a CloudEvent, what is made of it is an event without the attribute channel, or refused.
func FuzzCloudEvents(f *testing.F) {
	f.Add("/s", `{"a":[1]}`, "application/json", `{"specversion":"1.0","id":"1","source":"/s","type":"x","channel":"a:1"}`)
	f.Add("%41", "\x00", "image/png", `{"specversion":"1.0","channel":null,"id":"1","source":"/s","type":"x","data":{"channel":1}}`)
	f.Add(`"`, `1,"id":2`, "application/a+json", `{"channel":"x"}`)
	f.Fuzz(func(t *testing.T, source, body, mediaType, event string) {
		header := http.Header{
			"Ce-Specversion": {"1.0"}, "Ce-Id": {"1"}, "Ce-Type": {"x"}, "Ce-Source": {source}, "Ce-Channel": {"jobs:1"},
			"Content-Type": {mediaType},
		}
		made, bad := binaryEvent(header, mediaType, []byte(body))
		if bad == nil {
			if !utf8.ValidString(mediaType) {
				return // net/http's parser of media types refuses it
			}
			channel, event, bad := structuredEvent(made)
			if bad == nil {
				require.Equal(t, "jobs:1", channel)
				requireEvent(t, event)
			}
		}
		if _, out, bad := structuredEvent([]byte(event)); bad == nil {
			requireEvent(t, out)
		}
	})
}

func requireEvent(t *testing.T, event []byte) {
	t.Helper()
	env, err := events.Scan(event)
	require.NoError(t, err)
	require.NotEmpty(t, env.ID)
	require.NotEmpty(t, env.Source)
	var members map[string]json.RawMessage
	require.NoError(t, json.Unmarshal(event, &members))
	require.NotContains(t, members, "channel")
	require.JSONEq(t, `"1.0"`, string(members["specversion"]))
}
