package gateway_test

import (
	"encoding/json"
	"fmt"
	"net/http"
	"os"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/tallywire/tallywire/gateway/auth"
	"github.com/tallywire/tallywire/gateway/wire"
)

const (
	structured = "application/cloudevents+json"
	batched    = "application/cloudevents-batch+json"
)

// publishAs publishes with headers in pairs.
func (r *rig) publishAs(query, body string, pairs ...string) answer {
	r.t.Helper()
	header := http.Header{}
	for pair := range slices.Chunk(pairs, 2) {
		header.Add(pair[0], pair[1])
	}
	token := r.token("alice", &auth.Permissions{Publish: []string{"jobs:*", "x:*"}})
	return r.request(http.MethodPost, "/v1/publish"+query, token, header, strings.NewReader(body))
}

// events returns the events of a channel.
func (r *rig) events(channel string) []string {
	r.t.Helper()
	list := []string{}
	for _, e := range r.history(channel, "limit=1000").Events {
		list = append(list, string(e.Event))
	}
	return list
}

// The examples of the specification, written out where it leaves something out.
func TestExamplesOfTheCloudEventsSpecification(t *testing.T) {
	text, err := os.ReadFile("testdata/cloudevents.json")
	require.NoError(t, err)
	var examples []struct {
		Name, Source string
		Headers      map[string]string
		Body         string
		Binary       []byte `json:"body_base64"`
		Want         []json.RawMessage
	}
	require.NoError(t, json.Unmarshal(text, &examples))
	require.Greater(t, len(examples), 15)
	r := newRig(t, rigOptions{})
	for i, e := range examples {
		t.Run(e.Name, func(t *testing.T) {
			var pairs []string
			for name, value := range e.Headers {
				pairs = append(pairs, name, value)
			}
			channel := fmt.Sprintf("jobs:%d", i)
			resp := r.publishAs("?channel="+channel, e.Body+string(e.Binary), pairs...)
			require.Equal(t, http.StatusOK, resp.status, "%s: %s", e.Source, resp.body)
			got := r.events(channel)
			require.Len(t, got, len(e.Want))
			for i, want := range e.Want {
				require.JSONEq(t, string(want), got[i], e.Source)
			}
			if len(e.Want) == 0 {
				return
			}
			// The same once more is the same event.
			again := r.publishAs("?channel="+channel, e.Body+string(e.Binary), pairs...)
			require.Equal(t, http.StatusOK, again.status)
			require.Equal(t, strings.ReplaceAll(resp.body, `"duplicate":false`, `"duplicate":true`), again.body)
			require.Len(t, r.events(channel), len(e.Want))
		})
	}
}

// cloudEvent is a complete event with more members.
func cloudEvent(more string) string {
	return `{"specversion":"1.0","id":"1","source":"/s","type":"x"` + more + `}`
}

// attributes are the headers of a complete event, and more.
func attributes(more ...string) []string {
	return append([]string{"ce-specversion", "1.0", "ce-id", "1", "ce-source", "/s", "ce-type", "x"}, more...)
}

func TestWhereTheChannelOfACloudEventIs(t *testing.T) {
	r := newRig(t, rigOptions{})
	plain, named := cloudEvent(""), cloudEvent(`,"channel":"jobs:own","data":{"channel":"x"}`)
	for name, c := range map[string]struct {
		query, body   string
		header        []string
		channel, want string
	}{
		"query":                   {"?channel=jobs:a", plain, []string{"Content-Type", structured}, "jobs:a", plain},
		"query of the plain form": {"?channel=jobs:p", `{"event":` + plain + `}`, nil, "jobs:p", plain},
		"attribute": {
			"", named, []string{"Content-Type", structured}, "jobs:own", cloudEvent(`,"data":{"channel":"x"}`),
		},
		"both": {
			"?channel=jobs:b", cloudEvent(`,"channel":"jobs:mine"`), []string{"Content-Type", structured}, "jobs:mine", plain,
		},
		"null is none": {
			"?channel=jobs:n", cloudEvent(`,"channel":null`), []string{"Content-Type", structured}, "jobs:n", plain,
		},
		"header":      {"", "", attributes("CE-Channel", "jobs:h"), "jobs:h", plain},
		"of a batch":  {"?channel=jobs:batch", "[" + plain + "]", []string{"Content-Type", batched}, "jobs:batch", plain},
		"in a batch":  {"", "[" + cloudEvent(`,"channel":"jobs:in"`) + "]", []string{"Content-Type", batched}, "jobs:in", plain},
		"first of it": {"", `{"channel":"jobs:first",` + plain[1:], []string{"Content-Type", structured}, "jobs:first", plain},
	} {
		t.Run(name, func(t *testing.T) {
			resp := r.publishAs(c.query, c.body, c.header...)
			require.Equal(t, http.StatusOK, resp.status, resp.body)
			require.Contains(t, resp.body, `"channel":"`+c.channel+`"`)
			got := r.events(c.channel)
			require.Len(t, got, 1)
			require.JSONEq(t, c.want, got[0])
		})
	}
	resp := r.publishAs("?channel=jobs:ack&ack=stored", plain, "Content-Type", structured)
	require.Equal(t, http.StatusOK, resp.status)
	require.Contains(t, resp.body, `"ack":"stored"`)
}

