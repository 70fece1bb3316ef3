package events

import (
	"encoding/json"
	"math"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"
)

func TestEventJSON(t *testing.T) {
	e := Event{
		ID: "7", Source: "worker-3", Type: "job.progress", Subject: "<job/42>",
		Time:        time.Date(2026, 11, 24, 11, 0, 0, 5e8, time.FixedZone("LMT", 53*60+28)),
		DataSchema:  "https://tallywire.dev/schemas/job.progress/1",
		TraceParent: "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01",
		SpecVersion: "1.0",
		Data:        json.RawMessage(" {\n\"percent\": 30, \"note\": \"a  b\"}\n"),
		Extensions:  map[string]any{"tenant": "acme", "sampled": true, "priority": 3, "ratio": 0.5},
	}
	b, err := e.MarshalJSON()
	require.NoError(t, err)
	require.Equal(t, `{"specversion":"1.0","id":"7","source":"worker-3","type":"job.progress","subject":"<job/42>",`+
		`"time":"2026-11-24T10:06:32.5Z","dataschema":"https://tallywire.dev/schemas/job.progress/1",`+
		`"traceparent":"00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01",`+
		`"priority":3,"ratio":0.5,"sampled":true,"tenant":"acme","data":{"percent":30,"note":"a  b"}}`, string(b))

	b, err = json.Marshal(Event{Type: "x"})
	require.NoError(t, err)
	require.Equal(t, `{"type":"x"}`, string(b))
	b, err = json.Marshal(Event{Type: "x", DataBase64: []byte{}, DataContentType: "image/png"})
	require.NoError(t, err)
	require.Equal(t, `{"type":"x","datacontenttype":"image/png","data_base64":""}`, string(b))
}

func TestNew(t *testing.T) {
	e, err := New("job.progress", map[string]any{"percent": 30})
	require.NoError(t, err)
	require.Equal(t, Event{Type: "job.progress", Data: json.RawMessage(`{"percent":30}`)}, e)
	_, err = New("job.progress", math.NaN())
	require.Error(t, err)
}

func TestEventMarshalRefuses(t *testing.T) {
	for name, tc := range map[string]struct {
		e    Event
		want string
	}{
		"no type":              {Event{}, "type: is required"},
		"a bad type":           {Event{Type: "a b"}, "type: must consist of A-Z a-z 0-9 _ . -"},
		"attributes in data":   {Event{Type: "x", Data: json.RawMessage(`1,"id":"forged"`)}, "data: must be valid JSON"},
		"empty data":           {Event{Type: "x", Data: json.RawMessage{}}, "data: must be valid JSON"},
		"two kinds of data":    {Event{Type: "x", Data: json.RawMessage(`1`), DataBase64: []byte("x")}, "data_base64: may not stand beside data"},
		"a field in disguise":  {Event{Type: "x", Extensions: map[string]any{"id": "1"}}, "id: is no extension attribute, it has a field of its own"},
		"data in disguise":     {Event{Type: "x", Extensions: map[string]any{"data_base64": "1"}}, "data_base64: is no extension attribute, it has a field of its own"},
		"a bad extension name": {Event{Type: "x", Extensions: map[string]any{`a":1,"id`: "1"}}, `attribute "a\":1,\"id": names are`},
		"an object":            {Event{Type: "x", Extensions: map[string]any{"a": []int{1}}}, "a: must be a string, a number or a boolean"},
		"no number":            {Event{Type: "x", Extensions: map[string]any{"a": math.Inf(1)}}, "a: must be a string, a number or a boolean"},
		"a far year":           {Event{Type: "x", Time: time.Date(12026, 1, 1, 0, 0, 0, 0, time.UTC)}, "time: must be a time"},
		"too much data":        {Event{Type: "x", Data: json.RawMessage(`"` + strings.Repeat("d", MaxEventBytes) + `"`)}, "too large"},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := json.Marshal(tc.e)
			var invalid *InvalidError
			require.ErrorAs(t, err, &invalid)
			require.Contains(t, invalid.Message, tc.want)
		})
	}
}

