package gateway

import (
	"fmt"

	"github.com/tallywire/tallywire/events"
	"github.com/tallywire/tallywire/gateway/contract"
)

// newContract makes the documents of what the gateway speaks. Event types are in them when the registry
// can list them.
func newContract(o *Options) (*contract.Contract, error) {
	var types []events.Type
	var schema func(string) ([]byte, bool)
	if source, ok := o.Registry.(SchemaSource); ok {
		types, schema = source.Types(), source.Schema
	}
	c, err := contract.New(contract.Options{
		Version: o.Version, Cookie: cookieName, Types: types, Schema: schema,
		Limits: contract.Limits{Batch: maxBatch, History: maxHistory, Channels: o.Limits.Subscriptions},
		Bodies: map[string]any{
			"PublishRequest": publishRequest{},
			"PublishResult":  publishResult{},
			"HistoryPage":    HistoryPage{},
			"HistoryEvent":   HistoryEvent{},
			"HistoryReset":   HistoryReset{},
			"MembersPage":    MembersPage{},
			"SchemaList":     SchemaList{},
			"SchemaEntry":    SchemaEntry{},
		},
	})
	if err != nil {
		return nil, fmt.Errorf("gateway: %w", err)
	}
	return c, nil
}