func TestCloudEventsThatAreRefused(t *testing.T) {
	r := newRig(t, rigOptions{})
	type c struct {
		query, body string
		header      []string
		status      int
		code        wire.Code
		path        string
	}
	const q = "?channel=jobs:1"
	asJSON, asBatch := []string{"Content-Type", structured}, []string{"Content-Type", batched}
	without := func(name string) []string {
		var pairs []string
		for i, all := 0, attributes(); i < len(all); i += 2 {
			if all[i] != name {
				pairs = append(pairs, all[i], all[i+1])
			}
		}
		return pairs
	}
	large := strings.Repeat("x", 60<<10)
	for name, c := range map[string]c{
		"another version":            {q, strings.Replace(cloudEvent(""), "1.0", "0.3", 1), asJSON, 422, wire.CodeInvalidEvent, "/specversion"},
		"another version, by header": {q, "", append(without("ce-specversion"), "ce-specversion", "2.0"), 422, wire.CodeInvalidEvent, "/specversion"},
		"no version":                 {q, `{"id":"1","source":"/s","type":"x"}`, asJSON, 422, wire.CodeInvalidEvent, "/specversion"},
		"version null":               {q, `{"specversion":null,"id":"1","source":"/s","type":"x"}`, asJSON, 422, wire.CodeInvalidEvent, "/specversion"},
		"no id":                      {q, `{"specversion":"1.0","source":"/s","type":"x"}`, asJSON, 422, wire.CodeInvalidEvent, "/id"},
		"no source":                  {q, `{"specversion":"1.0","id":"1","type":"x"}`, asJSON, 422, wire.CodeInvalidEvent, "/source"},
		"no type":                    {q, `{"specversion":"1.0","id":"1","source":"/s"}`, asJSON, 422, wire.CodeInvalidEvent, "/type"},
		"no version header":          {q, "", without("ce-specversion"), 422, wire.CodeInvalidEvent, "/specversion"},
		"no id header":               {q, "", without("ce-id"), 422, wire.CodeInvalidEvent, "/id"},
		"no source header":           {q, "", without("ce-source"), 422, wire.CodeInvalidEvent, "/source"},
		"no type header":             {q, "", without("ce-type"), 422, wire.CodeInvalidEvent, "/type"},
		"an attribute twice":         {q, cloudEvent(`,"id":"2"`), asJSON, 422, wire.CodeInvalidEvent, "/id"},
		"channel twice":              {q, cloudEvent(`,"channel":"jobs:1","channel":"jobs:2"`), asJSON, 422, wire.CodeInvalidEvent, "/channel"},
		"a header twice":             {q, "", attributes("ce-id", "2"), 422, wire.CodeInvalidEvent, "/id"},
		"an empty attribute":         {q, "", attributes("ce-subject", ""), 422, wire.CodeInvalidEvent, "/subject"},
		"a name with a dash":         {q, "", attributes("ce-my-reason", "x"), 422, wire.CodeInvalidEvent, ""},
		"a name that is empty":       {q, "", attributes("ce-", "x"), 422, wire.CodeInvalidEvent, ""},
		"a bad time":                 {q, "", attributes("ce-time", "today"), 422, wire.CodeInvalidEvent, "/time"},
		"datacontenttype as header":  {q, "{}", attributes("ce-datacontenttype", "application/json"), 422, wire.CodeInvalidEvent, "/datacontenttype"},
		"data as header":             {q, "", attributes("ce-data", "1"), 422, wire.CodeInvalidEvent, "/data"},
		"half a percent":             {q, "", attributes("ce-subject", "100%"), 422, wire.CodeInvalidEvent, "/subject"},
		"a percent of no digits":     {q, "", attributes("ce-subject", "%zz"), 422, wire.CodeInvalidEvent, "/subject"},
		"an overlong space":          {q, "", attributes("ce-subject", "%C0%A0"), 422, wire.CodeInvalidEvent, "/subject"},
		"half a surrogate pair":      {q, "", attributes("ce-subject", "%ED%A0%BD"), 422, wire.CodeInvalidEvent, "/subject"},
		"bytes that are not UTF-8":   {q, "", attributes("ce-subject", "\xff"), 422, wire.CodeInvalidEvent, "/subject"},
		"a control character":        {q, "", attributes("ce-subject", "a%0Ab"), 422, wire.CodeInvalidEvent, "/subject"},
		"an open quote":              {q, "", attributes("ce-subject", `"abc`), 422, wire.CodeInvalidEvent, "/subject"},
		"more after the quote":       {q, "", attributes("ce-subject", `"abc"d`), 422, wire.CodeInvalidEvent, "/subject"},
		"data that is not JSON":      {q, "{", attributes("Content-Type", "application/json"), 422, wire.CodeInvalidEvent, "/data"},
		"data that smuggles":         {q, `1,"subject":"x"`, attributes("Content-Type", "application/json"), 422, wire.CodeInvalidEvent, "/data"},
		"data of a type that it is not": {
			q, `{"percent":1}`, append(without("ce-type"), "ce-type", "job.progress", "Content-Type", "application/vnd.x+json"),
			422, wire.CodeInvalidEvent, "/data/job_id",
		},
		"a channel that is no string": {q, cloudEvent(`,"channel":7`), asJSON, 422, wire.CodeInvalidEvent, "/channel"},
		"no channel":                  {"", cloudEvent(""), asJSON, 400, wire.CodeInvalidChannel, "/channel"},
		"no channel, by headers":      {"", "", attributes(), 400, wire.CodeInvalidChannel, "/channel"},
		"a channel that is none":      {"?channel={x}", cloudEvent(""), asJSON, 400, wire.CodeInvalidChannel, "/channel"},
		"two channels":                {q + "&channel=jobs:2", cloudEvent(""), asJSON, 400, wire.CodeInvalidRequest, ""},
		"a channel of others":         {"?channel=other:1", cloudEvent(""), asJSON, 403, wire.CodeForbidden, ""},
		"its own channel of others":   {q, cloudEvent(`,"channel":"other:1"`), asJSON, 403, wire.CodeForbidden, ""},
		"another ack":                 {q + "&ack=perhaps", cloudEvent(""), asJSON, 400, wire.CodeInvalidFrame, "/ack"},
		"not JSON":                    {q, "<event/>", asJSON, 422, wire.CodeInvalidEvent, ""},
		"no event":                    {q, "", asJSON, 422, wire.CodeInvalidEvent, ""},
		"an array as an event":        {q, "[" + cloudEvent("") + "]", asJSON, 422, wire.CodeInvalidEvent, ""},
		"an event as a batch":         {q, cloudEvent(""), asBatch, 400, wire.CodeInvalidRequest, ""},
		"null as a batch":             {q, "null", asBatch, 400, wire.CodeInvalidRequest, ""},
		"half a batch":                {q, "[" + cloudEvent("") + ",", asBatch, 400, wire.CodeInvalidRequest, ""},
		"too long a batch":            {q, "[" + strings.Repeat("1,", 1000) + "1]", asBatch, 400, wire.CodeInvalidRequest, ""},
		"another format":              {q, "", []string{"Content-Type", "application/cloudevents+avro"}, 415, wire.CodeUnsupportedMediaType, ""},
		"no format":                   {q, cloudEvent(""), []string{"Content-Type", "application/cloudevents"}, 415, wire.CodeUnsupportedMediaType, ""},
		"another format of a batch":   {q, "", []string{"Content-Type", "application/cloudevents-batch+xml"}, 415, wire.CodeUnsupportedMediaType, ""},
		"another charset":             {q, cloudEvent(""), []string{"Content-Type", structured + "; charset=utf-16"}, 415, wire.CodeUnsupportedMediaType, ""},
		"another charset of data":     {q, "{}", attributes("Content-Type", "application/json; charset=latin1"), 415, wire.CodeUnsupportedMediaType, ""},
		"a form":                      {q, "a=b", []string{"Content-Type", "application/x-www-form-urlencoded"}, 415, wire.CodeUnsupportedMediaType, ""},
		"text":                        {q, cloudEvent(""), []string{"Content-Type", "text/plain"}, 415, wire.CodeUnsupportedMediaType, ""},
		"a type that is none":         {q, cloudEvent(""), []string{"Content-Type", ";"}, 415, wire.CodeUnsupportedMediaType, ""},
		"two types":                   {q, cloudEvent(""), append(asJSON, "Content-Type", "text/plain"), 415, wire.CodeUnsupportedMediaType, ""},
		"too large":                   {q, cloudEvent(`,"data":"` + large + large + `"`), asJSON, 413, wire.CodeFrameTooLarge, ""},
		"a little too large":          {q, cloudEvent(`,"data":"` + large + large[:(4<<10)+70] + `"`), asJSON, 413, wire.CodeFrameTooLarge, ""},
		"too large as base64":         {q, large, attributes("Content-Type", "image/png"), 413, wire.CodeFrameTooLarge, ""},
		"a batch that is too large":   {q, "[" + strings.Repeat(cloudEvent(`,"data":"`+large+`"`)+",", 80) + "1]", asBatch, 413, wire.CodeFrameTooLarge, ""},
	} {
		t.Run(name, func(t *testing.T) {
			resp := r.publishAs(c.query, c.body, c.header...)
			require.Equal(t, c.status, resp.status, resp.body)
			p := resp.problem(t)
			require.Equal(t, c.code, p.Code, p.Detail)
			require.Equal(t, c.path, p.Path, p.Detail)
			require.False(t, p.Retry)
			if c.status == http.StatusUnsupportedMediaType {
				require.Equal(t, "application/json, "+structured+", "+batched, resp.header.Get("Accept"))
			}
		})
	}
	require.Empty(t, r.events("jobs:1"), "nothing of it was published")
}

