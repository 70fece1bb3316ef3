package events

import (
	"encoding/json"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"testing"

	"github.com/santhosh-tekuri/jsonschema/v6"
	"github.com/stretchr/testify/require"
)

// check scans and checks an event.
func check(tb testing.TB, r *Registry, raw string) error {
	tb.Helper()
	env, err := Scan([]byte(raw))
	require.NoError(tb, err)
	return r.Check(env, []byte(raw))
}

// event returns an event's JSON.
func event(eventType, data string) string {
	return `{"type":"` + eventType + `","data":` + data + `}`
}

func newRegistry(tb testing.TB, o Options) *Registry {
	tb.Helper()
	r, err := NewRegistry(o)
	require.NoError(tb, err)
	return r
}

func requireInvalid(tb testing.TB, err error, path, message string) {
	tb.Helper()
	var got *InvalidError
	require.ErrorAs(tb, err, &got)
	require.Equal(tb, InvalidError{Path: path, Message: message}, *got)
	requireClean(tb, err)
}

func TestBuiltInTypes(t *testing.T) {
	r := newRegistry(t, Options{})
	terminal := map[string]bool{}
	for _, typ := range r.Types() {
		terminal[typ.Name] = typ.Terminal
		require.Equal(t, 1, typ.Version)
		require.True(t, typ.BuiltIn)
		require.NotEmpty(t, typ.Title)
		require.NotEmpty(t, typ.Description)
		require.Equal(t, "https://tallywire.dev/schemas/"+typ.Name+"/1", typ.ID)
		require.Equal(t, typ.Terminal, r.Terminal(typ.Name))
	}
	require.Equal(t, map[string]bool{
		"job.started": false, "job.progress": false, "job.completed": true, "job.failed": true,
		"match.created": false, "match.updated": false, "match.deleted": true, "rule.updated": false,
		"notification.raised": true, "system.status": false, "error.raised": true, "dashboard.metric": false,
	}, terminal)
	require.False(t, r.Terminal("acme.unknown"))
	require.IsIncreasing(t, names(r))

	types := r.Types()
	types[0].Name = "changed"
	require.NotEqual(t, types[0], r.Types()[0], "the caller's copy must not be the registry's")
}

func names(r *Registry) []string {
	var names []string
	for _, t := range r.Types() {
		names = append(names, t.Name)
	}
	return names
}

// TestBuiltInExamples validates every example and looks at how the schemas are written.
func TestBuiltInExamples(t *testing.T) {
	r := newRegistry(t, Options{Strict: true})
	for _, typ := range r.Types() {
		t.Run(typ.Name, func(t *testing.T) {
			source, ok := r.Schema(typ.Name)
			require.True(t, ok)
			var schema struct {
				Schema   string            `json:"$schema"`
				Examples []json.RawMessage `json:"examples"`
			}
			require.NoError(t, json.Unmarshal(source, &schema))
			require.Equal(t, draft, schema.Schema)
			require.NotEmpty(t, schema.Examples)
			for _, example := range schema.Examples {
				require.NoError(t, check(t, r, event(typ.Name, string(example))), "%s", example)
				require.NoError(t, check(t, r, `{"type":"`+typ.Name+`","dataschema":"`+typ.ID+`","data":`+string(example)+`}`))
			}

			doc, err := jsonschema.UnmarshalJSON(strings.NewReader(string(source)))
			require.NoError(t, err)
			requireDescribed(t, typ.Name, doc)

			// Every type wants an object with its required fields, and lets newer fields pass.
			require.Error(t, check(t, r, `{"type":"`+typ.Name+`"}`))
			requireInvalid(t, check(t, r, event(typ.Name, `null`)), "/data", "data: must be an object, is null")
			requireInvalid(t, check(t, r, event(typ.Name, `[]`)), "/data", "data: must be an object, is an array")
			require.Error(t, check(t, r, event(typ.Name, `{}`)))
			more := strings.Replace(string(schema.Examples[0]), "{", `{"a field of tomorrow":{"a":[1]},`, 1)
			require.NoError(t, check(t, r, event(typ.Name, more)))
		})
	}
}

