package events

import (
	"encoding/json"
	"errors"
	"strconv"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

const sample = `{"id":"01J9Z3C5TQ","source":"worker-3","type":"job.progress","subject":"job/42","time":"2026-11-24T10:00:00Z","data":{"job_id":"42","phase":"matching","processed":1200,"total":4000,"percent":30}}`

func TestScanReadsTheEnvelope(t *testing.T) {
	raw := []byte(` {
		"specversion": "1.0", "id": "a\u0020\"b\"", "source": "/workers/\u00e9", "type": "job.progress", "subject": "job/42",
		"time": "2026-11-24T10:00:00.123+01:00", "dataschema": "https://tallywire.dev/schemas/job.progress/1",
		"datacontenttype": "application/json", "traceparent": "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01",
		"data" : {"percent": 30} , "tenant": "acme", "sampled": true, "priority": -3, "unset": null
	}
	`)
	got, err := Scan(raw)
	require.NoError(t, err)
	require.Equal(t, Envelope{
		ID: `a "b"`, Source: "/workers/é", Type: "job.progress", Subject: "job/42",
		Time: "2026-11-24T10:00:00.123+01:00", DataSchema: "https://tallywire.dev/schemas/job.progress/1",
		TraceParent: "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01",
		Data:        []byte(`{"percent": 30}`), HasData: true,
	}, got)

	// Data is a part of raw that cannot be appended to over what follows; the strings are copies.
	require.Equal(t, len(got.Data), cap(got.Data))
	for i := range raw {
		raw[i] = 'x'
	}
	require.Equal(t, strings.Repeat("x", len(got.Data)), string(got.Data))
	require.Equal(t, "job.progress", got.Type)
}

func TestScanAccepts(t *testing.T) {
	for name, raw := range map[string]string{
		"a type alone":              `{"type":"x"}`,
		"null for absent":           `{"type":"x","id":null,"time":null,"subject":null,"data_base64":null}`,
		"data null":                 `{"type":"x","data":null}`,
		"data of any kind":          `{"type":"x","data":-0.5e-10}`,
		"binary data":               `{"type":"x","data_base64":"aGk\/"}`,
		"escapes":                   `{"type":"x","data":"\"\\\/\b\f\n\r\t\u00e9\ud83d\ude00"}`,
		"half surrogate in data":    `{"type":"x","data":"\ud800"}`,
		"smallest double":           `{"type":"x","data":5e-324}`,
		"a long exponent of zeros":  `{"type":"x","data":1e0000000000001}`,
		"the longest number":        `{"type":"x","data":` + strings.Repeat("9", MaxNumberLen) + `}`,
		"no data":                   `{"type":"x"}` + "\n",
		"a newer trace version":     `{"type":"x","traceparent":"01-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01-more"}`,
		"many extensions":           `{"type":"x"` + extensions(MaxExtensions) + `}`,
		"the deepest nesting":       `{"type":"x","data":` + strings.Repeat("[", MaxDepth-1) + strings.Repeat("]", MaxDepth-1) + `}`,
		"the longest type":          `{"type":"` + strings.Repeat("t", MaxTypeLen) + `"}`,
		"the longest id":            `{"type":"x","id":"` + strings.Repeat("i", MaxAttributeLen) + `"}`,
		"the longest name":          `{"type":"x","` + strings.Repeat("n", MaxAttributeNameLen) + `":1}`,
		"the largest event":         sized(MaxEventBytes),
		"the same name within data": `{"type":"x","data":{"type":"y","type":"z","A b":1}}`,
	} {
		t.Run(name, func(t *testing.T) {
			env, err := Scan([]byte(raw))
			require.NoError(t, err)
			require.True(t, json.Valid([]byte(raw)))
			require.NotEmpty(t, env.Type)
		})
	}
}

func TestScanTellsAbsentDataFromNull(t *testing.T) {
	env, err := Scan([]byte(`{"type":"x"}`))
	require.NoError(t, err)
	require.False(t, env.HasData)
	env, err = Scan([]byte(`{"type":"x","data":null}`))
	require.NoError(t, err)
	require.True(t, env.HasData)
	require.Equal(t, "null", string(env.Data))
}

// refusal is an event and why it is refused.
type refusal struct{ raw, path, message string }

func requireRefusals(t *testing.T, cases map[string]refusal) {
	t.Helper()
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			_, err := Scan([]byte(tc.raw))
			requireInvalid(t, err, tc.path, tc.message)
		})
	}
}