// What is wrong with one event of a batch does not keep the others from being published, and each is told.
func TestABatchOfCloudEventsFailsInPart(t *testing.T) {
	r := newRig(t, rigOptions{})
	var want []string
	item := func(id, more string) string {
		return `{"specversion":"1.0","id":"` + id + `","source":"/s","type":"x"` + more + `}`
	}
	good := func(id string) string {
		want = append(want, item(id, ""))
		return item(id, "")
	}
	body := "[" + strings.Join([]string{
		good("1"),
		item("2", `,"channel":"other:1"`),
		`7`, `null`,
		`{"specversion":"0.3","id":"3","source":"/s","type":"x"}`,
		item("4", `,"channel":"jobs:2"`),
		good("5"),
		item("6", `,"data":"`+strings.Repeat("x", 65<<10)+`"`),
		`{"id":"7"}`,
		good("8"),
		item("1", ""),
	}, ",") + "]"
	resp := r.publishAs("?channel=jobs:1", body, "Content-Type", batched)
	require.Equal(t, http.StatusMultiStatus, resp.status)
	var out struct{ Results []published }
	resp.decode(t, &out)
	codes := []wire.Code{
		"", wire.CodeForbidden, wire.CodeInvalidEvent, wire.CodeInvalidEvent, wire.CodeInvalidEvent, "", "",
		wire.CodeFrameTooLarge, wire.CodeInvalidEvent, "", "",
	}
	require.Len(t, out.Results, len(codes))
	for i, code := range codes {
		result := out.Results[i]
		if code == "" {
			require.Nil(t, result.Error, i)
			require.NotNil(t, result.Cursor)
			require.Equal(t, i == 10, result.Duplicate)
			continue
		}
		require.Equal(t, code, result.Error.Code, i)
		require.Equal(t, code.Status(), result.Error.Status)
		require.Nil(t, result.Cursor)
	}
	require.Equal(t, "other:1", out.Results[1].Channel)
	require.Equal(t, "jobs:2", out.Results[5].Channel)
	require.Equal(t, "jobs:1", out.Results[7].Channel)
	require.Equal(t, want, r.events("jobs:1"))
	require.Equal(t, []string{item("4", "")}, r.events("jobs:2"))
}