// requireDescribed fails for a field without a description.
func requireDescribed(t *testing.T, path string, schema any) {
	t.Helper()
	object, ok := schema.(map[string]any)
	if !ok {
		return
	}
	for _, keyword := range []string{"properties", "$defs"} {
		fields, ok := object[keyword].(map[string]any)
		if !ok {
			continue
		}
		for name, field := range fields {
			described, ok := field.(map[string]any)
			require.True(t, ok)
			require.NotEmpty(t, described["description"], "%s/%s", path, name)
			requireDescribed(t, path+"/"+name, field)
		}
	}
}

func TestBuiltInTypesRefuse(t *testing.T) {
	r := newRegistry(t, Options{})
	const match = `"match_id":"m","left_ids":["l"],"right_ids":["r"],"status":"proposed"`
	for _, tc := range []struct{ eventType, data, path, message string }{
		{"job.started", `{}`, "/data/job_id", "data.job_id: is required"},
		{"job.started", `{"job_id":""}`, "/data/job_id", "data.job_id: must have at least 1 character, has 0"},
		{"job.started", `{"job_id":42}`, "/data/job_id", "data.job_id: must be a string, is a number"},
		{"job.started", `{"job_id":"42","attempt":0}`, "/data/attempt", "data.attempt: must be >= 1"},
		{"job.started", `{"job_id":"42","attempt":1.5}`, "/data/attempt", "data.attempt: must be an integer, is a number"},
		{"job.started", `{"job_id":"42","phases":["a","b","a"]}`, "/data/phases", "data.phases: must not repeat items, 0 and 2 are equal"},
		{"job.started", `{"job_id":"42","phases":["a",1]}`, "/data/phases/1", "data.phases[1]: must be a string, is a number"},
		{"job.started", `{"job_id":"42","started_at":"yesterday"}`, "/data/started_at", "data.started_at: must be a valid date-time"},
		{"job.started", `{"job_id":"42","author":{"kind":"user"}}`, "/data/author/id", "data.author.id: is required"},
		{"job.progress", `{"job_id":"42","percent":100.5}`, "/data/percent", "data.percent: must be <= 100"},
		{"job.progress", `{"job_id":"42","percent":-1}`, "/data/percent", "data.percent: must be >= 0"},
		{"job.progress", `{"job_id":"42","percent":"30"}`, "/data/percent", "data.percent: must be a number, is a string"},
		{"job.progress", `{"job_id":"42"}`, "/data/percent", "data.percent: is required"},
		{"job.progress", `{"job_id":"42","processed":-1}`, "/data/processed", "data.processed: must be >= 0"},
		{"job.progress", `{"job_id":"42","processed":1,"eta_ms":0.5}`, "/data/eta_ms", "data.eta_ms: must be an integer, is a number"},
		{"job.completed", `{"job_id":"42","match_rate":101}`, "/data/match_rate", "data.match_rate: must be <= 100"},
		{"job.completed", `{"job_id":"42","matched_amount":{"amount":12.5,"currency":"EUR"}}`, "/data/matched_amount/amount", "data.matched_amount.amount: must be a string, is a number"},
		{"job.failed", `{"job_id":"42"}`, "/data/error", "data.error: is required"},
		{"job.failed", `{"job_id":"42","error":{"code":"a b","message":"x"}}`, "/data/error/code", "data.error.code: must match the pattern ^[A-Za-z0-9_.-]{1,64}$"},
		{"job.failed", `{"job_id":"42","error":{"code":"x","message":"x"},"will_retry":"yes"}`, "/data/will_retry", "data.will_retry: must be a boolean, is a string"},
		{"match.created", `{"match_id":"m","left_ids":["l"],"right_ids":["r"]}`, "/data/status", "data.status: is required"},
		{"match.created", `{"match_id":"m","left_ids":[],"right_ids":["r"],"status":"proposed"}`, "/data/left_ids", "data.left_ids: must have at least 1 item, has 0"},
		{"match.created", `{"match_id":"m","left_ids":["l"],"right_ids":["r"],"status":"open"}`, "/data/status", "data.status: must be one of proposed, confirmed, rejected, disputed"},
		{"match.created", `{` + match + `,"confidence":93}`, "/data/confidence", "data.confidence: must be <= 1"},
		{"match.created", `{` + match + `,"difference":{"amount":"0,50","currency":"EUR"}}`, "/data/difference/amount", `data.difference.amount: must match the pattern ^-?(0|[1-9][0-9]{0,17})(\.[0-9]{1,8})?$`},
		{"match.created", `{` + match + `,"difference":{"amount":"1e3","currency":"EUR"}}`, "/data/difference/amount", `data.difference.amount: must match the pattern ^-?(0|[1-9][0-9]{0,17})(\.[0-9]{1,8})?$`},
		{"match.created", `{` + match + `,"difference":{"amount":"0.50","currency":"eur"}}`, "/data/difference/currency", "data.difference.currency: must match the pattern ^[A-Z]{3}$"},
		{"match.created", `{` + match + `,"difference":{"amount":"0.50"}}`, "/data/difference/currency", "data.difference.currency: is required"},
		{"match.created", `{` + match + `,"author":{"kind":"robot","id":"x"}}`, "/data/author/kind", "data.author.kind: must be one of user, rule, system"},
		{"match.updated", `{"match_id":"m"}`, "/data/changed", "data.changed: is required"},
		{"match.updated", `{"match_id":"m","changed":[]}`, "/data/changed", "data.changed: must have at least 1 item, has 0"},
		{"match.deleted", `{"reason":"x"}`, "/data/match_id", "data.match_id: is required"},
		{"rule.updated", `{"rule_id":"r","action":"renamed"}`, "/data/action", "data.action: must be one of created, changed, enabled, disabled, deleted"},
		{"rule.updated", `{"rule_id":"r","action":"changed","window_days":-1}`, "/data/window_days", "data.window_days: must be >= 0"},
		{"notification.raised", `{"notification_id":"n","severity":"bad","title":"x"}`, "/data/severity", "data.severity: must be one of info, warning, error, critical"},
		{"notification.raised", `{"notification_id":"n","severity":"info","title":"` + strings.Repeat("x", 257) + `"}`, "/data/title", "data.title: must have at most 256 characters, has 257"},
		{"system.status", `{"component":"importer","status":"up"}`, "/data/status", "data.status: must be one of operational, degraded, partial_outage, outage, maintenance"},
		{"error.raised", `{"code":"x","severity":"error"}`, "/data/message", "data.message: is required"},
		{"error.raised", `{"code":"x","severity":"error","message":"x","details":"text"}`, "/data/details", "data.details: must be an object, is a string"},
		{"dashboard.metric", `{"metric":"open"}`, "/data/amount", "data.amount: is required"},
		{"dashboard.metric", `{"metric":"open items","value":1}`, "/data/metric", "data.metric: must match the pattern ^[A-Za-z0-9_.:-]{1,128}$"},
		{"dashboard.metric", `{"metric":"open","value":1,"labels":{"entity":7}}`, "/data/labels/entity", "data.labels.entity: must be a string, is a number"},
	} {
		requireInvalid(t, check(t, r, event(tc.eventType, tc.data)), tc.path, tc.message)
	}
}

