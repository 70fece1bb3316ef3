package contract_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/santhosh-tekuri/jsonschema/v6"
	"github.com/stretchr/testify/require"

	"github.com/tallywire/tallywire/events"
	"github.com/tallywire/tallywire/gateway/contract"
)

// Bodies like the gateway's. That the gateway's own fit is tested there.
type (
	publishRequest struct {
		Channel string          `json:"channel"`
		Event   json.RawMessage `json:"event"`
		Ack     string          `json:"ack"`
		Events  []any           `json:"events"`
	}
	publishResult struct {
		Channel   string `json:"channel"`
		Cursor    string `json:"cursor,omitempty"`
		Ack       string `json:"ack,omitempty"`
		Duplicate bool   `json:"duplicate"`
		Error     string `json:"error,omitempty"`
	}
	historyEvent struct {
		Cursor  string          `json:"cursor"`
		Time    time.Time       `json:"time"`
		Event   json.RawMessage `json:"event"`
		Skipped uint64          `json:"skipped,omitempty"`
	}
	historyReset struct {
		Reason string `json:"reason"`
		Cursor string `json:"cursor"`
	}
	historyPage struct {
		Channel string         `json:"channel"`
		Head    string         `json:"head"`
		Oldest  string         `json:"oldest"`
		Events  []historyEvent `json:"events"`
		Skipped uint64         `json:"skipped,omitempty"`
		Next    string         `json:"next"`
		More    bool           `json:"more"`
		Reset   *historyReset  `json:"reset,omitempty"`
	}
	schemaEntry struct {
		events.Type
		Href string `json:"href"`
	}
	schemaList struct {
		Types []schemaEntry `json:"types"`
	}
	membersPage struct {
		Channel    string    `json:"channel"`
		Version    uint64    `json:"version"`
		Count      int       `json:"count"`
		Sessions   int       `json:"sessions"`
		Members    []any     `json:"members"`
		Next       string    `json:"next,omitempty"`
		StaleSince time.Time `json:"stale_since,omitzero"`
	}
)

func options(t *testing.T) contract.Options {
	t.Helper()
	registry, err := events.NewRegistry(events.Options{})
	require.NoError(t, err)
	return contract.Options{
		Version: "1.2.3", Cookie: "c", Types: registry.Types(), Schema: registry.Schema,
		Limits: contract.Limits{Batch: 1000, History: 1000, Channels: 1000},
		Bodies: map[string]any{
			"PublishRequest": publishRequest{}, "PublishResult": publishResult{}, "HistoryEvent": historyEvent{},
			"HistoryReset": historyReset{}, "HistoryPage": historyPage{}, "MembersPage": membersPage{},
			"SchemaList": schemaList{}, "SchemaEntry": schemaEntry{},
		},
	}
}

func newContract(t *testing.T) *contract.Contract {
	t.Helper()
	c, err := contract.New(options(t))
	require.NoError(t, err)
	return c
}

type object = map[string]any

// parse reads JSON as the validator wants it.
func parse(t *testing.T, b []byte) any {
	t.Helper()
	v, err := jsonschema.UnmarshalJSON(bytes.NewReader(b))
	require.NoError(t, err)
	return v
}

func readJSON(t *testing.T, path ...string) any {
	t.Helper()
	b, err := os.ReadFile(filepath.Join(path...))
	require.NoError(t, err)
	return parse(t, b)
}

// schemas are those of the built-in types, by where a gateway serves them.
func schemas(t *testing.T) map[string][]byte {
	t.Helper()
	registry, err := events.NewRegistry(events.Options{})
	require.NoError(t, err)
	out := map[string][]byte{}
	for _, e := range registry.Types() {
		text, ok := registry.Schema(e.ID)
		require.True(t, ok)
		out[fmt.Sprintf("/schemas/%s?version=%d", e.Name, e.Version)] = text
	}
	return out
}