func TestABatchMeetsAnOutage(t *testing.T) {
	r := newRig(t, rigOptions{})
	r.store.ForTest().Outage(true)
	resp := r.publishAs("?channel=jobs:1", "["+cloudEvent("")+`,7]`, "Content-Type", batched)
	r.store.ForTest().Outage(false)
	require.Equal(t, http.StatusMultiStatus, resp.status)
	var out struct{ Results []published }
	resp.decode(t, &out)
	require.Equal(t, wire.CodeUnavailable, out.Results[0].Error.Code)
	require.True(t, out.Results[0].Error.Retry, "may be repeated with its id")
	require.Equal(t, wire.CodeInvalidEvent, out.Results[1].Error.Code)
	require.False(t, out.Results[1].Error.Retry)
}

// Data that JSON has no place for comes through byte by byte.
func TestBinaryDataComesThrough(t *testing.T) {
	r := newRig(t, rigOptions{})
	every := make([]byte, 256)
	for i := range every {
		every[i] = byte(i)
	}
	for i, kind := range []string{"application/octet-stream", "text/plain; charset=latin1", ""} {
		channel := fmt.Sprintf("jobs:%d", i)
		header := attributes()
		if kind != "" {
			header = append(header, "Content-Type", kind)
		}
		resp := r.publishAs("?channel="+channel, string(every), header...)
		require.Equal(t, http.StatusOK, resp.status, resp.body)
		var e struct {
			DataContentType string `json:"datacontenttype"`
			Data            []byte `json:"data_base64"`
		}
		require.NoError(t, json.Unmarshal([]byte(r.events(channel)[0]), &e))
		require.Equal(t, every, e.Data)
		require.Equal(t, kind, e.DataContentType)
	}
}