// TestCheckIsDeterministic: the validator goes through maps, what is told must not depend on that.
func TestCheckIsDeterministic(t *testing.T) {
	r := newRegistry(t, Options{})
	for range 50 {
		requireInvalid(t, check(t, r, event("job.progress", `{"job_id":1,"percent":-1,"attempt":0,"phase":2,"rate":"x"}`)),
			"/data/attempt", "data.attempt: must be >= 1")
	}
}

func TestCheckUnknownTypes(t *testing.T) {
	open, strict := newRegistry(t, Options{}), newRegistry(t, Options{Strict: true})
	raw := event("acme.order", `{"anything":1}`)
	require.NoError(t, check(t, open, raw))
	requireInvalid(t, check(t, strict, raw), "/type", `type: unknown event type "acme.order"`)

	raw = `{"type":"job.progress","dataschema":"https://example.com/progress","data":{"percent":1000}}`
	require.NoError(t, check(t, open, raw))
	requireInvalid(t, check(t, strict, raw), "/dataschema",
		"dataschema: unknown for type job.progress, known are https://tallywire.dev/schemas/job.progress/1")
}

func TestSchema(t *testing.T) {
	r := newRegistry(t, Options{})
	want, ok := r.Schema("job.progress")
	require.True(t, ok)
	for _, name := range []string{"job.progress/1", "https://tallywire.dev/schemas/job.progress/1"} {
		got, ok := r.Schema(name)
		require.True(t, ok)
		require.Equal(t, want, got)
	}
	for _, name := range []string{"", "job", "job.progress/2", "../job.progress"} {
		_, ok := r.Schema(name)
		require.False(t, ok, name)
	}
}

