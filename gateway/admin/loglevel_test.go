package admin_test

import (
	"net/http"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/tallywire/tallywire/gateway/inspect"
)

// leveled is a gateway whose log can be told what to say.
type leveled struct {
	*local
	level string
	until time.Time
}

func (l *leveled) SetLogLevel(level string, d time.Duration) time.Time {
	l.level, l.until = level, time.Now().Add(d)
	return l.until
}

// TestLogLevel: one gateway is told, by name or the one that is asked, for a time; and who did it is logged.
func TestLogLevel(t *testing.T) {
	one, two := &leveled{local: newLocal("gw-1")}, &leveled{local: newLocal("gw-2")}
	r := newRig(t, rigOptions{cluster: &cluster{more: []inspect.Local{one, two}}})
	status, body := r.call(http.MethodPut, "/admin/v1/log-level", `{"level":"debug"}`, r.token)
	require.Equal(t, http.StatusOK, status, body)
	require.Equal(t, "gw-1", body["gateway"])
	require.Equal(t, "debug", one.level)
	require.InDelta(t, 600, time.Until(one.until).Seconds(), 30)
	require.Empty(t, two.level)

	status, body = r.call(http.MethodPut, "/admin/v1/log-level", `{"gateway":"gw-2","level":"error","for_s":5}`, r.token)
	require.Equal(t, http.StatusOK, status)
	require.Equal(t, "error", body["level"])
	require.Equal(t, "error", two.level)
	until, err := time.Parse(time.RFC3339, body["until"].(string))
	require.NoError(t, err)
	require.WithinDuration(t, two.until, until, time.Second)
	require.Len(t, r.log.lines(t, "admin_action"), 2)
	require.Equal(t, object{"gateway": "gw-2", "level": "error", "for_s": 5.0}, r.log.lines(t, "admin_action")[1]["did"])

	for _, content := range []string{
		`{}`, `{"level":"DEBUG"}`, `{"level":"trace"}`, `{"level":"debug","for_s":0}`, `{"level":"debug","for_s":86401}`,
		`{"level":"debug","for_s":"long"}`, `{"level":"debug","for":5}`,
	} {
		r.refused(400, "invalid_request", http.MethodPut, "/admin/v1/log-level", content)
	}
	r.refused(404, "not_found", http.MethodPut, "/admin/v1/log-level", `{"gateway":"gw-9","level":"info"}`)
	require.Equal(t, "debug", one.level)
}

// TestLogLevelThatStays: a gateway that cannot do it says so.
func TestLogLevelThatStays(t *testing.T) {
	r := newRig(t, rigOptions{cluster: &cluster{locals: []*local{newLocal("gw-1")}}})
	r.refused(501, "unsupported", http.MethodPut, "/admin/v1/log-level", `{"level":"debug"}`)
}