func TestEventUnmarshal(t *testing.T) {
	var e Event
	require.NoError(t, json.Unmarshal([]byte(`{"type":"x","big":12345678901234567890,"huge":1e399,"gone":null,"id":null,"data":null}`), &e))
	require.Equal(t, Event{
		Type: "x", Data: json.RawMessage("null"),
		Extensions: map[string]any{"big": 12345678901234567890.0, "huge": json.Number("1e399")},
	}, e)

	before := e
	err := json.Unmarshal([]byte(`{"type":"x","time":"now"}`), &e)
	var invalid *InvalidError
	require.ErrorAs(t, err, &invalid)
	require.Equal(t, "/time", invalid.Path)
	require.Equal(t, before, e, "a refused event leaves the old one")
}

func TestEventRoundTrip(t *testing.T) {
	attribute := rapid.StringOfN(rapid.RuneFrom([]rune(`abcXYZ019 /:.-_"\<>&é日😀`)), 1, 40, MaxAttributeLen)
	optional := rapid.OneOf(rapid.Just(""), attribute)
	hex := func(n int) *rapid.Generator[string] {
		return rapid.StringOfN(rapid.RuneFrom([]rune("0123456789abcdef")), n, n, n).
			Filter(func(s string) bool { return strings.Trim(s, "0") != "" })
	}
	scalar := rapid.OneOf(
		rapid.Map(rapid.String(), func(s string) any { return s }),
		rapid.Map(rapid.Bool(), func(b bool) any { return b }),
		rapid.Map(rapid.Int64(), func(n int64) any { return n }),
	)
	data := rapid.Map(rapid.MapOf(rapid.String(), rapid.SliceOfN(rapid.Float64(), 0, 4)), func(v map[string][]float64) json.RawMessage {
		b, err := json.Marshal(v)
		if err != nil {
			panic(err)
		}
		return b
	})
	rapid.Check(t, func(t *rapid.T) {
		e := Event{
			ID: optional.Draw(t, "id"), Source: optional.Draw(t, "source"), Subject: optional.Draw(t, "subject"),
			Type:            rapid.StringMatching(`[A-Za-z0-9_.-]{1,128}`).Draw(t, "type"),
			DataSchema:      optional.Draw(t, "dataschema"),
			DataContentType: optional.Draw(t, "datacontenttype"),
			SpecVersion:     rapid.SampledFrom([]string{"", "1.0"}).Draw(t, "specversion"),
		}
		if rapid.Bool().Draw(t, "timed") {
			e.Time = time.Unix(rapid.Int64Range(0, 4e9).Draw(t, "seconds"), rapid.Int64Range(0, 999_999_999).Draw(t, "nanoseconds")).UTC()
		}
		if rapid.Bool().Draw(t, "traced") {
			e.TraceParent = "00-" + hex(32).Draw(t, "trace") + "-" + hex(16).Draw(t, "span") + "-01"
		}
		if n := rapid.MapOfN(rapid.StringMatching(`x[a-z0-9]{0,19}`), scalar, 0, 12).Draw(t, "extensions"); len(n) > 0 {
			e.Extensions = n
		}
		switch rapid.IntRange(0, 2).Draw(t, "data") {
		case 1:
			e.Data = data.Draw(t, "json")
		case 2:
			e.DataBase64 = rapid.SliceOf(rapid.Byte()).Draw(t, "binary")
		}

		b, err := e.MarshalJSON()
		if err != nil {
			t.Fatalf("%+v: %v", e, err)
		}
		var got Event
		if err := json.Unmarshal(b, &got); err != nil {
			t.Fatalf("%s: %v", b, err)
		}
		require.Equal(t, e, got, "%s", b)
		again, err := got.MarshalJSON()
		require.NoError(t, err)
		require.Equal(t, string(b), string(again))
	})
}

func TestCompact(t *testing.T) {
	for raw, want := range map[string]string{
		"{\n  \"a b\" : [ 1,\t2 ],\r\n \"c\\\" \\\\\" : \" d \" }\n": `{"a b":[1,2],"c\" \\":" d "}`,
		"{\"a\":\"\\n \\r\"}\r": `{"a":"\n \r"}`,
		"\n":                    "",
	} {
		original := strings.Clone(raw)
		in := []byte(raw)
		require.Equal(t, want, string(Compact(in)))
		require.Equal(t, original, string(in), "the argument is not changed")
	}
	oneLine := []byte(`{ "a" : 1 }`)
	require.Same(t, &oneLine[0], &Compact(oneLine)[0], "nothing to do, nothing copied")
	require.Len(t, Compact(oneLine), len(oneLine))
}
