package wire_test

import (
	"encoding/json"
	"flag"
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/tallywire/tallywire/gateway/wire"
)

var update = flag.Bool("update", false, "write the golden frames anew")

// golden is testdata/frames.json: what every codec of the protocol, in whatever language, must agree on.
type golden struct {
	Comment string         `json:"comment"`
	Client  []clientGolden `json:"client"`
	Server  []serverGolden `json:"server"`
}

// clientGolden is a client message and what a gateway makes of it.
type clientGolden struct {
	Name    string    `json:"name"`
	Message string    `json:"message"`
	Frames  []decoded `json:"frames"`
}

// serverGolden is a server message, byte for byte.
type serverGolden struct {
	Name    string `json:"name"`
	Message string `json:"message"`
}

// decoded is one visit or failure of wire.Decode.
type decoded struct {
	Type     string           `json:"type,omitempty"`
	ID       json.RawMessage  `json:"id,omitempty"`
	Token    string           `json:"token,omitempty"`
	Session  string           `json:"session,omitempty"`
	Channel  string           `json:"channel,omitempty"`
	Channels []decodedChannel `json:"channels,omitempty"`
	Event    json.RawMessage  `json:"event,omitempty"`
	Status   json.RawMessage  `json:"status,omitempty"`
	Ack      string           `json:"ack,omitempty"`
	After    string           `json:"after,omitempty"`
	Limit    int              `json:"limit,omitempty"`
	Leave    bool             `json:"leave,omitempty"`
	Error    *decodedError    `json:"error,omitempty"`
}

type decodedChannel struct {
	Channel  string `json:"channel"`
	Cursor   string `json:"cursor,omitempty"`
	Since    string `json:"since,omitempty"`
	Presence bool   `json:"presence,omitempty"`
}

type decodedError struct {
	Code wire.Code `json:"code"`
	Path string    `json:"path,omitempty"`
}

// decode returns all that Decode tells of a message.
func decode(msg []byte) (out []decoded) {
	var f wire.ClientFrame
	wire.Decode(msg, &f, func(f *wire.ClientFrame) bool {
		d := decoded{
			Type: f.Type, ID: clone(f.ID), Token: f.Token, Session: f.Session, Channel: f.Channel,
			Event: clone(f.Event), Status: clone(f.Status), Ack: f.Ack, After: f.After, Limit: f.Limit, Leave: f.Leave,
		}
		for _, c := range f.Channels {
			d.Channels = append(d.Channels, decodedChannel{c.Channel, c.Cursor, c.Since, c.Presence})
		}
		out = append(out, d)
		return true
	}, func(f *wire.ClientFrame, err *wire.Error) {
		out = append(out, decoded{ID: clone(f.ID), Error: &decodedError{Code: err.Code, Path: err.Path}})
	})
	return out
}

func clone(b []byte) json.RawMessage {
	if b == nil {
		return nil
	}
	return append(json.RawMessage{}, b...)
}

const goldenFile = "frames.json"

func readGolden(t *testing.T) golden {
	t.Helper()
	b, err := os.ReadFile(filepath.Join("testdata", goldenFile))
	require.NoError(t, err)
	var g golden
	require.NoError(t, json.Unmarshal(b, &g))
	return g
}