func TestScanRefusesText(t *testing.T) {
	requireRefusals(t, map[string]refusal{
		"nothing":              {``, "", "malformed JSON: it ends too early"},
		"an unfinished event":  {`{"type":"x"`, "", "malformed JSON: it ends too early"},
		"an unfinished string": {`{"type":"x`, "", "malformed JSON: it ends too early"},
		"two events":           {`{"type":"x"}{"type":"x"}`, "", "malformed JSON: unexpected '{' at byte 12"},
		"a trailing comma":     {`{"type":"x",}`, "", "malformed JSON: unexpected '}' at byte 12"},
		"a missing colon":      {`{"type" "x"}`, "", `malformed JSON: unexpected '"' at byte 8`},
		"a raw line break":     {"{\"type\":\"x\",\"data\":\"a\nb\"}", "", "malformed JSON: unexpected a control character at byte 21"},
		"a zero byte":          {"{\"type\":\"x\"}\x00", "", "malformed JSON: unexpected a control character at byte 12"},
		"a bad escape":         {`{"type":"x","data":"\x41"}`, "", "malformed JSON: bad escape at byte 20"},
		"a short escape":       {`{"type":"x","data":"\u00"}`, "", "malformed JSON: bad escape at byte 20"},
		"a leading zero":       {`{"type":"x","data":01}`, "", "malformed JSON: unexpected '1' at byte 20"},
		"a bare minus":         {`{"type":"x","data":-}`, "", "malformed JSON: unexpected '}' at byte 20"},
		"no fraction":          {`{"type":"x","data":1.}`, "", "malformed JSON: unexpected '}' at byte 21"},
		"no exponent":          {`{"type":"x","data":1e+}`, "", "malformed JSON: unexpected '}' at byte 22"},
		"a bad word":           {`{"type":"x","data":nul}`, "", "malformed JSON: unexpected '}' at byte 22"},
		"a mixed bracket":      {`{"type":"x","data":[1}}`, "", "malformed JSON: unexpected '}' at byte 21"},
		"a huge exponent":      {`{"type":"x","data":[1,1e401]}`, "", "a number is out of range at byte 24"},
		"a tiny exponent":      {`{"type":"x","data":1e-99999999999999999999}`, "", "a number is out of range at byte 22"},
		"a long number":        {`{"type":"x","data":` + strings.Repeat("9", MaxNumberLen+1) + `}`, "", "a number is too long at byte 19"},
		"invalid UTF-8":        {"{\"type\":\"x\",\"data\":\"\xff\"}", "", "not valid UTF-8"},
		"a surrogate in UTF-8": {"{\"type\":\"x\",\"data\":\"\xed\xa0\x80\"}", "", "not valid UTF-8"},
		"a byte order mark":    {"\ufeff{\"type\":\"x\"}", "", "malformed JSON: unexpected a character outside ASCII at byte 0"},
		"too large":            {sized(MaxEventBytes + 1), "", "too large: 65537 bytes, at most 65536 allowed"},
		"too deep":             {`{"type":"x","data":` + strings.Repeat("[", MaxDepth) + strings.Repeat("]", MaxDepth) + `}`, "", "nested deeper than 64 levels"},
		"an endless nesting":   {strings.Repeat("[", 60000), "", "nested deeper than 64 levels"},
		"an array":             {`[{"type":"x"}]`, "", "an event must be a JSON object"},
		"a string":             {`"x"`, "", "an event must be a JSON object"},
	})
}

