package admin_test

import (
	"encoding/json"
	"fmt"
	"net/http"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/tallywire/tallywire/broker"
)

// bury publishes an event and buries it, as a gateway does that cannot deliver it.
func (r *rig) bury(channel, event string) broker.Cursor {
	r.t.Helper()
	cursor := r.publish(channel, event)
	require.NoError(r.t, r.dead.Bury(r.t.Context(), broker.DeadLetter{
		Channel: channel, Cursor: cursor, Code: "invalid_event", Reason: "type: is required", Event: []byte(event), Time: time.Now(),
	}))
	return cursor
}

// newest returns the last event of a channel.
func (r *rig) newest(channel string) object {
	r.t.Helper()
	page, err := r.broker.Read(r.t.Context(), channel, broker.ReadRequest{Before: 1 << 62, Limit: 1})
	require.NoError(r.t, err)
	require.Len(r.t, page.Entries, 1)
	var e object
	require.NoError(r.t, json.Unmarshal(page.Entries[0].Event, &e))
	return e
}

func TestDeadLetters(t *testing.T) {
	r := newRig(t, rigOptions{cluster: &cluster{}})
	var cursors []broker.Cursor
	for n := range 5 {
		cursors = append(cursors, r.bury("jobs:1", fmt.Sprintf(`{"data":%d}`, n)))
	}
	body := r.get("/admin/v1/dead-letters?limit=3")
	require.Len(t, list(t, body, "letters"), 3)
	require.Equal(t, true, body["more"])
	letter := list(t, body, "letters")[0]
	require.Equal(t, cursors[0].String(), letter["cursor"])
	require.Equal(t, `{"data":0}`, letter["event"])
	require.Equal(t, "type: is required", letter["reason"])
	body = r.get("/admin/v1/dead-letters?limit=3&after=" + body["next"].(string))
	require.Len(t, list(t, body, "letters"), 2)
	require.Equal(t, false, body["more"])

	body = r.get("/admin/v1/dead-letters/jobs:1/" + cursors[4].String())
	require.Equal(t, `{"data":4}`, body["event"])
	r.refused(404, "not_found", http.MethodGet, "/admin/v1/dead-letters/jobs:2/"+cursors[4].String(), "")
	r.refused(400, "invalid_cursor", http.MethodGet, "/admin/v1/dead-letters/jobs:1/4", "")
	r.refused(400, "invalid_cursor", http.MethodGet, "/admin/v1/dead-letters/jobs:1/0-0", "")
}

// TestDeadLetterThatIsNoText is shown as bytes; one far back is found.
func TestDeadLetterThatIsNoText(t *testing.T) {
	r := newRig(t, rigOptions{cluster: &cluster{}})
	for range 250 {
		r.bury("jobs:1", `{}`)
	}
	cursor := r.bury("jobs:2", "{\xff}")
	body := r.get("/admin/v1/dead-letters/jobs:2/" + cursor.String())
	require.Equal(t, "e/99", body["event_base64"])
	require.NotContains(t, body, "event")
	require.InDelta(t, 3, body["bytes"], 0)
}

func TestRepublish(t *testing.T) {
	r := newRig(t, rigOptions{cluster: &cluster{}})
	cursor := r.bury("jobs:1", `{"id":"e1","source":"worker","data":{"n":1}}`)
	path := "/admin/v1/dead-letters/jobs:1/" + cursor.String() + "/republish"
	problem := r.refused(422, "invalid_event", http.MethodPost, path, `{}`)
	require.Equal(t, "/type", problem["path"])
	require.Equal(t, "jobs:1", problem["channel"])

	edited := `{"event":{"id":"e1","source":"worker","type":"x.fixed","data":{"n":1}}}`
	body := r.post(path, edited)
	require.Equal(t, false, body["duplicate"])
	require.Equal(t, "x.fixed", r.newest("jobs:1")["type"])
	again := r.post(path, edited)
	require.Equal(t, true, again["duplicate"], "pressed twice, published once")
	require.Equal(t, body["cursor"], again["cursor"])

	other := r.post(path, `{"event":{"id":"e1","source":"worker","type":"x.other"}}`)
	require.Equal(t, false, other["duplicate"])

	// As it was: its type has become known since.
	cursor = r.bury("jobs:1", `{"type":"x.late","data":2}`)
	r.post("/admin/v1/dead-letters/jobs:1/"+cursor.String()+"/republish", `{}`)
	require.Equal(t, object{"type": "x.late", "data": 2.0}, r.newest("jobs:1"))

	r.refused(404, "not_found", http.MethodPost, "/admin/v1/dead-letters/jobs:1/99-99/republish", `{}`)
	r.refused(422, "invalid_event", http.MethodPost, path, `{"event":[1]}`)
	lines := r.log.lines(t, "admin_action")
	require.Equal(t, true, lines[1]["did"].(object)["edited"])
}

func TestPublish(t *testing.T) {
	r := newRig(t, rigOptions{cluster: &cluster{}})
	body := r.post("/admin/v1/publish", `{"channel":"jobs:1","event":{"type":"x.test","id":"e1","data":{"n":1.50}}}`)
	require.Equal(t, "jobs:1", body["channel"])
	require.Equal(t, "stored", body["ack"])
	require.Equal(t, "ops@example.com", r.newest("jobs:1")["source"])
	again := r.post("/admin/v1/publish", `{"channel":"jobs:1","event":{"type":"x.test","id":"e1"},"ack":"stored"}`)
	require.Equal(t, true, again["duplicate"])

	r.refused(422, "invalid_event", http.MethodPost, "/admin/v1/publish", `{"channel":"jobs:1"}`)
	r.refused(422, "invalid_event", http.MethodPost, "/admin/v1/publish", `{"channel":"jobs:1","event":null}`)
	problem := r.refused(422, "invalid_event", http.MethodPost, "/admin/v1/publish", `{"channel":"jobs:1","event":{"type":"job.progress","data":{"percent":101}}}`)
	require.Contains(t, problem["path"], "/data")
	r.refused(400, "invalid_request", http.MethodPost, "/admin/v1/publish", `{"channel":"jobs:1","event":{"type":"x"},"ack":"soon"}`)
}