func TestCheckUnknownTypeIsCheap(t *testing.T) {
	r := newRegistry(t, Options{})
	env, err := Scan([]byte(event("acme.order", `{"a":1}`)))
	require.NoError(t, err)
	require.Zero(t, testing.AllocsPerRun(100, func() {
		if err := r.Check(env, nil); err != nil {
			t.Error(err)
		}
	}))
}

func BenchmarkCheck(b *testing.B) {
	r := newRegistry(b, Options{})
	for name, raw := range map[string]string{"progress": sample, "unknown": event("acme.order", `{"a":1}`)} {
		b.Run(name, func(b *testing.B) {
			env, err := Scan([]byte(raw))
			require.NoError(b, err)
			b.ReportAllocs()
			for b.Loop() {
				if err := r.Check(env, nil); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

// TestRegistryIsSafeForConcurrentUse has something to find under -race only.
func TestRegistryIsSafeForConcurrentUse(t *testing.T) {
	r := newRegistry(t, Options{Strict: true})
	var group sync.WaitGroup
	for i := range 8 {
		group.Go(func() {
			for _, typ := range r.Types() {
				good := event("job.progress", `{"job_id":"42","percent":`+strconv.Itoa(i)+`}`)
				if err := check(t, r, good); err != nil {
					t.Error(err)
				}
				if err := check(t, r, event(typ.Name, `{}`)); err == nil {
					t.Errorf("%s takes an empty object", typ.Name)
				}
				if _, ok := r.Schema(typ.Name); !ok || r.Terminal(typ.Name) != typ.Terminal {
					t.Errorf("%s is told differently", typ.Name)
				}
			}
		})
	}
	group.Wait()
}

// BenchmarkCheckWorst measures events made to be expensive to check, at the greatest size.
func BenchmarkCheckWorst(b *testing.B) {
	dir := b.TempDir()
	require.NoError(b, os.WriteFile(filepath.Join(dir, "x.json"),
		[]byte(`{"items":{"type":"number","minimum":-1,"multipleOf":0.01}}`), 0o600))
	r := newRegistry(b, Options{Dir: dir})
	var different strings.Builder
	for i := 1000; different.Len() < MaxEventBytes-200; i++ {
		different.WriteString(strconv.Itoa(i) + "e390,")
	}
	for name, items := range map[string]string{
		"exponents": different.String() + "1",
		"digits":    strings.Repeat(strings.Repeat("9", MaxNumberLen)+",", 120) + "1",
	} {
		b.Run(name, func(b *testing.B) {
			env, err := Scan([]byte(event("x", "["+items+"]")))
			require.NoError(b, err)
			for b.Loop() {
				if err := r.Check(env, nil); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
