package events

import (
	"bytes"
	"encoding/json"
	"strings"
	"testing"
	"unicode/utf8"
)

func FuzzScan(f *testing.F) {
	for _, s := range []string{
		sample, `{}`, `[]`, `"x"`, `nul`, `{"type":"x"}`, `{"type":"x","data":[1,-0.5E+3,{"a":null}]}`, `{"type":"x","id":"\ud83d\ude00"}`,
		`{"type":"x","data":1e999999}`, `{"type":"x","a":1,"a":2}`, "{\"type\":\"x\",\"data\":\"\xff\"}", " {\r\n\"type\"\t:\"x\"}\n",
		`{"type":"x","data_base64":"aGk="}`, `{"type":"x","traceparent":"00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"}`,
	} {
		f.Add([]byte(s))
	}
	registry, err := NewRegistry(Options{})
	if err != nil {
		f.Fatal(err)
	}
	f.Fuzz(func(t *testing.T, raw []byte) {
		before := bytes.Clone(raw)
		env, err := Scan(raw)
		if !bytes.Equal(raw, before) {
			t.Fatal("Scan changed the event")
		}
		if err != nil {
			requireClean(t, err)
			if strings.HasPrefix(err.Error(), malformed) && json.Valid(raw) {
				t.Fatalf("refused valid JSON as malformed: %v", err)
			}
			return
		}
		if !json.Valid(raw) || !utf8.Valid(raw) {
			t.Fatal("accepted invalid JSON")
		}
		checkAgainstReference(t, raw, env)
		if err := registry.Check(env, raw); err != nil {
			requireClean(t, err)
		}
		compact := Compact(raw)
		if bytes.ContainsAny(compact, "\r\n") {
			t.Fatal("Compact left a line break")
		}
		again, err := Scan(compact)
		if err != nil {
			t.Fatalf("Compact broke the event: %v", err)
		}
		again.Data, env.Data = nil, nil
		if again.Type != env.Type || again.ID != env.ID || again.HasData != env.HasData {
			t.Fatal("Compact changed the event")
		}
		var e Event
		if err := json.Unmarshal(raw, &e); err != nil {
			t.Fatalf("an accepted event cannot be decoded: %v", err)
		}
	})
}

// checkAgainstReference compares an envelope with what encoding/json reads.
func checkAgainstReference(t *testing.T, raw []byte, env Envelope) {
	t.Helper()
	var members map[string]json.RawMessage
	if err := json.Unmarshal(raw, &members); err != nil {
		t.Fatal(err)
	}
	for name, got := range map[string]string{
		"id": env.ID, "source": env.Source, "type": env.Type, "subject": env.Subject,
		"time": env.Time, "dataschema": env.DataSchema, "traceparent": env.TraceParent,
	} {
		var want string
		if m, ok := members[name]; ok {
			if err := json.Unmarshal(m, &want); err != nil {
				t.Fatalf("%s: %v", name, err)
			}
		}
		if got != want {
			t.Fatalf("%s is %q, want %q", name, got, want)
		}
	}
	data, ok := members["data"]
	if ok != env.HasData || !bytes.Equal(data, env.Data) {
		t.Fatalf("data is %q, want %q", env.Data, data)
	}
}

// FuzzCheck holds arbitrary data against every built-in type: no panic, no dirty message.
func FuzzCheck(f *testing.F) {
	registry, err := NewRegistry(Options{Strict: true})
	if err != nil {
		f.Fatal(err)
	}
	types := registry.Types()
	for i, typ := range types {
		source, _ := registry.Schema(typ.Name)
		var schema struct {
			Examples []json.RawMessage `json:"examples"`
		}
		if err := json.Unmarshal(source, &schema); err != nil {
			f.Fatal(err)
		}
		for _, example := range schema.Examples {
			f.Add(uint8(i), []byte(example))
		}
	}
	f.Add(uint8(0), []byte(`{"job_id":"42","attempt":1e400,"total":-1e-400}`))
	f.Fuzz(func(t *testing.T, i uint8, data []byte) {
		raw := []byte(event(types[int(i)%len(types)].Name, string(data)))
		env, err := Scan(raw)
		if err == nil {
			err = registry.Check(env, raw)
		}
		if err != nil {
			requireClean(t, err)
		}
	})
}
