package contracttest

import (
	"bytes"
	"fmt"
	"strconv"

	"github.com/santhosh-tekuri/jsonschema/v6"
	"github.com/stretchr/testify/require"
)

// FromClient checks a message that a client sent over a WebSocket.
func (tr *Traffic) FromClient(msg []byte) {
	tr.t.Helper()
	require.NoError(tr.t, tr.frames(tr.messages.Schema(tr.t, "components", "messages", "client", "payload"), "client", msg))
}

// FromServer checks a message that a gateway sent over a WebSocket.
func (tr *Traffic) FromServer(msg []byte) {
	tr.t.Helper()
	require.NoError(tr.t, tr.CheckServer(msg))
}

// CheckServer returns what is wrong with a message of a gateway.
func (tr *Traffic) CheckServer(msg []byte) error {
	return tr.frames(tr.messages.Schema(tr.t, "components", "messages", "server", "payload"), "server", msg)
}

// Closed notes that a gateway closed a WebSocket with a code.
func (tr *Traffic) Closed(code int) { tr.note("close " + strconv.Itoa(code)) }

// frames checks a message, and notes its frames.
func (tr *Traffic) frames(schema *jsonschema.Schema, from string, msg []byte) error {
	v, err := jsonschema.UnmarshalJSON(bytes.NewReader(msg))
	if err != nil {
		return fmt.Errorf("%w: %s", err, msg)
	}
	if err := schema.Validate(v); err != nil {
		return fmt.Errorf("from %s: %w: %s", from, err, msg)
	}
	list, ok := v.([]any)
	if !ok {
		list = []any{v}
	}
	tr.noteFrames(from, list)
	return nil
}

func (tr *Traffic) noteFrames(from string, list []any) {
	for _, f := range list {
		o, ok := f.(Object)
		if !ok {
			continue
		}
		kind, _ := o["type"].(string)
		tr.note(from + " frame " + kind)
		for _, field := range []string{"code", "reason", "action", "state"} {
			if v, ok := o[field].(string); ok && kind != "degraded" {
				tr.note(from + " frame " + kind + " " + v)
			}
		}
		tr.noteEvent(o["event"])
	}
}

// noteEvent notes the type of an event.
func (tr *Traffic) noteEvent(v any) {
	if o, ok := v.(Object); ok {
		if name, ok := o["type"].(string); ok {
			tr.note("event " + name)
		}
	}
}
