package gateway

import (
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"

	"github.com/labstack/echo/v4"

	"github.com/tallywire/tallywire/broker"
	"github.com/tallywire/tallywire/events"
	"github.com/tallywire/tallywire/gateway/wire"
)

// query is a request's query. What is given is never read as if it were absent: the first thing that is wrong
// is kept in err.
type query struct {
	values url.Values
	err    *wire.Error
}

func newQuery(r *http.Request) *query {
	values, err := url.ParseQuery(r.URL.RawQuery)
	q := &query{values: values}
	if err != nil {
		q.fail(wire.CodeInvalidRequest, "the query is badly escaped")
	}
	return q
}

// fail keeps an error, unless there is one.
func (q *query) fail(code wire.Code, message string) {
	if q.err == nil {
		q.err = wire.Errorf(code, message)
	}
}

// get returns a parameter and whether it is given. One that is given twice is an error.
func (q *query) get(name string) (value string, given bool) {
	values := q.values[name]
	switch len(values) {
	case 0:
		return "", false
	case 1:
		return values[0], true
	}
	q.fail(wire.CodeInvalidRequest, name+": is given twice")
	return "", false
}

// limit returns the parameter limit, def where it is not given.
func (q *query) limit(def, most int) int {
	text, given := q.get("limit")
	if !given {
		return def
	}
	n, err := strconv.Atoi(text)
	if err != nil || n < 1 || n > most {
		q.fail(wire.CodeInvalidRequest, "limit: must be 1 to "+strconv.Itoa(most))
		return def
	}
	return n
}

// cursor returns a parameter that is a cursor, nil where it is not given.
func (q *query) cursor(name string) *broker.Cursor {
	text, given := q.get(name)
	if !given {
		return nil
	}
	cursor, err := broker.ParseCursor(text)
	if err != nil {
		q.fail(wire.CodeInvalidCursor, name+": must be a cursor, <offset>-<stamp>")
	}
	return &cursor
}

// time returns a parameter that is a time, as a stamp; 0 where it is not given.
func (q *query) time(name string) uint64 {
	text, given := q.get(name)
	if !given {
		return 0
	}
	t, err := time.Parse(time.RFC3339Nano, text)
	if err != nil {
		message := name + ": must be an RFC 3339 time"
		if strings.Contains(text, " ") {
			message += " (in a query, + is written %2B)"
		}
		q.fail(wire.CodeInvalidSince, message)
		return 0
	}
	return stampOf(t)
}

// stampOf returns a time as a stamp, which is greater than 0.
func stampOf(t time.Time) uint64 { return uint64(max(t.UnixMicro(), 1)) }

// channelOf returns the channel in a request's path.
func channelOf(c echo.Context) (string, error) {
	channel, err := url.PathUnescape(c.Param("channel")) // echo leaves it as it stands in the path
	if err != nil {
		return "", wire.Errorf(wire.CodeInvalidChannel, "the channel's name is badly escaped")
	}
	if err := events.ValidateChannel(channel); err != nil {
		return "", wire.Errorf(wire.CodeInvalidChannel, err.Error())
	}
	return channel, nil
}