func TestScanRefusesAttributes(t *testing.T) {
	trace := func(s string) string { return `{"type":"x","traceparent":"` + s + `"}` }
	const traceMessage = "traceparent: must be a W3C trace context, as 00-<32 hex digits>-<16 hex digits>-<2 hex digits>"
	const timeMessage = "time: must be a time as in RFC 3339, like 2026-11-24T10:00:00Z"
	const nameMessage = `: names are 1 to 64 characters of a-z and 0-9, written without escapes`
	requireRefusals(t, map[string]refusal{
		"no attributes":      {`{}`, "/type", "type: is required"},
		"no type":            {`{"id":"1"}`, "/type", "type: is required"},
		"type null":          {`{"type":null}`, "/type", "type: is required"},
		"type twice":         {`{"type":"x","type":"y"}`, "/type", "type: occurs twice"},
		"type after null":    {`{"type":null,"type":"y"}`, "/type", "type: occurs twice"},
		"data twice":         {`{"type":"x","data":1,"data":2}`, "/data", "data: occurs twice"},
		"an extension twice": {`{"type":"x","abc":1,"b":1,"abc":2}`, "/abc", "abc: occurs twice"},
		"both kinds of data": {`{"type":"x","data":1,"data_base64":""}`, "/data_base64", "data_base64: may not stand beside data"},
		"no base64":          {`{"type":"x","data_base64":"a?"}`, "/data_base64", "data_base64: must be base64"},
		"base64 number":      {`{"type":"x","data_base64":1}`, "/data_base64", "data_base64: must be a string"},

		"an upper-case name":   {`{"type":"x","Id":"1"}`, "", `attribute "Id"` + nameMessage},
		"an escaped name":      {`{"\u0074ype":"x"}`, "", `attribute "\\u0074ype"` + nameMessage},
		"an empty name":        {`{"":"x"}`, "", `attribute ""` + nameMessage},
		"a name with a _":      {`{"type":"x","trace_id":"x"}`, "", `attribute "trace_id"` + nameMessage},
		"an overlong name":     {`{"type":"x","` + strings.Repeat("n", 65) + `":1}`, "", `attribute "` + strings.Repeat("n", 64) + `"` + nameMessage},
		"too many extensions":  {`{"type":"x"` + extensions(MaxExtensions+1) + `}`, "", "more than 32 extension attributes"},
		"an extension object":  {`{"type":"x","a":{}}`, "/a", "a: must be a string, a number or a boolean"},
		"an extension array":   {`{"type":"x","a":[1]}`, "/a", "a: must be a string, a number or a boolean"},
		"a number for id":      {`{"type":"x","id":7}`, "/id", "id: must be a string"},
		"an object for source": {`{"type":"x","source":{}}`, "/source", "source: must be a string"},
		"an empty id":          {`{"type":"x","id":""}`, "/id", "id: must not be empty"},
		"an overlong id":       {`{"type":"x","id":"` + strings.Repeat("i", 257) + `"}`, "/id", "id: must be at most 256 bytes"},
		"an overlong type":     {`{"type":"` + strings.Repeat("t", 129) + `"}`, "/type", "type: must be at most 128 bytes"},
		"a control character":  {`{"type":"x","id":"a\nb"}`, "/id", "id: must not contain control characters"},
		"DEL":                  {"{\"type\":\"x\",\"id\":\"a\x7f\"}", "/id", "id: must not contain control characters"},
		"a C1 control":         {"{\"type\":\"x\",\"subject\":\"\u00e9\u0085\"}", "/subject", "subject: must not contain control characters"},
		"half a surrogate":     {`{"type":"x","id":"\ud800"}`, "/id", "id: must not contain half of a surrogate pair"},
		"a type with a space":  {`{"type":"job progress"}`, "/type", "type: must consist of A-Z a-z 0-9 _ . -"},
		"a type with escapes":  {`{"type":"\u007bx\u007d"}`, "/type", "type: must consist of A-Z a-z 0-9 _ . -"},
		"a date":               {`{"type":"x","time":"2026-11-24"}`, "/time", timeMessage},
		"a day too many":       {`{"type":"x","time":"2026-02-29T10:00:00Z"}`, "/time", timeMessage},
		"a comma in the time":  {`{"type":"x","time":"2026-11-24T10:00:00,5Z"}`, "/time", timeMessage},
		"an hour of one digit": {`{"type":"x","time":"2026-11-24T1:00:00Z"}`, "/time", timeMessage},
		"an offset of a day":   {`{"type":"x","time":"2026-11-24T10:00:00+24:00"}`, "/time", timeMessage},
		"an offset minute":     {`{"type":"x","time":"2026-11-24T10:00:00+01:60"}`, "/time", timeMessage},
		"another specversion":  {`{"type":"x","specversion":"0.3"}`, "/specversion", `specversion: must be "1.0"`},
		"a short trace":        {trace("00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331"), "/traceparent", traceMessage},
		"a long trace":         {trace("00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01-x"), "/traceparent", traceMessage},
		"a zero trace":         {trace("00-00000000000000000000000000000000-b7ad6b7169203331-01"), "/traceparent", traceMessage},
		"a zero span":          {trace("00-0af7651916cd43dd8448eb211c80319c-0000000000000000-01"), "/traceparent", traceMessage},
		"an upper-case trace":  {trace("00-0AF7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"), "/traceparent", traceMessage},
		"trace version ff":     {trace("ff-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"), "/traceparent", traceMessage},
		"trace out of place":   {trace("00-0af7651916cd43dd8448eb211c80319cb-7ad6b7169203331-01"), "/traceparent", traceMessage},
	})
}

