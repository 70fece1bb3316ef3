package wire_test

import (
	"bytes"
	"encoding/json"
	"testing"
	"unicode/utf8"

	"github.com/tallywire/tallywire/gateway/wire"
)

// FuzzDecode holds Decode against encoding/json: it accepts the same texts (but for invalid UTF-8 and
// deep nesting), reads the same values, and gives every frame exactly one visit or failure.
func FuzzDecode(f *testing.F) {
	for _, c := range clientMessages {
		f.Add([]byte(c.message))
	}
	f.Add([]byte("{\"type\":\"\xc3\x28\"}"))
	f.Add([]byte(`{"type":"ping","id":1e999,"id":-0.10E+3}`))
	f.Add([]byte(`[1e,{"type":"ping"}]`))
	f.Fuzz(func(t *testing.T, msg []byte) {
		before := bytes.Clone(msg)
		out := decode(msg)
		if !bytes.Equal(before, msg) {
			t.Fatal("the message was changed")
		}
		if !json.Valid(msg) || !utf8.Valid(msg) || depth(msg) > 64 {
			if len(out) != 1 || out[0].Error == nil {
				t.Fatalf("accepted: %+v", out)
			}
			return
		}
		frames := values(t, msg)
		if len(frames) > wire.MaxFrames {
			if len(out) != wire.MaxFrames+1 {
				t.Fatalf("%d answers", len(out))
			}
			frames = frames[:wire.MaxFrames]
		} else if len(out) != len(frames) {
			t.Fatalf("%d frames, %d answers", len(frames), len(out))
		}
		for i, raw := range frames {
			checkFrame(t, raw, out[i])
		}
	})
}

// values returns the values that stand for frames in a valid message.
func values(t *testing.T, msg []byte) []json.RawMessage {
	t.Helper()
	if msg = bytes.TrimSpace(msg); msg[0] != '[' {
		return []json.RawMessage{msg}
	}
	var list []json.RawMessage
	if err := json.Unmarshal(msg, &list); err != nil {
		t.Fatal(err)
	}
	return list
}

// checkFrame compares a frame with what encoding/json reads. Members are looked up by exact name, the
// last one counts, null does not.
func checkFrame(t *testing.T, raw json.RawMessage, got decoded) {
	t.Helper()
	if raw[0] != '{' {
		if got.Error == nil {
			t.Fatalf("%s is no frame", raw)
		}
		return
	}
	if got.Error != nil {
		return // what is refused and why is for the golden frames
	}
	m := members(t, raw)
	for name, value := range map[string]string{
		"type": got.Type, "token": got.Token, "session": got.Session, "ack": got.Ack,
	} {
		if want := text(t, m[name]); want != value {
			t.Fatalf("%s: %q, want %q", name, value, want)
		}
	}
	if !bytes.Equal(m["id"], got.ID) {
		t.Fatalf("id: %s, want %s", got.ID, m["id"])
	}
	if !bytes.Equal(m["event"], got.Event) || !bytes.Equal(m["status"], got.Status) {
		t.Fatalf("event: %s, status: %s", got.Event, got.Status)
	}
	if got.Type != wire.TypeSubscribe && got.Type != wire.TypeUnsubscribe {
		return
	}
	var want []decodedChannel
	if list, ok := m["channels"]; ok {
		for _, item := range values(t, list) {
			if item[0] == '"' {
				want = append(want, decodedChannel{Channel: text(t, item)})
				continue
			}
			c := members(t, item)
			want = append(want, decodedChannel{text(t, c["channel"]), text(t, c["cursor"]), text(t, c["since"]), truth(c["presence"])})
		}
	} else {
		want = []decodedChannel{{text(t, m["channel"]), text(t, m["cursor"]), text(t, m["since"]), truth(m["presence"])}}
	}
	if len(want) != len(got.Channels) {
		t.Fatalf("channels: %+v, want %+v", got.Channels, want)
	}
	for i := range want {
		if want[i] != got.Channels[i] {
			t.Fatalf("channel %d: %+v, want %+v", i, got.Channels[i], want[i])
		}
	}
}

// members reads an object with encoding/json.
func members(t *testing.T, raw []byte) map[string]json.RawMessage {
	t.Helper()
	d := json.NewDecoder(bytes.NewReader(raw))
	if _, err := d.Token(); err != nil {
		t.Fatal(err)
	}
	m := map[string]json.RawMessage{}
	for d.More() {
		name, err := d.Token()
		if err != nil {
			t.Fatal(err)
		}
		var value json.RawMessage
		if err := d.Decode(&value); err != nil {
			t.Fatal(err)
		}
		key := name.(string) //nolint:forcetypeassert // names are strings
		if string(value) != "null" || key == "event" || key == "status" {
			m[key] = value
		}
	}
	return m
}

func text(t *testing.T, raw json.RawMessage) (s string) {
	t.Helper()
	if raw == nil {
		return ""
	}
	if err := json.Unmarshal(raw, &s); err != nil {
		t.Fatalf("%s was accepted as a string: %v", raw, err)
	}
	return s
}

// depth is how deep valid JSON nests.
func depth(msg []byte) (deepest int) {
	d := json.NewDecoder(bytes.NewReader(msg))
	for n := 0; ; {
		token, err := d.Token()
		if err != nil {
			return deepest
		}
		switch token {
		case json.Delim('{'), json.Delim('['):
			n++
			deepest = max(deepest, n)
		case json.Delim('}'), json.Delim(']'):
			n--
		}
	}
}

// FuzzAppendString holds the strings of answers against encoding/json: a reader gets what was meant.
func FuzzAppendString(f *testing.F) {
	for _, s := range []string{"", "plain", "\"\\/\b\f\n\r\t", "\x00\x1f\x7f", "é\u2028😀", "\xff\xc3", "\xed\xa0\x80"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		got := wire.AppendString([]byte(`x`), s)[1:]
		if !utf8.Valid(got) || !json.Valid(got) || bytes.ContainsAny(got, "\n\r") {
			t.Fatalf("%q", got)
		}
		reference, err := json.Marshal(s)
		if err != nil {
			t.Fatal(err)
		}
		if text(t, got) != text(t, reference) {
			t.Fatalf("%q, want %q", got, reference)
		}
	})
}

// FuzzMessage makes sure that a client survives whatever a server sends.
func FuzzMessage(f *testing.F) {
	for _, c := range serverFrames {
		f.Add(append(c.write([]byte(`[`)), ']'))
	}
	f.Fuzz(func(t *testing.T, msg []byte) {
		if frames, err := wire.Message(msg); err == nil && frames != nil && !json.Valid(msg) {
			t.Fatalf("accepted %q", msg)
		}
	})
}

func truth(raw json.RawMessage) bool { return string(raw) == "true" }