func TestScanAllocatesLittle(t *testing.T) {
	raw := []byte(sample)
	require.LessOrEqual(t, testing.AllocsPerRun(100, func() {
		if _, err := Scan(raw); err != nil {
			t.Error(err)
		}
	}), 1.0)
}

func TestInvalidErrorsAreShortAndClean(t *testing.T) {
	_, err := Scan([]byte(`{"type":"x","` + strings.Repeat("é\x7f", 5000) + `":1}`))
	var got *InvalidError
	require.ErrorAs(t, err, &got)
	requireClean(t, got)
	require.Equal(t, "a?b?", clip("a\nb\u0085", 10))
	require.Equal(t, "é…", clip("éééé", 5))
}

// requireClean checks what InvalidError promises.
func requireClean(tb testing.TB, err error) {
	tb.Helper()
	var e *InvalidError
	if !errors.As(err, &e) {
		tb.Fatalf("not an InvalidError: %v", err)
	}
	if e.Message == "" || len(e.Message) > MaxMessageBytes || strings.ContainsFunc(e.Message+e.Path, func(r rune) bool {
		return r < 0x20 || r >= 0x7f && r < 0xa0
	}) {
		tb.Fatalf("a message that is empty, long or dirty: %q at %q", e.Message, e.Path)
	}
}

// extensions returns n extension attributes.
func extensions(n int) string {
	var b strings.Builder
	for i := range n {
		b.WriteString(`,"x` + strconv.Itoa(i) + `":1`)
	}
	return b.String()
}

// sized returns an event of n bytes.
func sized(n int) string {
	const start, end = `{"type":"x","data":"`, `"}`
	return start + strings.Repeat("d", n-len(start)-len(end)) + end
}

func BenchmarkScan(b *testing.B) {
	raw := []byte(sample)
	b.ReportAllocs()
	b.SetBytes(int64(len(raw)))
	for b.Loop() {
		if _, err := Scan(raw); err != nil {
			b.Fatal(err)
		}
	}
}
